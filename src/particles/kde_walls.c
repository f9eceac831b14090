/* Density estimation inside a floor plan: neither binning nor convolution passes a wall. */
#include "kde_private.h"
#include "numerics/convolution.h"
#include <halocline/particles.h>
#include <math.h>

static PetscBool all_open(HcField open, int dim, const PetscInt node[3]) {
  for (int corner = 1; corner < 1 << dim; ++corner)
    for (int d = 0; d < dim; ++d) {
      const PetscInt i = node[0] + (corner & 1), j = node[1] + (corner >> 1 & 1), k = node[2] + (corner >> 2 & 1);
      if (corner >> d & 1 && open->c[d][i + j * open->stride[1] + k * open->stride[2]] != 1) return PETSC_FALSE;
    }
  return PETSC_TRUE;
}

/* Most points are nowhere near a wall: their cells are found at a glance. */
static PetscErrorCode mark_nodes(HcKde kde) {
  HcGrid g = kde->grid;
  PetscInt wide[3], node[3];
  PetscFunctionBeginUser;
  for (int d = 0; d < 3; ++d) wide[d] = d < g->dim;
  PetscCall(PetscMalloc1((g->n[0] + 2 * wide[0]) * (g->n[1] + 2 * wide[1]) * (g->n[2] + 2 * wide[2]), &kde->mark));
  size_t at = 0;
  for (node[2] = -wide[2]; node[2] < g->n[2] + wide[2]; ++node[2])
    for (node[1] = -wide[1]; node[1] < g->n[1] + wide[1]; ++node[1])
      for (node[0] = -wide[0]; node[0] < g->n[0] + wide[0]; ++node[0]) {
        const PetscBool last = node[0] == g->n[0] || (wide[1] && node[1] == g->n[1]) || (wide[2] && node[2] == g->n[2]);
        kde->mark[at++] = last || !all_open(kde->open, (int)g->dim, node);
      }
  PetscFunctionReturn(0);
}

PetscErrorCode hc_kde_walls_create(HcKde kde) {
  HcGrid g = kde->grid;
  HcField from = kde->spec.plan->open, to;
  PetscFunctionBeginUser;
  PetscCall(HcFieldCreate(g, (int)g->dim, 1, &to));
  kde->open = to;
  for (int d = 0; d < g->dim; ++d)
    for (PetscInt k = 0; k < g->n[2]; ++k)
      for (PetscInt j = 0; j < g->n[1]; ++j)
        for (PetscInt i = 0; i < g->n[0]; ++i)
          to->c[d][i + j * to->stride[1] + k * to->stride[2]] =
            from->c[d][i + j * from->stride[1] + k * from->stride[2]] == 1 &&
            (g->boundary[2 * d] == HC_PERIODIC || g->start[d] + (d == 0    ? i
                                                                  : d == 1 ? j
                                                                           : k) >
                                                    0);
  PetscCall(HcFieldExchange(to, HC_BOX));
  PetscCall(mark_nodes(kde));
  PetscFunctionReturn(0);
}

/* ---- binning ---- */

/* May mass step from a cell (local indices) to its neighbour above (up = 1) or below in direction d? */
static int may_pass(HcField open, const PetscInt cell[3], int d, int up) {
  PetscInt at[3] = {cell[0], cell[1], cell[2]};
  at[d] += up;
  return open->c[d][at[0] + at[1] * open->stride[1] + at[2] * open->stride[2]] == 1;
}

/* From the point's own cell towards one of the 2^dim nodes around it: a step in each direction where that node is another
 * cell, in any order that walls allow; steps that none allows are left out. */
static void walk(HcField open, int dim, const int step[3], PetscInt cell[3]) {
  int left[3] = {step[0], step[1], step[2]};
  for (int pass = 0; pass < dim; ++pass)
    for (int d = 0; d < dim; ++d)
      if (left[d] && may_pass(open, cell, d, left[d] > 0)) {
        cell[d] += left[d];
        left[d] = 0;
      }
}

/* One point. 0, or 1 if it is not in this rank's block. */
static int bin_by_walking(HcKde kde, const HcBins *s, const HcCloud *p, PetscInt q, double unit, int64_t *bins) {
  HcGrid g = kde->grid;
  double share[8] = {p->weight ? rint(p->weight[q] * unit) : unit};
  PetscInt own[3] = {0, 0, 0};
  int step[3] = {0, 0, 0};
  for (int d = 0, parts = 1; d < s->dim; ++d, parts *= 2) {
    /* the cell that migration and walks say: a point on a wall's face is in front of it */
    const PetscInt cell = HcGridCellOf(g, d, p->x[d][q]);
    const double offset = (p->x[d][q] - g->lower[d]) / g->h[d] - 0.5 - (double)cell;
    own[d] = cell - g->start[d];
    if (own[d] < 0 || own[d] >= g->n[d] || !(fabs(offset) < 0.51)) return 1;
    step[d] = offset < 0 ? -1 : 1;
    for (int i = 0; i < parts; ++i) {
      const double away = rint(fabs(offset) * share[i]);
      share[i + parts] = away;
      share[i] -= away;
    }
  }
  for (int i = 0; i < 1 << s->dim; ++i) {
    const int want[3] = {i & 1 ? step[0] : 0, i & 2 ? step[1] : 0, i & 4 ? step[2] : 0};
    PetscInt cell[3] = {own[0], own[1], own[2]};
    walk(kde->open, s->dim, want, cell);
    int64_t at = 0;
    for (int d = 2; d >= 0; --d) at = at * s->n[d] + (cell[d] + g->start[d] - s->first[d]);
    bins[at] += (int64_t)share[i];
  }
  return 0;
}

int hc_kde_bin_within_walls(HcKde kde, const HcBins *s, const HcCloud *p, double unit, int64_t *bins) {
  uint16_t skipped[HC_BIN_BLOCK];
  for (PetscInt at = 0; at < p->n; at += HC_BIN_BLOCK) {
    const PetscInt m = PetscMin(p->n - at, HC_BIN_BLOCK);
    const double *x[3] = {NULL, NULL, NULL};
    for (int d = 0; d < s->dim; ++d) x[d] = p->x[d] + at;
    const int skips = HcBinLinearUnmarked(s, (size_t)m, x, unit, p->weight ? p->weight + at : NULL, kde->mark, bins, skipped);
    if (skips < 0) return 1;
    for (int i = 0; i < skips; ++i)
      if (bin_by_walking(kde, s, p, at + skipped[i], unit, bins)) return 1;
  }
  return 0;
}

/* ---- convolution ---- */

typedef struct {
  const HcReach *r;
  const HcKernelRow *taps;
  const double *open;
  double *v, *fetched, *fetched_open, *line, *stretch;
} Pass;

/* A row of nodes span.first .. span.last-1: `value` and `open`, the state of the face below each node, at steps of `stride`. The
 * convolved values of nodes own.first .. own.last-1 go to `out`. Within a stretch the row is continued by its mirror images. A
 * stretch that the span cuts off ends farther away than the kernel reaches. */
static void convolve_row(const Pass *pass, HcSpan span, HcSpan own, const double *value, const double *open, size_t stride,
  double *out, size_t out_stride) {
  const HcKernelRow *taps = pass->taps;
  for (PetscInt i = own.first; i < own.last;) {
    PetscInt a = i, b = i + 1;
    while (a > span.first && open[(size_t)(a - span.first) * stride] == 1) --a;
    while (b < span.last && open[(size_t)(b - span.first) * stride] == 1) ++b;
    const PetscInt end = PetscMin(b, own.last), length = b - a, n = end - i, seen = n + taps->count - 1;
    PetscInt m = ((i + taps->first - a) % (2 * length) + 2 * length) % (2 * length);
    for (PetscInt k = 0; k < seen; ++k) {
      const PetscInt node = a + (m < length ? m : 2 * length - 1 - m);
      pass->line[k] = value[(size_t)(node - span.first) * stride];
      if (++m == 2 * length) m = 0;
    }
    HcConvolveAlong((size_t)n, (size_t)taps->count, taps->value, pass->line, pass->stretch);
    for (PetscInt k = 0; k < n; ++k) out[(size_t)(i - own.first + k) * out_stride] = pass->stretch[k];
    i = end;
  }
}

static PetscErrorCode convolve_part(void *ctx, const HcPart *part) {
  const Pass *pass = ctx;
  const HcSpan span = hc_reach_span(pass->r), own = hc_reach_owned(pass->r);
  const size_t rows = (size_t)(span.last - span.first), n = (size_t)(own.last - own.first);
  PetscFunctionBeginUser;
  PetscCall(hc_reach_fetch(pass->r, part, pass->v, pass->fetched));
  PetscCall(hc_reach_fetch(pass->r, part, pass->open, pass->fetched_open));
  for (size_t o = 0; o < part->no; ++o)
    for (size_t i = 0; i < part->ni; ++i)
      convolve_row(pass, span, own, pass->fetched + o * rows * part->ni + i, pass->fetched_open + o * rows * part->ni + i,
        part->ni, pass->v + (part->o0 + o) * n * part->inner + part->i0 + i, part->inner);
  PetscFunctionReturn(0);
}

PetscErrorCode hc_kde_convolve_between_walls(HcKde kde, int d, double *v) {
  HcGrid g = kde->grid;
  HcKernelRow taps;
  HcReach r = {.grid = g, .d = d};
  Pass pass = {.r = &r, .taps = &taps, .v = v};
  const size_t inner = (size_t)((d > 0 ? g->n[0] : 1) * (d > 1 ? g->n[1] : 1)), cells = (size_t)HcGridLocalCells(g);
  double *open;
  PetscFunctionBeginUser;
  PetscCall(PetscMalloc2(hc_kde_row_room(kde, d), &taps.value, hc_kde_row_room(kde, d), &taps.work));
  hc_kde_taps(kde, d, PETSC_FALSE, &taps);
  r.reach = PetscMax(-taps.first, taps.first + taps.count - 1);
  const size_t room = hc_reach_part_room(&r, inner);
  PetscCall(
    PetscMalloc4(room, &pass.fetched, room, &pass.fetched_open, g->n[d] + taps.count, &pass.line, g->n[d], &pass.stretch));
  PetscCall(PetscMalloc1(cells, &open));
  HcFieldToArray(kde->open, d, open);
  pass.open = open;
  PetscCall(hc_reach_each_part(&r, cells / (inner * (size_t)g->n[d]), inner, convolve_part, &pass));
  PetscCall(PetscFree(open));
  PetscCall(PetscFree4(pass.fetched, pass.fetched_open, pass.line, pass.stretch));
  PetscCall(PetscFree2(taps.value, taps.work));
  PetscFunctionReturn(0);
}
