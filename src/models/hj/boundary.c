/* Ghosts of phi: neighbours, mirror images, extrapolation, given values. */
#include "hj.h"

void HjBoundaryRules(Hj hj, HcFill rule[6]) {
  for (int f = 0; f < 6; ++f) {
    switch (f < 2 * hj->grid->dim ? hj->grid->boundary[f] : HC_PERIODIC) {
    case HC_REFLECTING:
    case HC_SYMMETRY:
      rule[f] = HC_FILL_EVEN;
      break;
    case HC_OUTFLOW:
      rule[f] = HC_FILL_CUBIC;
      break;
    default:
      rule[f] = HC_FILL_NONE;
    }
  }
}

/* The given values behind face f, row by row: along the face for y and z, a cell's width for x. */
static PetscErrorCode fill_given(Hj hj, int f, double t, HcField u) {
  HcGrid g = hj->grid;
  const int d = f / 2;
  PetscInt from[3] = {0, 0, 0}, to[3] = {g->n[0], g->n[1], g->n[2]};
  PetscFunctionBeginUser;
  from[d] = f % 2 ? g->n[d] : -u->width;
  to[d] = f % 2 ? g->n[d] + u->width : 0;
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
  PetscFunctionReturn(0);
}

PetscErrorCode HjFillGhosts(void *ctx, double t, HcField u) {
  Hj hj = ctx;
  HcFill rule[6];
  PetscFunctionBeginUser;
  PetscCall(HcFieldExchange(u, HC_STAR));
  HjBoundaryRules(hj, rule);
  PetscCall(HcFieldFillBoundary(u, 0, u->width, rule, NULL));
  for (int f = 0; f < 2 * hj->grid->dim; ++f)
    if (hj->grid->boundary[f] == HC_GIVEN && HcGridAtEdge(hj->grid, f)) PetscCall(fill_given(hj, f, t, u));
  PetscFunctionReturn(0);
}
