/* Ghosts beyond the faces of the domain (parallel). */
#include "tap.h"
#include <halocline/grid.h>

static double *at(HcField f, const PetscInt l[3]) { return f->c[1] + l[0] + l[1] * f->stride[1] + l[2] * f->stride[2]; }

/* A product of one cubic a direction, in the cell index: whole numbers, so that extrapolation is exact to the bit. */
static double cubic(int d, double s) { return s * s * s - (3 + d) * s * s + (2 * d + 1) * s + 7; }

/* What a direction's ghost stands for: the index to take instead, a sign, or an extrapolated value. */
static double ghost_factor(HcFill rule, int d, PetscInt cell, PetscInt cells) {
  const PetscInt out = cell < 0 ? -cell : cell >= cells ? cell - cells + 1 : 0; /* layers beyond the face */
  const PetscInt mirror = cell < 0 ? out - 1 : cells - out, edge = cell < 0 ? 0 : cells - 1, next = cell < 0 ? 1 : cells - 2;
  if (!out) return cubic(d, (double)cell);
  switch (rule) {
  case HC_FILL_EVEN:
    return cubic(d, (double)mirror);
  case HC_FILL_ODD:
    return -cubic(d, (double)mirror);
  case HC_FILL_COPY:
    return cubic(d, (double)edge);
  case HC_FILL_LINEAR:
    return (double)(1 + out) * cubic(d, (double)edge) - (double)out * cubic(d, (double)next);
  default:
    return cubic(d, (double)cell);
  }
}

#define FOR_GHOSTED(g, w, l)                                                                                                     \
  for (l[2] = (g)->dim > 2 ? -(w) : 0; l[2] < (g)->n[2] + ((g)->dim > 2 ? (w) : 0); ++l[2])                                      \
    for (l[1] = (g)->dim > 1 ? -(w) : 0; l[1] < (g)->n[1] + ((g)->dim > 1 ? (w) : 0); ++l[1])                                    \
      for (l[0] = -(w); l[0] < (g)->n[0] + (w); ++l[0])

static int is_owned(HcGrid g, const PetscInt l[3]) {
  for (int d = 0; d < 3; ++d)
    if (l[d] < 0 || l[d] >= g->n[d]) return 0;
  return 1;
}

/* Product data, another rule on each face, edges and corners included: the ghost is the product of the directions'
 * ghosts, whatever the cut. */
static PetscErrorCode test_rules(PetscInt dim, const HcFill rule[6], int periodic, PetscInt width) {
  HcGridSpec spec = {.dim = dim, .cells = {11, 9, 8}, .upper = {1, 1, 1}, .min_block = PetscMax(width, 4 - width)};
  HcGrid g;
  HcField f;
  PetscInt l[3];
  long wrong = 0;
  PetscFunctionBeginUser;
  for (int d = 0; d < dim; ++d) spec.boundary[2 * d] = spec.boundary[2 * d + 1] = periodic >> d & 1 ? HC_PERIODIC : HC_OUTFLOW;
  if (HcGridCreate(PETSC_COMM_WORLD, &spec, &g)) {
    HcErrorClear();
    PetscFunctionReturn(0);
  }
  PetscCall(HcFieldCreate(g, 2, width, &f));
  FOR_GHOSTED(g, width, l) {
    double v = 1;
    for (int d = 0; d < dim; ++d) v *= cubic(d, (double)(g->start[d] + l[d]));
    *at(f, l) = is_owned(g, l) ? v : NAN;
  }
  PetscCall(HcFieldExchange(f, HC_BOX));
  PetscCall(HcFieldFillBoundary(f, 1, width, rule, NULL));
  FOR_GHOSTED(g, width, l) {
    double v = 1;
    for (int d = 0; d < dim; ++d) {
      PetscInt cell = g->start[d] + l[d];
      if (periodic >> d & 1) cell = (cell + g->cells[d]) % g->cells[d];
      v *= ghost_factor(rule[2 * d + (cell >= g->cells[d])], d, cell, g->cells[d]);
    }
    wrong += *at(f, l) != v;
  }
  tap_ok(wrong == 0, "%dD, %d layers, periodic mask %d: rules %d %d %d %d %d %d", (int)dim, (int)width, periodic, rule[0],
    rule[1], rule[2], rule[3], rule[4], rule[5]);
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

/* Constants are a face's own; NONE leaves what was there; other components and owned cells stay. */
static PetscErrorCode test_constant(void) {
  HcGridSpec spec = {.dim = 2, .cells = {9, 8}, .upper = {1, 1}, .min_block = 2};
  const HcFill rule[6] = {HC_FILL_CONSTANT, HC_FILL_NONE, HC_FILL_CONSTANT, HC_FILL_CONSTANT};
  const double value[6] = {10, 20, 30, 40};
  HcGrid g;
  HcField f;
  PetscInt l[3];
  long wrong = 0;
  PetscFunctionBeginUser;
  for (int i = 0; i < 4; ++i) spec.boundary[i] = HC_GIVEN;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, &g));
  PetscCall(HcFieldCreate(g, 2, 2, &f));
  FOR_GHOSTED(g, 2, l) * at(f, l) = is_owned(g, l) ? 1 : -1;
  PetscCall(HcFieldFillBoundary(f, 1, 2, rule, value));
  FOR_GHOSTED(g, 2, l) {
    const PetscInt x = g->start[0] + l[0], y = g->start[1] + l[1];
    double v = is_owned(g, l) ? 1 : -1;
    if (x < 0) v = 10;
    if (y < 0) v = 30; /* y-faces after x-faces: the corner is theirs */
    if (y >= 8) v = 40;
    wrong += *at(f, l) != v || f->c[0][l[0] + l[1] * f->stride[1]] != 0;
  }
  tap_ok(wrong == 0, "constants, and faces left alone");
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

/* A domain of two cells determines a line, not a cubic. */
static PetscErrorCode test_thin(void) {
  HcGridSpec spec = {.dim = 2, .cells = {2, 40}, .upper = {1, 1}, .min_block = 1};
  const HcFill rule[6] = {HC_FILL_CUBIC, HC_FILL_CUBIC, HC_FILL_EVEN, HC_FILL_EVEN};
  HcGrid g;
  HcField f;
  int ok = 1;
  PetscFunctionBeginUser;
  for (int i = 0; i < 4; ++i) spec.boundary[i] = HC_OUTFLOW;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, &g));
  PetscCall(HcFieldCreate(g, 1, 1, &f));
  for (PetscInt j = 0; j < g->n[1]; ++j)
    for (PetscInt i = 0; i < g->n[0]; ++i) f->c[0][i + j * f->stride[1]] = (double)(5 + 3 * (g->start[0] + i));
  PetscCall(HcFieldExchange(f, HC_STAR));
  PetscCall(HcFieldFillBoundary(f, 0, 1, rule, NULL));
  for (PetscInt j = 0; j < g->n[1]; ++j)
    ok = ok && f->c[0][-1 + j * f->stride[1]] == (double)(5 + 3 * (g->start[0] - 1)) &&
         f->c[0][g->n[0] + j * f->stride[1]] == (double)(5 + 3 * (g->start[0] + g->n[0]));
  tap_ok(ok, "cubic extrapolation falls back to a line on two cells");
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

/* Blocks too thin for the polynomial are the user's mistake and found by every rank. */
static PetscErrorCode test_too_thin(void) {
  HcGridSpec spec = {.dim = 1, .cells = {4}, .upper = {1}, .min_block = 1};
  const HcFill rule[6] = {HC_FILL_CUBIC, HC_FILL_CUBIC};
  HcGrid g;
  HcField f;
  PetscFunctionBeginUser;
  spec.boundary[0] = spec.boundary[1] = HC_OUTFLOW;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, &g));
  PetscCall(HcFieldCreate(g, 1, 1, &f));
  const PetscErrorCode code = HcFieldFillBoundary(f, 0, 1, rule, NULL);
  tap_ok(
    g->size == 1 ? !code : HcErrorKind(code) == HC_EXIT_INPUT, "cubic extrapolation refuses blocks thinner than its stencil");
  HcErrorClear();
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  static const HcFill rules[][6] = {
    {HC_FILL_EVEN, HC_FILL_ODD, HC_FILL_COPY, HC_FILL_LINEAR, HC_FILL_CUBIC, HC_FILL_EVEN},
    {HC_FILL_CUBIC, HC_FILL_LINEAR, HC_FILL_EVEN, HC_FILL_CUBIC, HC_FILL_COPY, HC_FILL_ODD},
    {HC_FILL_COPY, HC_FILL_CUBIC, HC_FILL_ODD, HC_FILL_EVEN, HC_FILL_LINEAR, HC_FILL_CUBIC},
  };
  tap_start(&argc, &argv);
  for (PetscInt dim = 1; dim <= 3; ++dim)
    for (unsigned r = 0; r < sizeof rules / sizeof rules[0]; ++r)
      for (int periodic = 0; periodic < 1 << dim; ++periodic)
        for (PetscInt width = 1; width <= HC_MAX_WIDTH; ++width) PetscCall(test_rules(dim, rules[r], periodic, width));
  PetscCall(test_constant());
  PetscCall(test_thin());
  PetscCall(test_too_thin());
  return tap_done();
}
