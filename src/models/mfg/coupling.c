/*
 * The fixed point of the two equations: u = G(u), G(u) = hjb(fp(u)), driven by PETSc's SNES (prefix coupling_) on
 * F(u) = u - G(u): SNESNRICHARDSON is Picard's iteration with damping, SNESANDERSON Anderson's acceleration.
 *
 * Iterating on u rather than on m keeps every density the exact flow of some value function: no combination of iterates
 * can spoil its mass or its sign. The iteration stops on a norm that does not depend on the grid, the supremum over
 * time of the L1 norm of the change of m, and only after the last density has been checked to reproduce itself.
 */
#include "mfg.h"

typedef struct {
  Mfg mfg;
  HcClock *clock;
  HcIterationDone done;
  void *driver;
  PetscBool stopped, gave_up;
  PetscInt first; /* number of the iteration that the first evaluation is */
} Coupling;

static PetscErrorCode residual_function(SNES snes, Vec x, Vec f, void *ctx) {
  Mfg mfg = ((Coupling *)ctx)->mfg;
  size_t all = (size_t)(mfg->steps + 1) * mfg->cells;
  const double *u;
  double *r;

  PetscFunctionBeginUser;
  (void)snes;
  PetscCall(VecGetArrayRead(x, &u));
  PetscCall(PetscArraycpy(mfg->u, u, all));
  PetscCall(PetscArraycpy(mfg->m_last, mfg->m, all));
  PetscCall(mfg->scheme->fp(mfg));
  PetscCall(MfgMassDiagnostics(mfg));
  PetscCall(MfgDensityChange(mfg, &mfg->residual));
  PetscCall(mfg->scheme->hjb(mfg));
  PetscCall(VecGetArrayWrite(f, &r));
  for (size_t c = 0; c < all; c++) r[c] = u[c] - mfg->u[c];
  PetscCall(VecRestoreArrayWrite(f, &r));
  PetscCall(VecRestoreArrayRead(x, &u));
  mfg->iterate = x;
  PetscFunctionReturn(0);
}

/* The density of the newest value function against the one it was computed from: the residual of m itself. */
static PetscErrorCode verify(Mfg mfg, double *residual) {
  PetscFunctionBeginUser;
  PetscCall(PetscArraycpy(mfg->m_last, mfg->m, (size_t)(mfg->steps + 1) * mfg->cells));
  PetscCall(mfg->scheme->fp(mfg));
  PetscCall(MfgMassDiagnostics(mfg));
  PetscCall(MfgDensityChange(mfg, residual));
  PetscFunctionReturn(0);
}

static PetscErrorCode test_convergence(
  SNES snes, PetscInt it, PetscReal xnorm, PetscReal gnorm, PetscReal fnorm, SNESConvergedReason *reason, void *ctx) {
  Coupling *c = ctx;
  Mfg mfg = c->mfg;
  PetscBool stop = PETSC_FALSE, repeated = it == 0 && c->first > 1 ? PETSC_TRUE : PETSC_FALSE;

  PetscFunctionBeginUser;
  (void)xnorm, (void)gnorm, (void)fnorm;
  *reason = SNES_CONVERGED_ITERATING;
  PetscCall(SNESGetSolution(snes, &mfg->iterate));
  mfg->iterations = c->first + it;
  c->clock->step = mfg->iterations;
  HcRequire(
    mfg->residual == mfg->residual, HC_EXIT_FAILED, "the density is not a number in iteration %lld", (long long)mfg->iterations);
  if (repeated) { /* the iteration that the checkpoint was written in, evaluated again to continue from it */
    mfg->residual = mfg->residual_history[c->first - 1];
    PetscFunctionReturn(0);
  }
  /* a damped step changes m by only that part of its residual */
  if (!mfg->anderson && it > 0) mfg->residual /= mfg->damping;
  if (it > 0 && mfg->residual <= mfg->tolerance) {
    double verified;
    PetscCall(verify(mfg, &verified));
    mfg->residual = verified;
    if (verified <= mfg->tolerance) {
      mfg->converged = PETSC_TRUE;
      *reason = SNES_CONVERGED_FNORM_ABS;
    }
  }
  mfg->residual_history[mfg->iterations - 1] = mfg->residual;
  PetscCall(c->done(c->driver, c->clock, &stop));
  if (*reason) PetscFunctionReturn(0);
  if (stop) {
    c->stopped = PETSC_TRUE;
    *reason = SNES_CONVERGED_ITS;
  } else if (mfg->iterations >= mfg->max_iterations) {
    c->gave_up = PETSC_TRUE;
    *reason = SNES_DIVERGED_MAX_IT;
  }
  PetscFunctionReturn(0);
}

PetscErrorCode MfgCouplingCreate(Mfg mfg) {
  PetscInt local = (PetscInt)((mfg->steps + 1) * (PetscInt64)mfg->cells);
  char value[32];
  PetscBool set;

  PetscFunctionBeginUser;
  PetscCall(SNESCreate(mfg->grid->comm, &mfg->snes));
  PetscCall(SNESSetOptionsPrefix(mfg->snes, "coupling_"));
  PetscCall(VecCreate(mfg->grid->comm, &mfg->solution));
  PetscCall(VecSetSizes(mfg->solution, local, PETSC_DETERMINE));
  PetscCall(VecSetType(mfg->solution, VECSTANDARD));
  PetscCall(SNESSetType(mfg->snes, mfg->anderson ? SNESANDERSON : SNESNRICHARDSON));
  if (mfg->anderson) { /* these have no functions in PETSc's interface, only options */
    PetscCall(PetscOptionsHasName(NULL, "coupling_", "-snes_anderson_m", &set));
    PetscCall(PetscSNPrintf(value, sizeof value, "%lld", (long long)mfg->depth));
    if (!set) PetscCall(PetscOptionsSetValue(NULL, "-coupling_snes_anderson_m", value));
    PetscCall(PetscOptionsHasName(NULL, "coupling_", "-snes_anderson_beta", &set));
    PetscCall(PetscSNPrintf(value, sizeof value, "%.17g", mfg->damping));
    if (!set) PetscCall(PetscOptionsSetValue(NULL, "-coupling_snes_anderson_beta", value));
  } else {
    SNESLineSearch search;
    PetscCall(SNESGetLineSearch(mfg->snes, &search));
    PetscCall(SNESLineSearchSetType(search, SNESLINESEARCHBASIC));
    PetscCall(SNESLineSearchSetDamping(search, mfg->damping));
  }
  PetscCall(SNESSetTolerances(mfg->snes, 0, 0, 0, PETSC_MAX_INT - 1, PETSC_MAX_INT - 1));
  PetscCall(SNESSetFromOptions(mfg->snes));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgCouplingSolve(Mfg mfg, HcClock *clock, HcIterationDone done, void *driver) {
  Coupling c = {.mfg = mfg, .clock = clock, .done = done, .driver = driver, .first = PetscMax(mfg->first_iteration, 1)};
  size_t all = (size_t)(mfg->steps + 1) * mfg->cells;
  double *x;

  PetscFunctionBeginUser;
  PetscCall(VecGetArrayWrite(mfg->solution, &x));
  PetscCall(PetscArraycpy(x, mfg->u, all));
  PetscCall(VecRestoreArrayWrite(mfg->solution, &x));
  PetscCall(SNESSetFunction(mfg->snes, NULL, residual_function, &c));
  PetscCall(SNESSetConvergenceTest(mfg->snes, test_convergence, &c, NULL));
  PetscCall(SNESSolve(mfg->snes, NULL, mfg->solution));
  mfg->iterate = NULL;
  if (c.stopped) PetscFunctionReturn(0);
  HcRequire(mfg->converged, HC_EXIT_FAILED,
    "no convergence in %lld coupling iterations: the density still changes by %.3g (tolerance %.3g); try coupling anderson, "
    "a smaller damping, or more max_iterations",
    (long long)mfg->iterations, mfg->residual, mfg->tolerance);

  /* Exploitability: what the policy costs in its own flow, less what a best response to that flow costs. The best
   * response is hjb(m), which also leaves u as the value function of the final density. */
  double best;
  double *product = mfg->m_last; /* no longer needed */
  PetscCall(mfg->scheme->policy_cost(mfg, &mfg->cost));
  PetscCall(mfg->scheme->hjb(mfg));
  for (size_t i = 0; i < mfg->cells; i++) product[i] = mfg->u[i] * mfg->m[i];
  PetscCall(MfgIntegral(mfg, product, &best));
  mfg->exploitability = mfg->cost - best;
  PetscFunctionReturn(0);
}

PetscErrorCode MfgCouplingDestroy(Mfg mfg) {
  PetscFunctionBeginUser;
  PetscCall(VecDestroy(&mfg->solution));
  PetscCall(SNESDestroy(&mfg->snes));
  PetscFunctionReturn(0);
}

/* Vectors of a whole space-time array: the solution, SNES's residual, step and trial point; Anderson keeps two more a level of
 * depth. */
double MfgCouplingBytes(Mfg mfg) {
  double vector = 8.0 * (double)(mfg->steps + 1) * (double)HcGridLocalCells(mfg->grid);
  return vector * (mfg->anderson ? 7 + 2 * (double)mfg->depth : 4);
}
