/* Inside of HcSource, for the files of src/grid/. */
#pragma once
#include <halocline/expression.h>
#include <halocline/io.h>

/** The formula in x,y,z,t and the names beyond; NULL when the source is a file. */
HcExpr hc_source_formula(HcSource src);
/** Is the source a picture? */
PetscBool hc_source_is_picture(HcSource src);
