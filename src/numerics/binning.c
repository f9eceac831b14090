#include "binning.h"

/* Points are placed in blocks by loops that become vectors; the additions to the bins follow one by one. */
enum { BLOCK = 256 };

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

int HcBinLinear(const HcBins *s, size_t n, const double *const x[3], double unit, const double *weight, int64_t *bins) {
  Places p;
  Shares share;
  int bad = 0;
  const int64_t row = s->n[0], plane = s->n[0] * s->n[1];
  for (size_t at = 0; at < n && !bad; at += BLOCK) {
    const size_t m = n - at < BLOCK ? n - at : BLOCK;
    const double *const here[3] = {x[0] + at, s->dim > 1 ? x[1] + at : NULL, s->dim > 2 ? x[2] + at : NULL};
    bad = place(s, m, here, &p);
    for (size_t i = 0; i < m; ++i) share.share[0][i] = weight ? nearest(weight[at + i] * unit) : unit;
    split(s->dim, m, &p, &share);
    switch (s->dim) {
    case 1:
      for (size_t i = 0; i < m; ++i) {
        int64_t *b = bins + p.node[0][i];
        b[0] += (int64_t)share.share[0][i];
        b[1] += (int64_t)share.share[1][i];
      }
      break;
    case 2:
      for (size_t i = 0; i < m; ++i) {
        int64_t *b = bins + p.node[0][i] + p.node[1][i] * row;
        for (int q = 0; q < 4; ++q) b[q % 2 + q / 2 * row] += (int64_t)share.share[q][i];
      }
      break;
    default:
      for (size_t i = 0; i < m; ++i) {
        int64_t *b = bins + p.node[0][i] + p.node[1][i] * row + p.node[2][i] * plane;
        for (int q = 0; q < 8; ++q) b[q % 2 + q / 2 % 2 * row + q / 4 * plane] += (int64_t)share.share[q][i];
      }
    }
  }
  return bad;
}
