/* parallel: the Laplacian of order 2, 4, 6 and implicit steps with it against its own eigenfunctions. */
#include "tap.h"
#include <halocline/diffusion.h>
#include <string.h>

typedef struct {
  HcDiffusion d;
  HcFill rule[6];
  double given; /* value at given faces */
} Test;

static PetscErrorCode fill_ghosts(void *ctx, double t, HcField u) {
  Test *test = ctx;
  HcFill rule[6];
  double value[6];
  (void)t;
  PetscFunctionBeginUser;
  PetscCall(HcFieldExchange(u, HC_STAR));
  for (int f = 0; f < 6; ++f) {
    rule[f] = test->rule[f];
    value[f] = test->given;
    if (u->grid->boundary[f] == HC_GIVEN) rule[f] = HC_FILL_CONSTANT;
  }
  PetscCall(HcFieldFillBoundary(u, 0, u->width, rule, value));
  PetscFunctionReturn(0);
}

/* Symbol of -h^2 d^2/dx^2 at wave number times h. */
static double symbol(PetscInt order, double kh) {
  if (order == 2) return 2 - 2 * cos(kh);
  if (order == 4) return 2.5 - 8. / 3. * cos(kh) + cos(2 * kh) / 6;
  return 49. / 18. - 3 * cos(kh) + 0.3 * cos(2 * kh) - cos(3 * kh) / 45;
}

/* cos(pi m_d x_d) on [0,1]^d: an eigenfunction with mirror faces, and with m even with periodic ones. */
static const int mode[3] = {2, 4, 2};

static double wave(HcGrid g, PetscInt i, PetscInt j, PetscInt k) {
  const PetscInt at[3] = {i, j, k};
  double w = 1;
  for (int d = 0; d < g->dim; ++d) w *= cos(M_PI * mode[d] * HcGridCentre(g, d, at[d]));
  return w;
}

static double eigenvalue(HcGrid g, PetscInt order) {
  double s = 0;
  for (int d = 0; d < g->dim; ++d) s += symbol(order, M_PI * mode[d] * g->h[d]) / (g->h[d] * g->h[d]);
  return s;
}

static double worst_difference(HcField u, double scale, double shift) {
  HcGrid g = u->grid;
  double worst = 0;
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i)
        worst = fmax(worst, fabs(u->c[0][i + j * u->stride[1] + k * u->stride[2]] - shift - scale * wave(g, i, j, k)));
  MPI_Allreduce(MPI_IN_PLACE, &worst, 1, MPI_DOUBLE, MPI_MAX, g->comm);
  return worst;
}

static void fill(HcField u, double scale, double shift) {
  HcGrid g = u->grid;
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i) u->c[0][i + j * u->stride[1] + k * u->stride[2]] = shift + scale * wave(g, i, j, k);
}

static PetscErrorCode eigenfunctions(PetscInt dim, HcBoundary boundary, PetscInt order, PetscInt cells, PetscInt *most) {
  HcGridSpec spec = {.dim = dim, .cells = {cells, cells - 3, cells + 2}, .upper = {1, 1, 1}, .min_block = 3};
  Test test = {0};
  HcGrid g;
  HcField u, out;
  PetscFunctionBeginUser;
  for (int f = 0; f < 6; ++f) spec.boundary[f] = boundary;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, &g));
  PetscCall(HcFieldCreate(g, 1, 3, &u));
  PetscCall(HcFieldCreate(g, 1, 0, &out));
  for (int f = 0; f < 6; ++f) test.rule[f] = boundary == HC_PERIODIC ? HC_FILL_NONE : HC_FILL_EVEN;
  PetscCall(HcDiffusionCreate(g, order, 3, test.rule, fill_ghosts, &test, &test.d));
  const double lambda = eigenvalue(g, order), round = 50 * 2.3e-16 * HcSecondDifferenceBound(order) * cells * cells * (double)dim;
  fill(u, 1, 0);
  PetscCall(HcDiffusionApply(test.d, 0, 1, u, out));
  tap_near(worst_difference(out, -lambda, 0), 0, round, "Laplacian of an eigenfunction");
  *most = 0;
  for (double c = 1e-4; c < 20; c *= 10) {
    PetscInt its;
    fill(out, 1 + c * lambda, 0);
    fill(u, 0, 0);
    PetscCall(HcDiffusionSolve(test.d, 0, c, out, u, &its));
    *most = PetscMax(*most, its);
    /* residual below 1e-10 of the rhs in the 2-norm, so the error in the maximum below 1e-10 |rhs|_2 <= 1e-10 sqrt(N) |rhs|_max
     */
    tap_near(worst_difference(u, 1, 0) / (1 + c * lambda), 0, 1e-10 * sqrt(HcGridTotalCells(g)), "solution of an implicit step");
  }
  PetscCall(HcDiffusionDestroy(&test.d));
  PetscCall(HcFieldDestroy(&u));
  PetscCall(HcFieldDestroy(&out));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

/* Given values 3 at all faces and everywhere inside: nothing changes; and extrapolating faces take a nonsymmetric solver. */
static PetscErrorCode faces(HcBoundary boundary) {
  HcGridSpec spec = {.dim = 2, .cells = {14, 11, 1}, .upper = {1, 1, 1}, .min_block = 3};
  Test test = {.given = 3};
  HcGrid g;
  HcField u, rhs;
  PetscFunctionBeginUser;
  for (int f = 0; f < 6; ++f) spec.boundary[f] = boundary;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, &g));
  PetscCall(HcFieldCreate(g, 1, 3, &u));
  PetscCall(HcFieldCreate(g, 1, 0, &rhs));
  for (int f = 0; f < 6; ++f) test.rule[f] = boundary == HC_GIVEN ? HC_FILL_NONE : HC_FILL_LINEAR;
  PetscCall(HcDiffusionCreate(g, 6, 3, test.rule, fill_ghosts, &test, &test.d));
  fill(rhs, 0, 3);
  fill(u, 1, 1);
  PetscCall(HcDiffusionSolve(test.d, 0, 0.05, rhs, u, NULL));
  tap_near(worst_difference(u, 0, 3), 0, 3e-10 * sqrt(HcGridTotalCells(g)),
    boundary == HC_GIVEN ? "given faces" : "extrapolating faces");
  PetscCall(HcDiffusionDestroy(&test.d));
  PetscCall(HcFieldDestroy(&u));
  PetscCall(HcFieldDestroy(&rhs));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

static PetscErrorCode run(void) {
  PetscFunctionBeginUser;
  for (PetscInt dim = 1; dim <= 3; ++dim)
    for (PetscInt order = 2; order <= 6; order += 2) {
      PetscInt coarse, fine;
      PetscCall(eigenfunctions(dim, order == 4 ? HC_REFLECTING : HC_PERIODIC, order, 14, &coarse));
      PetscCall(eigenfunctions(dim, order == 4 ? HC_REFLECTING : HC_PERIODIC, order, dim == 3 ? 28 : 56, &fine));
      tap_ok(fine <= coarse + 4, "iterations do not grow with the grid (%d, then %d)", (int)coarse, (int)fine);
    }
  PetscCall(faces(HC_GIVEN));
  PetscCall(faces(HC_OUTFLOW));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  tap_ok(!run(), "no call failed");
  return tap_done();
}
