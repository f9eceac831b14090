/* One number a pixel of a PNG, on every rank. */
#pragma once
#include "png.h"
#include <halocline/options.h>

typedef struct {
  int size[2];     /* width, height */
  uint16_t *pixel; /* [height][width], row 0 is the bottom */
} HcPicture;

/** Turn (red, green, blue) 0..65535 of a pixel into its number; nonzero on a colour that means nothing, which ends the
 * reading with *why (a sentence about the colour). */
typedef int (*HcPixelMeaning)(const uint16_t rgb[3], uint16_t *number, const char **why);

/** Rank 0 reads and classifies the picture that key names, the others receive it. Collective.
 * Errors are HcOptionsFail's about the key. */
PetscErrorCode hc_picture_read(
  MPI_Comm comm, HcOptions opts, const char *key, const char *path, HcPixelMeaning meaning, HcPicture *pic);
void hc_picture_free(HcPicture *pic);
