/* Backward sweeps of the upwind scheme: Newton's method a step, or explicit substeps. */
#include "upwind.h"

#define MAX_NEWTON 60

/* Over all cells: max |R_i|, max |R_i|/a_0i, max a_0i. Not a number counts as infinite. */
static PetscErrorCode residual_norms(Mfg mfg, Upwind *s, double norms[3]) {
  HcGrid g = mfg->grid;
  size_t n = (size_t)g->n[0];
  double local[3] = {0, 0, 0}, *restrict scaled = s->row;

  PetscFunctionBeginUser;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      const double *restrict R = s->work + (size_t)(j + k * g->n[1]) * n;
      const double *restrict a = s->A->a->c[0] + j * s->A->a->stride[1] + k * s->A->a->stride[2];
      for (size_t i = 0; i < n; i++) scaled[i] = R[i] / a[i];
      local[0] = PetscMax(local[0], upwind_row_max(n, R));
      local[1] = PetscMax(local[1], upwind_row_max(n, scaled));
      local[2] = PetscMax(local[2], upwind_row_max(n, a));
    }
  PetscCallMPI(MPI_Allreduce(local, norms, 3, MPI_DOUBLE, MPI_MAX, g->comm));
  PetscFunctionReturn(0);
}

/* One implicit step: u (initial guess on entry) from next. The residual in the max norm bounds the error, because the
 * inverse of the Jacobian does not increase the max norm. Below `round`, rounding may keep the residual above tol: there it
 * is enough that it has stopped to fall. */
static PetscErrorCode newton(Mfg mfg, Upwind *s, PetscInt level, const double *next, double *u, double tol, double round) {
  double t = mfg->dt * level, norms[3] = {0}, last = PETSC_INFINITY;

  PetscFunctionBeginUser;
  for (PetscInt it = 0; it < MAX_NEWTON; it++) {
    PetscInt krylov;
    PetscCall(upwind_load_level(mfg, s, u, t));
    PetscCall(upwind_residual(mfg, s, mfg->dt, next, s->f, s->work, s->A));
    PetscCall(residual_norms(mfg, s, norms));
    if (norms[0] <= tol || (norms[0] <= round && norms[0] > 0.5 * last)) PetscFunctionReturn(0);
    last = norms[0];
    HcRequire(!PetscIsInfReal(norms[0]), HC_EXIT_FAILED, "the value function is not a number at time %g (iteration %lld)", t,
      (long long)mfg->iterations + 1);
    mfg->newton_total++;
    PetscCall(PetscArrayzero(s->delta, mfg->cells));
    /* Newton converges quadratically once near: a linear tolerance far below what the step will reach is wasted */
    HcTimerStart(HC_TIMER_SOLVE);
    PetscCall(HcStencilSolve(s->hjb, s->A, s->work, s->delta, PetscMax(0.3 * tol / norms[2], 1e-3 * norms[1]), &krylov));
    HcTimerStop(HC_TIMER_SOLVE);
    mfg->krylov_total += krylov;
    for (size_t c = 0; c < mfg->cells; c++) u[c] -= s->delta[c];
  }
  PetscCall(HcFail(HC_EXIT_FAILED,
    "Newton's method did not converge at time %g: residual %.3g after %d steps, wanted %.3g; try more time steps", t, norms[0],
    MAX_NEWTON, tol));
  PetscFunctionReturn(0);
}

/* First guess of a level in v from the last iterate there: shifted by how much the iterate has changed at the level just
 * solved and the one before, extrapolated. `old` holds the last iterate at the level just solved, `change` what changed
 * at the level before it if there is one; both move on. Changes are smooth, so a guess is a few digits nearer. */
void upwind_shift_guess(
  size_t n, PetscBool linear, const double *restrict solved, double *restrict v, double *restrict old, double *restrict change) {
  const double past = linear ? 1 : 0;
  for (size_t c = 0; c < n; c++) {
    double last = v[c], now = solved[c] - old[c], before = linear ? change[c] : 0;
    v[c] = last + (now + past * (now - before));
    old[c] = last;
    change[c] = now;
  }
}

PetscErrorCode upwind_implicit_hjb(Mfg mfg) {
  Upwind *s = mfg->scheme_data;
  double *old = s->rhs; /* the last iterate at level l+1; free here, used by fp only */

  PetscFunctionBeginUser;
  mfg->newton_total = mfg->krylov_total = 0;
  PetscCall(PetscArraycpy(old, MfgLevel(mfg, mfg->u, mfg->steps), mfg->cells));
  PetscCall(MfgTerminal(mfg));
  for (PetscInt l = mfg->steps - 1; l >= 0; l--) {
    double *u = MfgLevel(mfg, mfg->u, l), scale, size[2];
    const double *next = MfgLevel(mfg, mfg->u, l + 1);
    PetscCall(MfgRunningCost(mfg, mfg->dt * (l + 1), MfgLevel(mfg, mfg->m, l + 1), s->f));
    size[0] = upwind_row_max(mfg->cells, next);
    size[1] = upwind_row_max(mfg->cells, s->f);
    PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, size, 2, MPI_DOUBLE, MPI_MAX, mfg->grid->comm));
    HcRequire(size[0] < PETSC_INFINITY, HC_EXIT_FAILED, "the %s is not a number at time %g",
      l == mfg->steps - 1 ? "terminal cost" : "value function", mfg->dt * (l + 1));
    HcRequire(size[1] < PETSC_INFINITY, HC_EXIT_FAILED, "the running cost is not a number at time %g", mfg->dt * (l + 1));
    scale = PetscMax(PetscMax(size[0], mfg->dt * size[1]), PetscAbsReal(mfg->exit_cost));
    upwind_shift_guess(mfg->cells, l < mfg->steps - 1 ? PETSC_TRUE : PETSC_FALSE, next, u, old, s->change);
    scale = PetscMax(scale, 1e-300);
    PetscCall(newton(mfg, s, l, next, u, 1e-3 * mfg->tolerance / (double)mfg->steps * scale, 1e-10 * scale));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode upwind_explicit_hjb(Mfg mfg) {
  Upwind *s = mfg->scheme_data;

  PetscFunctionBeginUser;
  mfg->substeps_total = 0;
  PetscCall(MfgTerminal(mfg));
  for (PetscInt l = mfg->steps - 1; l >= 0; l--) {
    double *u = MfgLevel(mfg, mfg->u, l), left = 1; /* part of the interval still to go */
    PetscCall(MfgRunningCost(mfg, mfg->dt * (l + 1), MfgLevel(mfg, mfg->m, l + 1), s->f));
    PetscCall(PetscArraycpy(u, MfgLevel(mfg, mfg->u, l + 1), mfg->cells));
    while (left > 0) {
      double rate;
      PetscCall(upwind_load_level(mfg, s, u, mfg->dt * (l + left)));
      PetscCall(upwind_largest_rate(mfg, s, &rate));
      HcRequire(rate < PETSC_INFINITY, HC_EXIT_FAILED, "the value function is not a number at time %g", mfg->dt * (l + left));
      double parts = PetscCeilReal(PetscMax(left * mfg->dt * rate / mfg->cfl, 1));
      HcRequire(parts < 1e6, HC_EXIT_FAILED,
        "the explicit scheme needs more than a million substeps at time %g: use time_stepping implicit", mfg->dt * l);
      double part = left / parts;
      /* residual with next = u: -dt (nu Lap u - H + f) */
      PetscCall(upwind_residual(mfg, s, part * mfg->dt, u, s->f, s->work, NULL));
      for (size_t c = 0; c < mfg->cells; c++) u[c] -= s->work[c];
      left = parts > 1 ? left - part : 0;
      mfg->substeps_total++;
    }
  }
  PetscFunctionReturn(0);
}
