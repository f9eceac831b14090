/* Ghosts of phi: neighbours, mirror images, extrapolation, given values. */
#include "hj.h"
#include <math.h>

void HjBoundaryRules(Hj hj, HcFill rule[6]) {
  for (int f = 0; f < 6; ++f) {
    switch (f < 2 * hj->grid->dim ? hj->grid->boundary[f] : HC_PERIODIC) {
    case HC_REFLECTING:
    case HC_SYMMETRY:
      rule[f] = HC_FILL_EVEN;
      break;
    case HC_OUTFLOW:
      rule[f] = HC_FILL_LINEAR;
      break;
    default:
      rule[f] = HC_FILL_NONE;
    }
  }
}

/* Do waves leave through the face at these cells of a row, dH/dp_n outwards > 0? From the derivative inwards and central
 * ones along the face. */
static void leaving(Hj hj, int face, double t, HcField u, PetscInt i, PetscInt j, PetscInt k, PetscInt n, PetscBool *out) {
  HcGrid g = hj->grid;
  const int normal = face / 2, sign = face % 2 ? 1 : -1;
  const HjRow row = {.n = n, .t = t, .x = hj->x + i, .y = HcGridCentre(g, 1, j), .z = HcGridCentre(g, 2, k)};
  const double *f = u->c[0] + i + j * u->stride[1] + k * u->stride[2];
  double p[3][HJ_ROW], slope[HJ_ROW];
  const double *const q[3] = {p[0], p[1], p[2]};
  for (int d = 0; d < g->dim; ++d) {
    const ptrdiff_t lower = d == normal && sign < 0 ? 0 : -u->stride[d], upper = d == normal && sign > 0 ? 0 : u->stride[d];
    const double scale = 1 / (g->h[d] * (d == normal ? 1 : 2));
    for (PetscInt r = 0; r < n; ++r) p[d][r] = (f[r + upper] - f[r + lower]) * scale;
  }
  hj->H.kind->slope(&hj->H, &row, normal, q, slope);
  for (PetscInt r = 0; r < n; ++r) out[r] = sign * slope[r] > 0 ? PETSC_TRUE : PETSC_FALSE;
}

/*
 * The line of cells that crosses the face at v; v[q*inward] is its q-th cell. The cubic through four cells keeps the order of
 * the scheme where waves leave. Where they enter, extrapolated curvature feeds on itself and grows without bound, and at kinks,
 * where differences do not decrease with their order, it overshoots: there the extrapolation is linear.
 */
static void extrapolate(PetscInt width, PetscBool leaves, double *v, ptrdiff_t inward) {
  const double f0 = v[0], f1 = v[inward], f2 = v[2 * inward], f3 = v[3 * inward];
  const double d1 = f0 - f1, d2 = f0 - 2 * f1 + f2, d3 = f0 - 3 * f1 + 3 * f2 - f3;
  const double smooth = leaves && fabs(d3) <= fabs(d2) && fabs(d2) <= fabs(d1) ? 1 : 0;
  for (PetscInt m = 1; m <= width; ++m) {
    const double r = (double)m;
    v[-m * inward] = f0 + r * d1 + smooth * (r * (r + 1) / 2 * d2 + r * (r + 1) * (r + 2) / 6 * d3);
  }
}

static void fill_outflow(Hj hj, int face, double t, HcField u) {
  HcGrid g = hj->grid;
  const int d = face / 2;
  const ptrdiff_t inward = face % 2 ? -u->stride[d] : u->stride[d];
  PetscInt from[3] = {0, 0, 0}, to[3] = {g->n[0], g->n[1], g->n[2]};
  PetscBool leaves[HJ_ROW];
  from[d] = face % 2 ? g->n[d] - 1 : 0;
  to[d] = from[d] + 1;
  for (PetscInt k = from[2]; k < to[2]; ++k)
    for (PetscInt j = from[1]; j < to[1]; ++j)
      for (PetscInt i = from[0]; i < to[0]; i += HJ_ROW) {
        const PetscInt n = PetscMin(HJ_ROW, to[0] - i);
        leaving(hj, face, t, u, i, j, k, n, leaves);
        for (PetscInt r = 0; r < n; ++r)
          extrapolate(u->width, leaves[r], u->c[0] + i + r + j * u->stride[1] + k * u->stride[2], inward);
      }
}

/* The given values behind a face, row by row: along the face for y and z, a few cells long for x. */
static void fill_given(Hj hj, int face, double t, HcField u) {
  HcGrid g = hj->grid;
  const int d = face / 2;
  PetscInt from[3] = {0, 0, 0}, to[3] = {g->n[0], g->n[1], g->n[2]};
  from[d] = face % 2 ? g->n[d] : -u->width;
  to[d] = face % 2 ? g->n[d] + u->width : 0;
  for (PetscInt k = from[2]; k < to[2]; ++k)
    for (PetscInt j = from[1]; j < to[1]; ++j)
      for (PetscInt i = from[0]; i < to[0]; i += HJ_ROW) {
        const PetscInt n = PetscMin(HJ_ROW, to[0] - i);
        const double y = HcGridCentre(g, 1, j), z = HcGridCentre(g, 2, k);
        double x[HJ_ROW];
        for (PetscInt q = 0; q < n; ++q) x[q] = HcGridCentre(g, 0, i + q);
        const HcExprArg args[4] = {{x, 1}, {&y, 0}, {&z, 0}, {&t, 0}};
        HcExprEval(hj->boundary, (size_t)n, args, u->c[0] + i + j * u->stride[1] + k * u->stride[2]);
      }
}

PetscErrorCode HjFillGhostsLinear(void *ctx, double t, HcField u) {
  Hj hj = ctx;
  HcFill rule[6];
  PetscFunctionBeginUser;
  PetscCall(HcFieldExchange(u, HC_STAR));
  HjBoundaryRules(hj, rule);
  PetscCall(HcFieldFillBoundary(u, 0, u->width, rule, NULL));
  for (int f = 0; f < 2 * hj->grid->dim; ++f)
    if (hj->grid->boundary[f] == HC_GIVEN && HcGridAtEdge(hj->grid, f)) fill_given(hj, f, t, u);
  PetscFunctionReturn(0);
}

PetscErrorCode HjFillGhosts(void *ctx, double t, HcField u) {
  Hj hj = ctx;
  PetscFunctionBeginUser;
  PetscCall(HjFillGhostsLinear(hj, t, u));
  for (int f = 0; f < 2 * hj->grid->dim && !hj->upwind; ++f)
    if (hj->grid->boundary[f] == HC_OUTFLOW && HcGridAtEdge(hj->grid, f)) fill_outflow(hj, f, t, u);
  PetscFunctionReturn(0);
}
