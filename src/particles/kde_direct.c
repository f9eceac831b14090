/* The direct way: each point's kernel is added to the cells that it reaches. */
#include "kde_private.h"
#include <math.h>

/* Deposits are split as in reduce.c (Rump, Ogita & Oishi, SIAM J. Sci. Comput. 31 (2008) 189): v rounded to a multiple of
 * 2^-53 sigma[0], and the remainder to one of 2^-53 sigma[1]. Sums of either stay below sigma, so they are exact in any order. */
typedef struct {
  double sigma[2];
} Levels;

/* No cell receives more than `most` in sum of magnitudes, from `points` deposits. */
static Levels choose_levels(double most, double points) {
  Levels l;
  int e, extra;
  (void)frexp(most, &e);          /* most < 2^e */
  (void)frexp(points + 1, &extra); /* points < 2^extra */
  l.sigma[0] = ldexp(1, e + 1);
  l.sigma[1] = ldexp(1, e + 1 - 53 + extra + 1);
  return l;
}

static inline void deposit(size_t n, double scale, const double *restrict row, Levels l, double *restrict a, double *restrict b) {
  for (size_t i = 0; i < n; ++i) {
    const double v = scale * row[i], q = (l.sigma[0] + v) - l.sigma[0], rest = v - q;
    a[i] += q;
    b[i] += (l.sigma[1] + rest) - l.sigma[1];
  }
}

static HcReach reach_of(HcKde kde, int d) {
  const PetscInt cells = kde->grid->cells[d], half = hc_kde_half_width(kde, d) + 2;
  return (HcReach){.grid = kde->grid, .d = d, .reach = PetscMin(half, cells / 2 + 2)};
}

static HcSpan span_of(HcKde kde, int d) {
  if (d >= kde->grid->dim) return (HcSpan){0, 1};
  HcReach r = reach_of(kde, d);
  if (kde->grid->boundary[2 * d] != HC_PERIODIC) r.reach = PetscMin(hc_kde_half_width(kde, d) + 2, kde->grid->cells[d]);
  return hc_reach_span(&r);
}
