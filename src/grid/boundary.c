/* Ghosts beyond the faces of the domain, by local rules. */
#include "grid_private.h"
#include <string.h>

enum { MAX_POINTS = 4 };

/* One ghost layer as a combination of interior layers: ghost = sum of weight[p] * layer[p] (+ a constant). */
typedef struct {
  int points;
  PetscInt layer[MAX_POINTS]; /* index in the face's direction */
  double weight[MAX_POINTS];
  double constant;
} Combination;

/* Weights of the polynomial through layers 0 .. points-1 at -distance (Lagrange). The quotients are whole numbers, so
 * they are exact. */
static void extrapolation(int points, PetscInt distance, double weight[]) {
  for (int p = 0; p < points; ++p) {
    double over = 1, under = 1;
    for (int q = 0; q < points; ++q) {
      if (q == p) continue;
      over *= -(double)(distance + q);
      under *= p - q;
    }
    weight[p] = over / under;
  }
}

/* How many layers the polynomial of a rule goes through: a domain thinner than it needs takes the highest degree that
 * it can determine. */
static int points_of(HcFill rule, PetscInt cells) {
  const int points = rule == HC_FILL_COPY ? 1 : rule == HC_FILL_LINEAR ? 2 : rule == HC_FILL_CUBIC ? 4 : 0;
  return (int)PetscMin(cells, (PetscInt)points);
}

/* The ghost layer at a distance of 1..width beyond the face; n is the block's size in its direction. */
static Combination combination(HcFill rule, PetscInt distance, int upper, PetscInt n, PetscInt cells, double value) {
  Combination m = {0};
  switch (rule) {
  case HC_FILL_EVEN:
  case HC_FILL_ODD:
    m.points = 1;
    m.layer[0] = distance - 1;
    m.weight[0] = rule == HC_FILL_EVEN ? 1 : -1;
    break;
  case HC_FILL_COPY:
  case HC_FILL_LINEAR:
  case HC_FILL_CUBIC:
    m.points = points_of(rule, cells);
    for (int p = 0; p < m.points; ++p) m.layer[p] = p;
    extrapolation(m.points, distance, m.weight);
    break;
  case HC_FILL_CONSTANT:
    m.constant = value;
    break;
  case HC_FILL_NONE:
    break;
  }
  if (upper)
    for (int p = 0; p < m.points; ++p) m.layer[p] = n - 1 - m.layer[p];
  return m;
}

/* from[p] + i and to + i for n cells `step` apart; inlined with the number of points constant, so that rows vectorise. */
static inline __attribute__((always_inline)) void combine(
  const int points, const Combination *m, const double *const from[], double *to, PetscInt n, PetscInt step) {
  for (PetscInt i = 0; i < n * step; i += step) {
    double sum = points ? m->weight[0] * from[0][i] : m->constant;
    for (int p = 1; p < points; ++p) sum += m->weight[p] * from[p][i];
    to[i] = sum;
  }
}

/* n cells of a ghost layer from the layers that lie some offset away. */
static void fill_row(const Combination *m, const PetscInt offset[], double *to, PetscInt n, PetscInt step) {
  const double *from[MAX_POINTS] = {to, to, to, to};
  for (int p = 0; p < m->points; ++p) from[p] = to + offset[p];
  switch (step == 1 ? m->points : -1) {
  case 0:
    combine(0, m, from, to, n, 1);
    break;
  case 1:
    combine(1, m, from, to, n, 1);
    break;
  case 2:
    combine(2, m, from, to, n, 1);
    break;
  case 4:
    combine(4, m, from, to, n, 1);
    break;
  default: /* columns, and domains of three cells */
    combine(m->points, m, from, to, n, step);
  }
}

/* One ghost layer over its extent, ghosts of the other directions included: in rows along x, or beyond x-faces in
 * columns along y. */
static void fill_layer(HcField f, int c, PetscInt width, int d, PetscInt ghost, const Combination *m) {
  HcGrid g = f->grid;
  PetscInt lo[3], hi[3], offset[MAX_POINTS] = {0};
  for (int e = 0; e < 3; ++e) {
    const PetscInt w = e < g->dim ? width : 0;
    lo[e] = e == d ? ghost : -w;
    hi[e] = e == d ? ghost + 1 : g->n[e] + w;
  }
  for (int p = 0; p < m->points; ++p) offset[p] = (m->layer[p] - ghost) * f->stride[d];
  const int along = d == 0 ? 1 : 0, across = d == 2 ? 1 : 2;
  for (PetscInt k = lo[across]; k < hi[across]; ++k) {
    double *start = f->c[c] + lo[along] * f->stride[along] + ghost * f->stride[d] + k * f->stride[across];
    fill_row(m, offset, start, hi[along] - lo[along], f->stride[along]);
  }
}

/* A block thinner than the polynomial reads cells of the next block, which the exchange has brought as ghosts. Every rank
 * checks the thinnest block, so that all find the same error. */
static PetscErrorCode check_depth(HcGrid g, int d, PetscInt width, PetscInt points) {
  const PetscInt thinnest = g->cells[d] / g->ranks[d];
  PetscFunctionBeginUser;
  HcRequire(g->ranks[d] == 1 || points <= thinnest + width, HC_EXIT_INPUT,
    "grid_cells: blocks of %lld cells in direction %c are too thin for the extrapolation at the boundary; use fewer ranks or "
    "more cells",
    (long long)thinnest, "xyz"[d]);
  PetscFunctionReturn(0);
}

PetscErrorCode HcFieldFillBoundary(HcField f, int c, PetscInt width, const HcFill rule[6], const double value[6]) {
  HcGrid g = f->grid;
  PetscFunctionBeginUser;
  PetscCheck(c >= 0 && c < f->components, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "Component %d of %d", c, f->components);
  PetscCheck(width >= 0 && width <= f->width, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "%d of %d ghost layers", (int)width,
    (int)f->width);
  for (int face = 0; face < 2 * g->dim; ++face) {
    const int d = face / 2, upper = face % 2;
    if (rule[face] == HC_FILL_NONE || g->boundary[face] == HC_PERIODIC || width == 0) continue;
    PetscCall(check_depth(g, d, width, points_of(rule[face], g->cells[d])));
    if (!HcGridAtEdge(g, face)) continue;
    PetscCheck(rule[face] != HC_FILL_CONSTANT || value, PETSC_COMM_SELF, PETSC_ERR_ARG_NULL, "No value for a constant boundary");
    for (PetscInt distance = 1; distance <= width; ++distance) {
      const PetscInt ghost = upper ? g->n[d] - 1 + distance : -distance;
      const Combination m = combination(rule[face], distance, upper, g->n[d], g->cells[d], value ? value[face] : 0);
      fill_layer(f, c, width, d, ghost, &m);
    }
  }
  PetscFunctionReturn(0);
}
