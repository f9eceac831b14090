/*
 * What the pixels of a floor plan say about the cells of a grid laid over them. All positions are compared in integers.
 *
 * Why nothing leaks: a way through open faces is a polyline of centre-to-centre segments, and each of its points lies in
 * one pixel (a point on the line between two pixels belongs to the upper one, which is the same as moving the whole
 * polyline by an infinitesimal amount to the upper right, away from all corners of pixels). A closed wall of pixels that
 * touch at least at their corners is a connected set that separates inside from outside, so the moved polyline would
 * have to pass the interior of one of its pixels; and segments that do are closed, on any grid.
 */
#include "floorplan_pixels.h"

/* Shades and tints: a pixel is grey when its channels differ by less than a quarter of the full range. Edges drawn with
 * anti-aliasing between black and white fall to the nearer of the two, those at exits to the exit from a quarter of green on. */
enum { FULL = 65535, COLOURED = FULL / 4, HALF = FULL / 2 };

static int meaning(const uint16_t rgb[3], uint16_t *number, const char **why) {
  const int r = rgb[0], g = rgb[1], b = rgb[2];
  const int most = PetscMax(r, PetscMax(g, b)), least = PetscMin(r, PetscMin(g, b)), others = PetscMax(r, b);
  if (g - others > COLOURED)
    *number = HC_DOOR;
  else if (most - least > COLOURED) {
    *why = "which means nothing: black is wall, white is free, green is exit";
    return 1;
  } else
    *number = (2126 * r + 7152 * g + 722 * b) / 10000 > HALF ? HC_FREE : HC_WALL;
  return 0;
}

PetscErrorCode hc_plan_read(MPI_Comm comm, HcOptions opts, const char *key, const char *path, HcPicture *pic) {
  PetscFunctionBeginUser;
  PetscCall(hc_picture_read(comm, opts, key, path, meaning, pic));
  PetscFunctionReturn(0);
}

static int at(const HcPicture *pic, int64_t x, int64_t y) { return pic->pixel[(size_t)y * (size_t)pic->size[0] + (size_t)x]; }

/* The pixel of n in which the centre of cell i of N lies: floor((i + 1/2) n / N). */
static int64_t centre_pixel(int64_t i, int64_t cells, int64_t n) { return (2 * i + 1) * n / (2 * cells); }

/* Pixels whose centres lie in cell i: those p with i/N <= (p + 1/2)/n < (i+1)/N. Where there is none, the one at the cell's
 * centre. */
static void covered(int64_t i, int64_t cells, int64_t n, int64_t *from, int64_t *to) {
  /* the first p with (2p + 1) N >= 2 i n, rounded up */
  *from = (2 * i * n + cells - 1) / (2 * cells);
  *to = (2 * (i + 1) * n + cells - 1) / (2 * cells);
  if (*from >= *to) {
    *from = centre_pixel(i, cells, n);
    *to = *from + 1;
  }
}

int hc_plan_region(const HcPicture *pic, const PetscInt cells[2], PetscInt i, PetscInt j) {
  int64_t x0, x1, y0, y1, count[3] = {0, 0, 0};
  covered(i, cells[0], pic->size[0], &x0, &x1);
  covered(j, cells[1], pic->size[1], &y0, &y1);
  for (int64_t y = y0; y < y1; ++y)
    for (int64_t x = x0; x < x1; ++x) ++count[at(pic, x, y)];
  /* a centre inside a wall cannot be left: such a cell is wall, however thin the wall */
  if (at(pic, centre_pixel(i, cells[0], pic->size[0]), centre_pixel(j, cells[1], pic->size[1])) == HC_WALL) return HC_WALL;
  if (2 * count[HC_WALL] >= (x1 - x0) * (y1 - y0)) return HC_WALL;
  return 2 * count[HC_DOOR] >= count[HC_DOOR] + count[HC_FREE] ? HC_DOOR : HC_FREE;
}

/* Is there a wall among pixels from..to (inclusive) of direction d, the other coordinate fixed? */
static int wall_between(const HcPicture *pic, int d, int64_t from, int64_t to, int64_t fixed) {
  for (int64_t p = from; p <= to; ++p)
    if ((d == 0 ? at(pic, p, fixed) : at(pic, fixed, p)) == HC_WALL) return 1;
  return 0;
}

int hc_plan_blocked(const HcPicture *pic, const PetscInt cells[2], int d, PetscInt i, PetscInt j, int periodic) {
  const PetscInt here[2] = {i, j};
  const int64_t n = pic->size[d], all = cells[d], upper = here[d], lower = upper - 1;
  const int64_t fixed = centre_pixel(here[1 - d], cells[1 - d], pic->size[1 - d]);
  if (lower >= 0 && upper < all) return wall_between(pic, d, centre_pixel(lower, all, n), centre_pixel(upper, all, n), fixed);
  /* across the border of the picture */
  const int64_t first = centre_pixel(0, all, n), last = centre_pixel(all - 1, all, n);
  if (periodic) return wall_between(pic, d, last, n - 1, fixed) || wall_between(pic, d, 0, first, fixed);
  return lower < 0 ? wall_between(pic, d, 0, first, fixed) : wall_between(pic, d, last, n - 1, fixed);
}
