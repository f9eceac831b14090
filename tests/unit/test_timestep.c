/* parallel: Runge-Kutta steps over fields: orders, choice and repetition of dt, work done through the stage's combination. */
#include "tap.h"
#include <halocline/timestep.h>

/* y' = cos(t) y^2, y = 1/(1/y0 - sin t): nonlinear and dependent on time. A stiff part -k y is split off for IMEX. */
typedef struct {
  double split;
  double choice, refuse_above;
  int stages, choices;
} Test;

static double start(HcGrid g, int c, PetscInt i) { return 0.3 + 0.1 * c + 0.2 * HcGridCentre(g, 0, i); }

static PetscErrorCode stage(void *ctx, double t, HcField u, double a, HcField base, double b, double c, HcField out) {
  Test *test = ctx;
  PetscFunctionBeginUser;
  ++test->stages;
  for (int q = 0; q < u->components; ++q)
    for (PetscInt j = 0; j < u->grid->n[1]; ++j)
      for (PetscInt i = 0; i < u->grid->n[0]; ++i) {
        const PetscInt at = i + j * u->stride[1], ab = base ? i + j * base->stride[1] : 0, ao = i + j * out->stride[1];
        const double y = u->c[q][at], E = cos(t) * y * y + test->split * y;
        out->c[q][ao] = (base ? a * base->c[q][ab] : 0) + b * y + c * E;
      }
  PetscFunctionReturn(0);
}

static PetscErrorCode implicit(void *ctx, double t, HcField u, HcField out) {
  Test *test = ctx;
  (void)t;
  PetscFunctionBeginUser;
  for (int q = 0; q < u->components; ++q)
    for (PetscInt j = 0; j < u->grid->n[1]; ++j)
      for (PetscInt i = 0; i < u->grid->n[0]; ++i)
        out->c[q][i + j * out->stride[1]] = -test->split * u->c[q][i + j * u->stride[1]];
  PetscFunctionReturn(0);
}

static PetscErrorCode solve(void *ctx, double t, double c, HcField rhs, HcField u) {
  Test *test = ctx;
  (void)t;
  PetscFunctionBeginUser;
  for (int q = 0; q < u->components; ++q)
    for (PetscInt j = 0; j < u->grid->n[1]; ++j)
      for (PetscInt i = 0; i < u->grid->n[0]; ++i)
        u->c[q][i + j * u->stride[1]] = rhs->c[q][i + j * rhs->stride[1]] / (1 + c * test->split);
  PetscFunctionReturn(0);
}

static PetscErrorCode choose(void *ctx, double t, double *dt) {
  Test *test = ctx;
  (void)t;
  PetscFunctionBeginUser;
  ++test->choices;
  *dt = test->choice;
  PetscFunctionReturn(0);
}

static PetscErrorCode check(void *ctx, double *dt) {
  Test *test = ctx;
  PetscFunctionBeginUser;
  if (*dt > test->refuse_above) *dt = 0.5 * *dt;
  PetscFunctionReturn(0);
}

static void fill(HcField u) {
  for (int q = 0; q < u->components; ++q)
    for (PetscInt j = 0; j < u->grid->n[1]; ++j)
      for (PetscInt i = 0; i < u->grid->n[0]; ++i) u->c[q][i + j * u->stride[1]] = start(u->grid, q, i);
}

static double error_at(HcField u, double t) {
  double worst = 0;
  for (int q = 0; q < u->components; ++q)
    for (PetscInt j = 0; j < u->grid->n[1]; ++j)
      for (PetscInt i = 0; i < u->grid->n[0]; ++i)
        worst = fmax(worst, fabs(u->c[q][i + j * u->stride[1]] - 1 / (1 / start(u->grid, q, i) - sin(t))));
  MPI_Allreduce(MPI_IN_PLACE, &worst, 1, MPI_DOUBLE, MPI_MAX, u->grid->comm);
  return worst;
}

static PetscErrorCode march(HcMethod method, const HcSystem *system, HcField u, int steps, double end) {
  HcStepper s;
  PetscFunctionBeginUser;
  PetscCall(HcStepperCreate(method, u, &s));
  fill(u);
  for (int k = 0; k < steps; ++k) {
    double dt = end / steps;
    PetscCall(HcStepperStep(s, system, end * k / steps, u, &dt));
  }
  PetscCall(HcStepperDestroy(&s));
  PetscFunctionReturn(0);
}

static PetscErrorCode orders(HcField u) {
  static const struct {
    HcMethod method;
    const char *name;
    double order, split;
  } cases[] = {{HC_SSPRK3, "SSP-RK3", 3, 0}, {HC_SSPRK54, "SSP-RK(5,4)", 4, 0}, {HC_IMEX3, "ARK3(2)4L[2]SA", 3, 2}};
  PetscFunctionBeginUser;
  for (int m = 0; m < 3; ++m) {
    Test test = {.split = cases[m].split};
    const HcSystem system = {.ctx = &test, .stage = stage, .implicit = implicit, .solve = solve};
    double error[2];
    for (int r = 0; r < 2; ++r) {
      PetscCall(march(cases[m].method, &system, u, 20 << r, 1));
      error[r] = error_at(u, 1);
    }
    /* the next term of the error expansion is dt/1 of the leading one */
    const double order = log2(error[0] / error[1]);
    tap_ok(fabs(order - cases[m].order) < 0.15, "%s has order %.0f (measured %.2f)", cases[m].name, cases[m].order, order);
  }
  PetscFunctionReturn(0);
}

/* A choice made after the first right-hand side, and one that is refused once. */
static PetscErrorCode choices(HcField u, HcField v) {
  PetscFunctionBeginUser;
  for (int m = 0; m < 2; ++m) {
    const HcMethod method = m ? HC_SSPRK54 : HC_SSPRK3;
    Test plain = {0}, test = {.choice = 0.1, .refuse_above = 0.06};
    const HcSystem fixed = {.ctx = &plain, .stage = stage},
                   chosen = {.ctx = &test, .stage = stage, .choose = choose, .check = check};
    HcStepper s;
    double dt = 0.05, worst = 0;
    PetscCall(HcStepperCreate(method, u, &s));
    fill(u);
    PetscCall(HcStepperStep(s, &fixed, 0, u, &dt));
    fill(v);
    dt = 7;
    PetscCall(HcStepperStep(s, &chosen, 0, v, &dt));
    PetscCall(HcStepperDestroy(&s));
    PetscCall(HcFieldNormDifference(u, 0, v, 0, HC_NORM_LINF, &worst));
    tap_ok(dt == 0.05, "the step refused at 0.1 was made with 0.05");
    tap_ok(worst < 4e-16, "and gives what that step gives alone, to rounding (%.1g)", worst);
    tap_ok(test.choices == 1, "dt is chosen once");
    tap_ok(test.stages == plain.stages + 2, "two stages more for the refused attempt");
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode run(void) {
  const HcGridSpec spec = {.dim = 2, .cells = {13, 6, 1}, .upper = {1, 1, 1}, .boundary = {HC_PERIODIC}, .min_block = 1};
  HcGrid g;
  HcField u, v;
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, &g));
  PetscCall(HcFieldCreate(g, 2, 1, &u));
  PetscCall(HcFieldCreate(g, 2, 1, &v));
  PetscCall(orders(u));
  PetscCall(choices(u, v));
  PetscCall(HcFieldDestroy(&u));
  PetscCall(HcFieldDestroy(&v));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  tap_ok(!run(), "no call failed");
  return tap_done();
}
