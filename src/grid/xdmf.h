/* The index fields.xmf over the fields_NNNNNN.h5 of a run, for ParaView and VisIt. */
#pragma once
#include <petscsys.h>

/** Rewrite dir/fields.xmf to list every fields file up to index `last`, replacing it at once. What it said about earlier
 * files is kept; files that it did not list are opened and described. Call on one rank.
 * @param only_to_drop leave the index alone unless it lists files beyond `last` */
PetscErrorCode hc_xdmf_rewrite(const char *dir, PetscInt last, PetscBool only_to_drop);
