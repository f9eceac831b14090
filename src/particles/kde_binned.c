/* The binned way: linear binning in whole numbers, then one convolution a direction. */
#include "kde_private.h"
#include "numerics/convolution.h"
#include <math.h>

/* The array in work: [n2][n1][n0], in direction d either all nodes with their halo, or owned nodes, or owned cells. */
typedef struct {
  size_t n[3];
} Shape;

static size_t shape_size(const Shape *s) { return s->n[0] * s->n[1] * s->n[2]; }

static void split_around(const Shape *s, int d, size_t *outer, size_t *inner) {
  *inner = (d > 0 ? s->n[0] : 1) * (d > 1 ? s->n[1] : 1);
  *outer = (d < 1 ? s->n[1] : 1) * (d < 2 ? s->n[2] : 1);
}

/* Bins are in units of unit^-1 of a weight. The sum of all stays below 2^62, a point's below 2^51. */
static double choose_unit(const HcCloud *p) {
  int total, most;
  (void)frexp(p->weighted ? p->total_bound : p->points, &total); /* the sum of weights < 2^total */
  (void)frexp(p->weighted ? p->most : 1, &most);
  return ldexp(1, PetscMin(61 - total, 51 - most));
}

/* ---- binning ---- */

static PetscErrorCode bin(HcKde kde, const HcCloud *p, double unit, Shape *shape, int64_t **bins) {
  HcGrid g = kde->grid;
  HcBins b = {.dim = (int)g->dim};
  PetscFunctionBeginUser;
  for (int d = 0; d < 3; ++d) {
    const PetscInt halo = d < g->dim;
    b.lower[d] = g->lower[d];
    b.h[d] = g->h[d];
    b.first[d] = g->start[d] - halo;
    b.n[d] = g->n[d] + 2 * halo;
    shape->n[d] = (size_t)b.n[d];
  }
  PetscCall(PetscCalloc1(shape_size(shape), bins));
  const double *const x[3] = {p->x[0], p->x[1], p->x[2]};
  const int bad =
    kde->spec.plan ? hc_kde_bin_within_walls(kde, &b, p, unit, *bins) : HcBinLinear(&b, (size_t)p->n, x, unit, p->weight, *bins);
  PetscCheck(!bad, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "A point is not in this rank's block");
  PetscFunctionReturn(0);
}

/* Add nodes -1 and N of the array to their mirror images, which lie beside them, in direction d. */
static void mirror_ends(HcGrid g, int d, size_t outer, size_t rows, size_t inner, int64_t *v) {
  for (int side = 0; side < 2; ++side) {
    if (!HcGridAtEdge(g, 2 * d + side)) continue;
    const size_t from = side ? rows - 1 : 0, to = side ? rows - 2 : 1;
    for (size_t o = 0; o < outer; ++o)
      for (size_t i = 0; i < inner; ++i) {
        int64_t *a = v + (o * rows + from) * inner + i;
        v[(o * rows + to) * inner + i] += *a;
        *a = 0;
      }
  }
}

/* Bring the outer layer of nodes to their owners. Of non-periodic directions nodes -1 and N remain if they count. */
static PetscErrorCode collect(HcKde kde, PetscBool keep_ends, Shape *shape, int64_t *v) {
  HcGrid g = kde->grid;
  size_t outer, inner;
  PetscFunctionBeginUser;
  for (int d = 0; d < g->dim; ++d) {
    const HcReach r = {.grid = g, .d = d, .ends = keep_ends, .reach = 1};
    const HcSpan own = hc_reach_owned(&r), span = hc_reach_span(&r);
    const size_t all = shape->n[d], rows = (size_t)(span.last - span.first), skip = (size_t)(span.first - (g->start[d] - 1));
    split_around(shape, d, &outer, &inner);
    if (!keep_ends && g->boundary[2 * d] != HC_PERIODIC) mirror_ends(g, d, outer, all, inner, v);
    for (size_t o = 0; o < outer && rows < all; ++o)
      PetscCall(PetscArraymove(v + o * rows * inner, v + (o * all + skip) * inner, rows * inner));
    PetscCall(hc_reach_add_integers(&r, outer, inner, v));
    shape->n[d] = (size_t)(own.last - own.first);
  }
  PetscFunctionReturn(0);
}

/* ---- convolution ---- */

/* Where in a fetched span each node from owned.first + taps.first on is found; -1: it is zero. */
static void source_index(HcKde kde, const HcReach *r, PetscInt first, PetscInt count, PetscInt *index) {
  const PetscInt cells = kde->grid->cells[r->d];
  const HcSpan span = hc_reach_span(r);
  const PetscBool periodic = kde->grid->boundary[2 * r->d] == HC_PERIODIC ? PETSC_TRUE : PETSC_FALSE;
  for (PetscInt i = 0; i < count; ++i) {
    PetscInt node = first + i;
    if (periodic) {
      if (span.last - span.first == cells) node = (node % cells + cells) % cells;
    } else if (!r->ends)
      node = node < 0 ? -1 - node : node >= cells ? 2 * cells - 1 - node : node;
    index[i] = node >= span.first && node < span.last ? node - span.first : -1;
  }
}

/* One direction's pass over the array, in place: a part is fetched whole before it is overwritten, and rows that become fewer
 * move only to where parts before them were. */
typedef struct {
  const HcReach *r;
  const HcKernelRow *taps;
  double *v;
  PetscInt *index;
  double *fetched, *line; /* a part's spans; a row as the taps see it */
  const double **row;     /* rows across as the taps see them */
} Pass;

static PetscErrorCode convolve_part(void *ctx, const HcPart *part) {
  const Pass *pass = ctx;
  const HcSpan span = hc_reach_span(pass->r);
  const size_t rows = (size_t)(span.last - span.first), taps = (size_t)pass->taps->count;
  const size_t n = (size_t)pass->r->grid->n[pass->r->d], seen = n + taps - 1;
  PetscFunctionBeginUser;
  PetscCall(hc_reach_fetch(pass->r, part, pass->v, pass->fetched));
  for (size_t o = 0; o < part->no; ++o) {
    const double *fetched = pass->fetched + o * rows * part->ni;
    double *to = pass->v + (part->o0 + o) * n * part->inner + part->i0;
    if (part->inner == 1) {
      for (size_t k = 0; k < seen; ++k) pass->line[k] = pass->index[k] < 0 ? 0 : fetched[pass->index[k]];
      HcConvolveAlong(n, taps, pass->taps->value, pass->line, to);
      continue;
    }
    for (size_t k = 0; k < seen; ++k) pass->row[k] = pass->index[k] < 0 ? NULL : fetched + (size_t)pass->index[k] * part->ni;
    for (size_t j = 0; j < n; ++j) HcConvolveAcross(part->ni, taps, pass->taps->value, pass->row + j, to + j * part->inner);
  }
  PetscFunctionReturn(0);
}

/* Convolve direction d: owned nodes (with ends) -> owned cells. */
static PetscErrorCode convolve(HcKde kde, int d, PetscBool keep_ends, Shape *shape, double *v) {
  HcKernelRow taps;
  HcReach r = {.grid = kde->grid, .d = d, .ends = keep_ends, .whole = PETSC_TRUE};
  Pass pass = {.r = &r, .taps = &taps, .v = v};
  size_t outer, inner;
  PetscFunctionBeginUser;
  PetscCall(PetscMalloc2(hc_kde_row_room(kde, d), &taps.value, hc_kde_row_room(kde, d), &taps.work));
  hc_kde_taps(kde, d, PETSC_TRUE, &taps);
  r.reach = PetscMax(-taps.first, taps.first + taps.count - 1);
  split_around(shape, d, &outer, &inner);
  shape->n[d] = (size_t)kde->grid->n[d];
  const PetscInt seen = kde->grid->n[d] + taps.count - 1;
  PetscCall(PetscMalloc4(seen, &pass.index, seen, &pass.line, seen, &pass.row, hc_reach_part_room(&r, inner), &pass.fetched));
  source_index(kde, &r, kde->grid->start[d] + taps.first, seen, pass.index);
  PetscCall(hc_reach_each_part(&r, outer, inner, convolve_part, &pass));
  PetscCall(PetscFree4(pass.index, pass.line, pass.row, pass.fetched));
  PetscCall(PetscFree2(taps.value, taps.work));
  PetscFunctionReturn(0);
}

PetscErrorCode hc_kde_binned(HcKde kde, const HcCloud *p, HcField out, int c) {
  HcGrid g = kde->grid;
  const PetscBool keep_ends = kde->spec.reflect || kde->spec.plan ? PETSC_FALSE : PETSC_TRUE;
  const double unit = choose_unit(p), scale = (p->weighted ? 1 : p->each) / unit;
  Shape shape;
  int64_t *bins;
  double *v;
  PetscFunctionBeginUser;
  PetscCall(bin(kde, p, unit, &shape, &bins));
  PetscCall(collect(kde, keep_ends, &shape, bins));
  v = (double *)bins; /* from here on the memory holds doubles */
  for (size_t i = 0; i < shape_size(&shape); ++i) v[i] = (double)bins[i] * scale;
  for (int d = 0; d < g->dim; ++d) {
    if (kde->spec.plan)
      PetscCall(hc_kde_convolve_between_walls(kde, d, v));
    else
      PetscCall(convolve(kde, d, keep_ends, &shape, v));
  }
  for (PetscInt k = 0, q = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i, ++q) out->c[c][i + j * out->stride[1] + k * out->stride[2]] = v[q];
  PetscCall(PetscFree(v));
  PetscFunctionReturn(0);
}

double hc_kde_binned_bytes(HcKde kde) {
  HcGrid g = kde->grid;
  double nodes = 1, bytes = 0;
  for (int d = 0; d < g->dim; ++d) nodes *= (double)g->n[d] + 2;
  for (int d = 0; d < g->dim; ++d) {
    const PetscInt half = hc_kde_half_width(kde, d);
    const HcReach r = {.grid = g,
      .d = d,
      .ends = PETSC_TRUE,
      .whole = kde->spec.plan ? PETSC_FALSE : PETSC_TRUE,
      .reach = kde->spec.plan ? half : PetscMin(half, g->cells[d] + 1)};
    size_t inner = 1;
    for (int e = 0; e < d; ++e) inner *= (size_t)g->n[e] + 2;
    const double part =
      (kde->spec.plan ? 4 : 2) * (double)hc_reach_part_room(&r, inner) + 4 * (double)g->n[d] + 10 * (double)half;
    bytes = PetscMax(bytes, part * sizeof(double));
  }
  return bytes + nodes * sizeof(double) * (kde->spec.plan ? 2 : 1);
}
