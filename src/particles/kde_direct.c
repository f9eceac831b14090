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
  (void)frexp(most, &e);           /* most < 2^e */
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

/* Images reach no farther than the grid; in periodic directions rows of a whole period are centred on their point. */
static HcReach reach_of(HcKde kde, int d) {
  const PetscInt cells = kde->grid->cells[d], half = hc_kde_half_width(kde, d) + 2;
  const PetscInt most = kde->grid->boundary[2 * d] == HC_PERIODIC ? cells / 2 + 2 : cells;
  return (HcReach){.grid = kde->grid, .d = d, .reach = PetscMin(half, most)};
}

/* The largest value that one point of weight 1 can add. */
static double peak_bound(HcKde kde) {
  double bound = 1;
  for (int d = 0; d < kde->grid->dim; ++d) {
    const double images = (2.0 * (double)hc_kde_half_width(kde, d) + 1) / (double)kde->grid->cells[d] + 2;
    bound *= kde->spec.renormalise ? 1 / kde->grid->h[d] : images / (sqrt(2 * M_PI) * kde->spec.bandwidth[d]);
  }
  return bound;
}

/* An array over the cells that this rank's points reach, on both levels. */
typedef struct {
  HcSpan span[3];
  size_t n[3];
  double *level[2];
} Halo;

static void halo_shape(HcKde kde, Halo *halo) {
  for (int d = 0; d < 3; ++d) {
    halo->span[d] = (HcSpan){0, 1};
    if (d < kde->grid->dim) {
      const HcReach r = reach_of(kde, d);
      halo->span[d] = hc_reach_span(&r);
    }
    halo->n[d] = (size_t)(halo->span[d].last - halo->span[d].first);
  }
}

double hc_kde_direct_bytes(HcKde kde) {
  Halo halo;
  halo_shape(kde, &halo);
  return 2 * sizeof(double) * (double)halo.n[0] * (double)halo.n[1] * (double)halo.n[2];
}

static PetscErrorCode add_points(HcKde kde, const HcCloud *p, Levels levels, Halo *halo) {
  HcGrid g = kde->grid;
  HcKernelRow row[3] = {{0}};
  double one = 1;
  PetscFunctionBeginUser;
  for (int d = 0; d < 3; ++d) {
    row[d] = (HcKernelRow){.count = 1, .value = &one};
    if (d < g->dim) PetscCall(PetscMalloc2(hc_kde_row_room(kde, d), &row[d].value, hc_kde_row_room(kde, d), &row[d].work));
  }
  for (PetscInt q = 0; q < p->n; ++q) {
    const double w = p->weight ? p->weight[q] : p->each;
    PetscInt at[3];
    for (int d = 0; d < g->dim; ++d) hc_kde_point_row(kde, d, p->x[d][q], &row[d]);
    for (int d = 0; d < 3; ++d) {
      at[d] = row[d].first - halo->span[d].first;
      PetscCheck(row[d].count <= 0 || (at[d] >= 0 && row[d].first + row[d].count <= halo->span[d].last), PETSC_COMM_SELF,
        PETSC_ERR_ARG_OUTOFRANGE, "A point at %g is not in this rank's block", p->x[d][q]);
    }
    for (PetscInt k = 0; k < row[2].count; ++k)
      for (PetscInt j = 0; j < row[1].count; ++j) {
        const double scale = w * row[2].value[k] * row[1].value[j];
        const size_t start = (size_t)at[0] + halo->n[0] * ((size_t)(at[1] + j) + halo->n[1] * (size_t)(at[2] + k));
        if (row[0].count > 0)
          deposit((size_t)row[0].count, scale, row[0].value, levels, halo->level[0] + start, halo->level[1] + start);
      }
  }
  for (int d = 0; d < g->dim; ++d) PetscCall(PetscFree2(row[d].value, row[d].work));
  PetscFunctionReturn(0);
}

/* Bring one level to the owners, one direction after the other, the fastest first so that the array shrinks soonest. */
static PetscErrorCode collect(HcKde kde, const Halo *halo, double *level) {
  size_t n[3] = {halo->n[0], halo->n[1], halo->n[2]};
  PetscFunctionBeginUser;
  for (int d = 0; d < kde->grid->dim; ++d) {
    const HcReach r = reach_of(kde, d);
    const size_t inner = (d > 0 ? n[0] : 1) * (d > 1 ? n[1] : 1), outer = (d < 1 ? n[1] : 1) * (d < 2 ? n[2] : 1);
    PetscCall(hc_reach_add(&r, outer, inner, level));
    n[d] = (size_t)kde->grid->n[d];
  }
  PetscFunctionReturn(0);
}

PetscErrorCode hc_kde_direct(HcKde kde, const HcCloud *p, HcField out, int c) {
  HcGrid g = kde->grid;
  const Levels levels = choose_levels(p->total_bound * peak_bound(kde), p->points);
  Halo halo;
  size_t cells;
  PetscFunctionBeginUser;
  halo_shape(kde, &halo);
  cells = halo.n[0] * halo.n[1] * halo.n[2];
  for (int l = 0; l < 2; ++l) PetscCall(PetscCalloc1(cells, &halo.level[l]));
  PetscCall(add_points(kde, p, levels, &halo));
  for (int l = 0; l < 2; ++l) PetscCall(collect(kde, &halo, halo.level[l]));
  for (PetscInt k = 0, q = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i, ++q)
        out->c[c][i + j * out->stride[1] + k * out->stride[2]] = halo.level[0][q] + halo.level[1][q];
  for (int l = 0; l < 2; ++l) PetscCall(PetscFree(halo.level[l]));
  PetscFunctionReturn(0);
}
