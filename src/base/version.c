#include "version.h"
#include <hdf5.h>
#include <petscsys.h>
#include <stdio.h>
#include <string.h>

#ifndef HC_COMMIT
#define HC_COMMIT "unknown"
#endif
#ifndef HC_FLAGS
#define HC_FLAGS "unknown"
#endif

const char *HcVersion(void) { return HC_VERSION; }

const char *HcCommit(void) { return HC_COMMIT; }

void HcVersionPrint(void) {
  char mpi[MPI_MAX_LIBRARY_VERSION_STRING], petsc[256];
  int length;
  unsigned major, minor, release;
  MPI_Get_library_version(mpi, &length);
  mpi[strcspn(mpi, "\n")] = 0;
  PetscGetVersion(petsc, sizeof petsc);
  H5get_libversion(&major, &minor, &release);
  printf("halocline %s (commit %s)\n", HC_VERSION, HC_COMMIT);
#ifdef __clang__
  printf("compiler  clang %s\n", __clang_version__);
#else
  printf("compiler  gcc %s\n", __VERSION__);
#endif
  printf("flags     %s\n", HC_FLAGS);
  printf("MPI       %s\n", mpi);
  printf("PETSc     %s, %d-bit integers\n", petsc, (int)(8 * sizeof(PetscInt)));
  printf("HDF5      %u.%u.%u\n", major, minor, release);
}
