/* What the readers of point clouds share. */
#pragma once
#include <halocline/particles.h>

/** An empty cloud. */
PetscErrorCode hc_points_create(MPI_Comm comm, PetscInt dim, HcPoints *points);
/** Room for n rows. */
PetscErrorCode hc_points_reserve(HcPoints points, PetscInt *room, PetscInt n);
/** Read this rank's slice: x, n, first, total. Errors name key, file, and row or line. Collective. */
PetscErrorCode hc_points_hdf5(HcOptions opts, const char *key, const char *path, const char *inner, HcPoints points);
PetscErrorCode hc_points_csv(HcOptions opts, const char *key, const char *path, HcPoints points);
