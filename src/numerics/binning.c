#include "binning.h"

/* Points are placed in blocks by loops that become vectors; the additions to the bins follow one by one. */
enum { BLOCK = HC_BIN_BLOCK };

typedef struct {
  int32_t node[3][BLOCK];
  double fraction[3][BLOCK];
} Places;

static int place(const HcBins *s, size_t n, const double *const x[3], Places *p) {
  int bad = 0;
  for (int d = 0; d < s->dim; ++d) {
    const double *restrict xd = x[d];
    const double first = (double)s->first[d], last = first + (double)(s->n[d] - 2), lower = s->lower[d], h = s->h[d];
    int32_t *restrict node = p->node[d];
    double *restrict fraction = p->fraction[d];
    for (size_t i = 0; i < n; ++i) {
      const double t = (xd[i] - lower) / h - 0.5, below = __builtin_floor(t), local = below - first;
      const int out = !(below >= first) | !(below <= last);
      bad |= out;
      node[i] = (int32_t)(out ? 0 : local);
      fraction[i] = t - below;
    }
  }
  return bad;
}

/* rint for 0 <= v <= 2^51 in size. */
static inline double nearest(double v) {
  const double shift = 0x1.8p52;
  return (v + shift) - shift;
}

typedef struct {
  double share[8][BLOCK];
} Shares;

/* Halves along one direction after the other: what goes up is rounded, what stays is the rest, so the shares add up to the whole
 * exactly and none changes sign. */
static void split(int dim, size_t n, const Places *p, Shares *s) {
  for (int d = 0, parts = 1; d < dim; ++d, parts *= 2)
    for (int q = 0; q < parts; ++q) {
      double *restrict low = s->share[q], *restrict high = s->share[q + parts];
      const double *restrict f = p->fraction[d];
      for (size_t i = 0; i < n; ++i) {
        high[i] = nearest(f[i] * low[i]);
        low[i] -= high[i];
      }
    }
}

/* One block. With `dim` and `mark` known to the compiler the loops over shares are unrolled, and without marks nothing is asked.
 */
static inline __attribute__((always_inline)) int add_block(const int dim, const HcBins *s, size_t n, const Places *p,
  const Shares *share, const uint8_t *mark, int64_t *restrict bins, uint16_t *skipped) {
  const int64_t row = s->n[0], plane = s->n[0] * s->n[1];
  int skips = 0;
  for (size_t i = 0; i < n; ++i) {
    const int64_t at = p->node[0][i] + (dim > 1 ? p->node[1][i] * row : 0) + (dim > 2 ? p->node[2][i] * plane : 0);
    if (mark && mark[at]) {
      skipped[skips++] = (uint16_t)i;
      continue;
    }
    for (int q = 0; q < 1 << dim; ++q) bins[at + q % 2 + q / 2 % 2 * row + q / 4 * plane] += (int64_t)share->share[q][i];
  }
  return skips;
}

int HcBinLinearUnmarked(const HcBins *s, size_t n, const double *const x[3], double unit, const double *weight,
  const uint8_t *mark, int64_t *bins, uint16_t skipped[BLOCK]) {
  Places p;
  Shares share;
  if (place(s, n, x, &p)) return -1;
  for (size_t i = 0; i < n; ++i) share.share[0][i] = weight ? nearest(weight[i] * unit) : unit;
  split(s->dim, n, &p, &share);
  if (mark) {
    if (s->dim == 1) return add_block(1, s, n, &p, &share, mark, bins, skipped);
    if (s->dim == 2) return add_block(2, s, n, &p, &share, mark, bins, skipped);
    return add_block(3, s, n, &p, &share, mark, bins, skipped);
  }
  if (s->dim == 1) return add_block(1, s, n, &p, &share, NULL, bins, NULL);
  if (s->dim == 2) return add_block(2, s, n, &p, &share, NULL, bins, NULL);
  return add_block(3, s, n, &p, &share, NULL, bins, NULL);
}

int HcBinLinear(const HcBins *s, size_t n, const double *const x[3], double unit, const double *weight, int64_t *bins) {
  for (size_t at = 0; at < n; at += BLOCK) {
    const size_t m = n - at < BLOCK ? n - at : BLOCK;
    const double *const here[3] = {x[0] + at, s->dim > 1 ? x[1] + at : NULL, s->dim > 2 ? x[2] + at : NULL};
    if (HcBinLinearUnmarked(s, m, here, unit, weight ? weight + at : NULL, NULL, bins, NULL) < 0) return 1;
  }
  return 0;
}
