/* Data on a grid of their own, brought to the cells of ours. */
#pragma once
#include <halocline/grid.h>

/** Read file.h5:/path (`text`) for the cells that this rank owns: values[n2][n1][n0], allocated. Collective. */
PetscErrorCode hc_sample_hdf5(HcOptions opts, const char *key, const char *text, HcGrid grid, double **values);
/** The luminance of a picture likewise. */
PetscErrorCode hc_sample_picture(HcOptions opts, const char *key, const char *text, HcGrid grid, double **values);
/** Where the path inside the file begins: behind the colon of ".h5:" or ".hdf5:"; NULL if there is none. */
const char *hc_inner_path(const char *text);
