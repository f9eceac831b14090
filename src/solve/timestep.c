/* Runge-Kutta steps over fields: SSP-RK3, SSP-RK(5,4) and ARK3(2)4L[2]SA. */
#include <halocline/timestep.h>

enum { WORK_MAX = 10, STAGES = 4 };

struct HcStepper_ {
  HcMethod method;
  int nwork;
  HcField work[WORK_MAX];
};

double HcMethodSspCoefficient(HcMethod method) { return method == HC_SSPRK54 ? 1.508 : 1.0; }

/* Where |R(z)| = 1 on the negative real axis, rounded down. */
double HcMethodRealInterval(HcMethod method) {
  switch (method) {
  case HC_SSPRK3:
    return 2.51;
  case HC_SSPRK54:
    return 5.33;
  default:
    return 3.66;
  }
}

HcField HcStepperWork(HcStepper stepper) { return stepper->work[0]; }

static int work_count(HcMethod method, int *with_ghosts) {
  *with_ghosts = method == HC_IMEX3 ? 1 : 2;
  return method == HC_IMEX3 ? 1 + 1 + 2 * STAGES : 2;
}

double HcStepperBytes(HcMethod method, HcGrid grid, int components, PetscInt width) {
  int ghosted;
  const int n = work_count(method, &ghosted);
  return ghosted * HcFieldBytes(grid, components, width) + (n - ghosted) * HcFieldBytes(grid, components, 0);
}

PetscErrorCode HcStepperCreate(HcMethod method, HcField like, HcStepper *stepper) {
  HcStepper s;
  int ghosted;
  PetscFunctionBeginUser;
  PetscCall(PetscNew(&s));
  s->method = method;
  s->nwork = work_count(method, &ghosted);
  for (int i = 0; i < s->nwork; ++i)
    PetscCall(HcFieldCreate(like->grid, like->components, i < ghosted ? like->width : 0, &s->work[i]));
  *stepper = s;
  PetscFunctionReturn(0);
}

PetscErrorCode HcStepperDestroy(HcStepper *stepper) {
  PetscFunctionBeginUser;
  if (!*stepper) PetscFunctionReturn(0);
  for (int i = 0; i < (*stepper)->nwork; ++i) PetscCall(HcFieldDestroy(&(*stepper)->work[i]));
  PetscCall(PetscFree(*stepper));
  PetscFunctionReturn(0);
}

/* out = a x + b y on owned cells; out may be x or y. */
static void combine(HcField out, double a, HcField x, double b, HcField y) {
  HcGrid g = out->grid;
  for (int c = 0; c < out->components; ++c)
    for (PetscInt k = 0; k < g->n[2]; ++k)
      for (PetscInt j = 0; j < g->n[1]; ++j) {
        double *o = out->c[c] + j * out->stride[1] + k * out->stride[2];
        const double *p = x->c[c] + j * x->stride[1] + k * x->stride[2];
        const double *q = y->c[c] + j * y->stride[1] + k * y->stride[2];
        for (PetscInt i = 0; i < g->n[0]; ++i) o[i] = a * p[i] + b * q[i];
      }
}

/* out = u + dt E(t,u), choosing dt on the way where the system wants to (E then waits in `scratch`). */
static PetscErrorCode first_stage(
  const HcSystem *y, double t, HcField u, double factor, double *dt, PetscBool chosen, HcField out, HcField scratch) {
  PetscFunctionBeginUser;
  if (y->choose && !chosen) {
    PetscCall(y->stage(y->ctx, t, u, 0, NULL, 0, 1, scratch));
    PetscCall(y->choose(y->ctx, t, dt));
    combine(out, 1, u, factor * *dt, scratch);
  } else {
    PetscCall(y->stage(y->ctx, t, u, 0, NULL, 1, factor * *dt, out));
  }
  PetscFunctionReturn(0);
}

/* Does the system want the step again with a smaller dt? */
static PetscErrorCode repeat_step(const HcSystem *y, double *dt, PetscBool *again) {
  const double tried = *dt;
  PetscFunctionBeginUser;
  *again = PETSC_FALSE;
  if (!y->check) PetscFunctionReturn(0);
  PetscCall(y->check(y->ctx, dt));
  *again = *dt < tried ? PETSC_TRUE : PETSC_FALSE;
  PetscFunctionReturn(0);
}

/* u1 = u + dt E(u), u2 = 3/4 u + 1/4 (u1 + dt E(u1)), u <- 1/3 u + 2/3 (u2 + dt E(u2)). */
static PetscErrorCode step_ssprk3(HcStepper s, const HcSystem *y, double t, HcField u, double *dt) {
  HcField A = s->work[0], B = s->work[1];
  PetscBool again = PETSC_FALSE;
  PetscFunctionBeginUser;
  do {
    PetscCall(first_stage(y, t, u, 1, dt, again, A, B));
    PetscCall(y->stage(y->ctx, t + *dt, A, 0.75, u, 0.25, 0.25 * *dt, B));
    PetscCall(repeat_step(y, dt, &again));
  } while (again);
  PetscCall(y->stage(y->ctx, t + 0.5 * *dt, B, 1. / 3., u, 2. / 3., 2. / 3. * *dt, u));
  PetscFunctionReturn(0);
}

/* The last stage is given with E(u3) as well as E(u4); since alpha/beta is the same for u3 there and in u4 (both are the SSP
 * coefficient), E(u3) = (u4 - a40 u - a43 u3) / b43 / dt removes u3 from it altogether, and two work fields are enough. */
static PetscErrorCode step_ssprk54(HcStepper s, const HcSystem *y, double t, HcField u, double *dt) {
  const double a40 = 0.178079954393132, a43 = 0.821920045606868, b43 = 0.544974750228521;
  const double a54 = 0.386708617503269, b53 = 0.063692468666290, b54 = 0.226007483236906;
  const double w4 = a54 + b53 / b43, w0 = -a40 * b53 / b43, w2 = 1 - w4 - w0;
  const double c1 = 0.391752226571890, c2 = 0.586079689311540, c3 = 0.474542363121400, c4 = 0.935010630967653;
  HcField A = s->work[0], B = s->work[1];
  PetscBool again = PETSC_FALSE;
  PetscFunctionBeginUser;
  do {
    PetscCall(first_stage(y, t, u, c1, dt, again, A, B));
    PetscCall(y->stage(y->ctx, t + c1 * *dt, A, 0.444370493651235, u, 0.555629506348765, 0.368410593050371 * *dt, B));
    PetscCall(repeat_step(y, dt, &again));
  } while (again);
  PetscCall(y->stage(y->ctx, t + c2 * *dt, B, 0.620101851488403, u, 0.379898148511597, 0.251891774271694 * *dt, A));
  combine(B, w2, B, w0, u);
  PetscCall(y->stage(y->ctx, t + c3 * *dt, A, a40, u, a43, b43 * *dt, u));
  PetscCall(y->stage(y->ctx, t + c4 * *dt, u, 1, B, w4, b54 * *dt, B));
  combine(u, 1, B, 0, B);
  PetscFunctionReturn(0);
}

/* ARK3(2)4L[2]SA. Explicit and implicit parts share the weights b and the nodes c; the implicit part is stiffly accurate. */
static const double ark_c[STAGES] = {0, 1767732205903. / 2027836641118., 0.6, 1};
static const double ark_e[STAGES][STAGES] = {
  {0},
  {1767732205903. / 2027836641118.},
  {5535828885825. / 10492691773637., 788022342437. / 10882634858940.},
  {6485989280629. / 16251701735622., -4246266847089. / 9704473918619., 10755448449292. / 10357097424841.},
};
static const double ark_gamma = 1767732205903. / 4055673282236.;
static const double ark_i[STAGES][STAGES] = {
  {0},
  {1767732205903. / 4055673282236., 1767732205903. / 4055673282236.},
  {2746238789719. / 10658868560708., -640167445237. / 6845629431997., 1767732205903. / 4055673282236.},
  {1471266399579. / 7840856788654., -4482444167858. / 7529755066697., 11266239266428. / 11593286722821.,
    1767732205903. / 4055673282236.},
};

static PetscErrorCode step_imex3(HcStepper s, const HcSystem *y, double t, HcField u, double *dt) {
  HcField U = s->work[0], R = s->work[1], *E = s->work + 2, *G = s->work + 2 + STAGES;
  const double *b = ark_i[STAGES - 1];
  PetscFunctionBeginUser;
  PetscCall(y->stage(y->ctx, t, u, 0, NULL, 0, 1, E[0]));
  if (y->choose) PetscCall(y->choose(y->ctx, t, dt));
  PetscCall(y->implicit(y->ctx, t, u, G[0]));
  for (int i = 1; i < STAGES; ++i) {
    const double ti = t + ark_c[i] * *dt, c = ark_gamma * *dt;
    combine(R, 1, u, ark_e[i][0] * *dt, E[0]);
    combine(R, 1, R, ark_i[i][0] * *dt, G[0]);
    for (int j = 1; j < i; ++j) {
      combine(R, 1, R, ark_e[i][j] * *dt, E[j]);
      combine(R, 1, R, ark_i[i][j] * *dt, G[j]);
    }
    if (i == 1) combine(U, 1, u, 0, u);
    PetscCall(y->solve(y->ctx, ti, c, R, U));
    /* G from the stage equation itself, so that the solver's error is not multiplied by a stiff operator. */
    combine(G[i], 1 / c, U, -1 / c, R);
    PetscCall(y->stage(y->ctx, ti, U, 0, NULL, 0, 1, E[i]));
  }
  for (int i = 0; i < STAGES; ++i) {
    combine(u, 1, u, b[i] * *dt, E[i]);
    combine(u, 1, u, b[i] * *dt, G[i]);
  }
  PetscFunctionReturn(0);
}

PetscErrorCode HcStepperStep(HcStepper s, const HcSystem *y, double t, HcField u, double *dt) {
  PetscFunctionBeginUser;
  switch (s->method) {
  case HC_SSPRK3:
    PetscCall(step_ssprk3(s, y, t, u, dt));
    break;
  case HC_SSPRK54:
    PetscCall(step_ssprk54(s, y, t, u, dt));
    break;
  case HC_IMEX3:
    PetscCall(step_imex3(s, y, t, u, dt));
    break;
  }
  PetscFunctionReturn(0);
}
