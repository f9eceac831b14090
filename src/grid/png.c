/* Reading PNG pictures with libpng; see png.h. */
#include "png.h"
#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A picture beyond this is a mistake: its classified pixels are held by every rank. */
enum { MOST_PIXELS_A_SIDE = 32768, CHANNELS = 4 };

typedef struct {
  png_structp png;
  png_infop info;
  FILE *file;
  uint16_t *pixels; /* one row, or the whole picture when it is interlaced */
  uint16_t *rgb;
  char *error;
} Reader;

static void on_error(png_structp png, png_const_charp message) {
  Reader *r = png_get_error_ptr(png);
  if (!r->error[0]) snprintf(r->error, 256, "damaged PNG: %.200s", message);
  png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

/* Whatever the file holds becomes red, green, blue, alpha of 16 bits in the machine's byte order. */
static void set_conversions(Reader *r) {
  const uint16_t one = 1;
  png_set_expand_16(r->png);
  png_set_gray_to_rgb(r->png);
  png_set_add_alpha(r->png, 65535, PNG_FILLER_AFTER);
  if (*(const unsigned char *)&one == 1) png_set_swap(r->png);
}

static void over_white(int width, const uint16_t *rgba, uint16_t *rgb) {
  for (int x = 0; x < width; ++x) {
    const uint32_t alpha = rgba[CHANNELS * x + 3];
    for (int c = 0; c < 3; ++c)
      rgb[3 * x + c] =
        (uint16_t)((rgba[CHANNELS * x + c] * (uint64_t)alpha + 65535u * (uint64_t)(65535u - alpha) + 32767u) / 65535u);
  }
}

/* Returns by longjmp on libpng's errors. */
static int read_rows(Reader *r, int size[2], HcPngRow row, void *ctx) {
  png_init_io(r->png, r->file);
  png_set_user_limits(r->png, MOST_PIXELS_A_SIDE, MOST_PIXELS_A_SIDE);
  png_read_info(r->png, r->info);
  const int width = (int)png_get_image_width(r->png, r->info), height = (int)png_get_image_height(r->png, r->info);
  size[0] = width;
  size[1] = height;
  if (!row) return 0;
  set_conversions(r);
  const int passes = png_set_interlace_handling(r->png), held = passes > 1 ? height : 1;
  png_read_update_info(r->png, r->info);
  const size_t stride = (size_t)width * CHANNELS;
  r->pixels = malloc(stride * (size_t)held * sizeof *r->pixels);
  r->rgb = malloc((size_t)width * 3 * sizeof *r->rgb);
  if (!r->pixels || !r->rgb) {
    snprintf(r->error, 256, "no memory for a picture of %d x %d pixels", width, height);
    return 1;
  }
  for (int pass = 0; pass < passes; ++pass) {
    for (int y = 0; y < height; ++y) {
      uint16_t *at = r->pixels + (held > 1 ? stride * (size_t)y : 0);
      png_read_row(r->png, (png_bytep)at, NULL);
      if (pass < passes - 1) continue;
      over_white(width, at, r->rgb);
      if (row(ctx, y, width, r->rgb, r->error)) return 1;
    }
  }
  png_read_end(r->png, NULL);
  return 0;
}

int hc_png_read(const char *path, int size[2], HcPngRow row, void *ctx, char *error) {
  Reader r = {.error = error};
  unsigned char signature[8];
  struct stat kind;
  volatile int failed = 1; /* survives a longjmp */
  error[0] = 0;
  size[0] = size[1] = 0;
  if (!(r.file = fopen(path, "rb")) || fstat(fileno(r.file), &kind))
    snprintf(error, 256, "%s", strerror(errno));
  else if (S_ISDIR(kind.st_mode))
    snprintf(error, 256, "%s", strerror(EISDIR));
  else if (fread(signature, 1, 8, r.file) != 8 || png_sig_cmp(signature, 0, 8))
    snprintf(error, 256, "it is not a PNG file");
  else if (!(r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning)) ||
           !(r.info = png_create_info_struct(r.png)))
    snprintf(error, 256, "no memory to read it");
  else if (setjmp(png_jmpbuf(r.png)) == 0) {
    rewind(r.file);
    failed = read_rows(&r, size, row, ctx);
  }
  if (r.png) png_destroy_read_struct(&r.png, r.info ? &r.info : NULL, NULL);
  free(r.pixels);
  free(r.rgb);
  if (r.file) fclose(r.file);
  return failed;
}
