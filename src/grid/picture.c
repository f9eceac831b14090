/* One number a pixel of a PNG, on every rank; see picture.h. */
#include "picture.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct {
  HcPicture *pic;
  HcPixelMeaning meaning;
} Target;

static int take_row(void *ctx, int y, int width, const uint16_t *rgb, char *error) {
  Target *t = ctx;
  HcPicture *pic = t->pic;
  const char *why = "";
  if (!pic->pixel && !(pic->pixel = malloc((size_t)pic->size[0] * (size_t)pic->size[1] * sizeof *pic->pixel))) {
    snprintf(error, 256, "no memory for a picture of %d x %d pixels", pic->size[0], pic->size[1]);
    return 1;
  }
  uint16_t *row = pic->pixel + (size_t)(pic->size[1] - 1 - y) * (size_t)width;
  for (int x = 0; x < width; ++x) {
    if (!t->meaning(rgb + 3 * x, &row[x], &why)) continue;
    snprintf(error, 256, "pixel %d from the left, %d from the top, has the colour #%02x%02x%02x, %s", x + 1, y + 1,
      rgb[3 * x] >> 8, rgb[3 * x + 1] >> 8, rgb[3 * x + 2] >> 8, why);
    return 1;
  }
  return 0;
}

PetscErrorCode hc_picture_read(
  MPI_Comm comm, HcOptions opts, const char *key, const char *path, HcPixelMeaning meaning, HcPicture *pic) {
  Target target = {pic, meaning};
  char error[256];
  int rank;
  PetscErrorCode local = 0;
  PetscFunctionBeginUser;
  pic->pixel = NULL;
  pic->size[0] = pic->size[1] = 0;
  PetscCallMPI(MPI_Comm_rank(comm, &rank));
  if (rank == 0 && hc_png_read(path, pic->size, take_row, &target, error))
    local = HcOptionsFail(opts, key, "cannot read '%s': %s", path, error);
  PetscErrorCode agreed = HcAgree(comm, local);
  if (!agreed) {
    PetscCallMPI(MPI_Bcast(pic->size, 2, MPI_INT, 0, comm));
    const size_t n = (size_t)pic->size[0] * (size_t)pic->size[1];
    if (rank != 0 && !(pic->pixel = malloc(n * sizeof *pic->pixel)))
      local = HcOptionsFail(opts, key, "no memory for the %d x %d pixels of '%s'", pic->size[0], pic->size[1], path);
    agreed = HcAgree(comm, local);
    if (!agreed) PetscCallMPI(MPI_Bcast(pic->pixel, (int)n, MPI_UINT16_T, 0, comm));
  }
  if (agreed) hc_picture_free(pic);
  PetscFunctionReturn(agreed);
}

void hc_picture_free(HcPicture *pic) {
  free(pic->pixel);
  pic->pixel = NULL;
}
