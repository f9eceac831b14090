/* What the tests of pictures and sources share: a run's options from a few lines of YAML, and PNG files. */
#pragma once
#include "tap.h"
#include <halocline/options.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** Options from a YAML text and a table; the same on all ranks. */
static inline PetscErrorCode make_options(const char *yaml, const HcOption table[], HcOptions *opts) {
  char name[] = "/tmp/halocline_input_XXXXXX", *argv[] = {"test", name, NULL};
  int rank;
  PetscFunctionBeginUser;
  MPI_Comm_rank(PETSC_COMM_WORLD, &rank);
  if (rank == 0) {
    const int file = mkstemp(name);
    if (file < 0 || write(file, yaml, strlen(yaml)) != (ssize_t)strlen(yaml)) abort();
    close(file);
  }
  PetscCallMPI(MPI_Bcast(name, (int)sizeof name, MPI_CHAR, 0, PETSC_COMM_WORLD));
  PetscCall(HcOptionsCreate(PETSC_COMM_WORLD, 2, argv, opts));
  if (rank == 0) unlink(name);
  PetscCall(HcOptionsAddTable(*opts, table));
  PetscFunctionReturn(0);
}

/** Rank 0 writes a picture; pixels are RGBA, 8 bits, the top row first. */
static inline void write_png(const char *path, int width, int height, const unsigned char *rgba) {
  int rank;
  MPI_Comm_rank(PETSC_COMM_WORLD, &rank);
  if (rank == 0) {
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    image.width = (png_uint_32)width;
    image.height = (png_uint_32)height;
    image.format = PNG_FORMAT_RGBA;
    if (!png_image_write_to_file(&image, path, 0, rgba, 0, NULL)) abort();
  }
  MPI_Barrier(PETSC_COMM_WORLD);
}

/** Does the code carry this kind, and the message all ranks hold these words? Forgets the message. */
static inline int fails(PetscErrorCode code, HcExit kind, const char *a, const char *b) {
  const int ok = HcErrorKind(code) == kind && strstr(HcErrorMessage(), a) && strstr(HcErrorMessage(), b);
  if (!ok) fprintf(stderr, "# code %d, message '%s', expected '%s' and '%s'\n", (int)code, HcErrorMessage(), a, b);
  HcErrorClear();
  return ok;
}
