/* What the pixels of a floor plan say about the cells of a grid laid over them. */
#pragma once
#include "picture.h"
#include <halocline/io.h>

/** The picture's pixels as HC_WALL, HC_FREE or HC_DOOR; fails on colours that are none of these. Collective. */
PetscErrorCode hc_plan_read(MPI_Comm comm, HcOptions opts, const char *key, const char *path, HcPicture *pic);

/** Region of global cell (i,j) of a grid of cells[0] x cells[1] over the whole picture. */
int hc_plan_region(const HcPicture *pic, const PetscInt cells[2], PetscInt i, PetscInt j);

/** Does the way between the centres of cell (i,j) and its lower neighbour in direction d meet a wall pixel? Either may lie beyond
 * the picture: the way then ends at its border, or goes round when the direction is periodic. */
int hc_plan_blocked(const HcPicture *pic, const PetscInt cells[2], int d, PetscInt i, PetscInt j, int periodic);
