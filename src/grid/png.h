/* Reading PNG pictures of any kind, row by row. */
#pragma once
#include <stdint.h>

/** Receives row y (0 is the top) as width x (red, green, blue), 0..65535, laid over white. Nonzero stops the reading; then
 * `error` (256 chars) says why. */
typedef int (*HcPngRow)(void *ctx, int y, int width, const uint16_t *rgb, char *error);

/** Read a picture.
 * @param size  width and height, set before the first row
 * @param row   NULL to get the size only
 * @param error at least 256 chars: one sentence without the file's name
 * @return 0, or 1 on error. Not collective. */
int hc_png_read(const char *path, int size[2], HcPngRow row, void *ctx, char *error);
