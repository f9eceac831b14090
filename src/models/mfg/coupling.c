/*
 * The fixed point of the two equations: m = G(m), G(m) = fp(hjb(m)), driven by PETSc's SNES (prefix coupling_) on
 * F(m) = m - G(m): SNESNRICHARDSON is Picard's iteration with damping, SNESANDERSON Anderson's acceleration.
 *
 * Damping. Where crowds repel, G answers a surplus of density by a many times larger lack, and an undamped iteration flips
 * between two states. Unless the user fixes the damping, Picard's is chosen anew each iteration as the spectral step of Barzilai
 * & Borwein (IMA J. Numer. Anal. 8 (1988) 141), theta = <s,y>/<y,y> with s, y the last changes of m and of F: the inverse of a
 * mean eigenvalue of F' along the way just gone. It is at most 1, so every iterate stays an average of densities. Anderson's
 * acceleration starts with such iterations and takes over their median damping once the density is near.
 *
 * Iterating on m rather than on u weighs a place by how many agents are there; u in empty regions, where log m varies
 * wildly, would otherwise dominate every least-squares step. What is kept and reported is always G(m), the exact flow of a
 * value function with its mass and sign, never a combination of iterates. The iteration stops on a norm that does not
 * depend on the grid, the supremum over time of the L1 norm of F.
 */
#include "mfg.h"

typedef struct {
  Mfg mfg;
  HcClock *clock;
  HcIterationDone done;
  void *driver;
  PetscBool stopped, handover; /* handover: Picard has come near enough for Anderson */
  PetscInt first;              /* number of the iteration that the first evaluation is */
} Coupling;

/* Anderson takes over when the density is this near (L1; densities of mass 1 differ by 2 at most). */
#define NEAR 0.1

/* The density that costs see. Picard's iterates are averages of densities. An accelerated one may fall below zero where
 * hardly anybody is: there costs see a small part of the last density instead, which at the fixed point changes nothing. */
static void admissible_density(Mfg mfg, const double *x) {
  size_t all = (size_t)(mfg->steps + 1) * mfg->cells;
  for (size_t c = 0; c < all; c++) {
    double floor = mfg->anderson ? 0.1 * mfg->m[c] : 0;
    mfg->m[c] = x[c] > floor ? x[c] : floor;
  }
}

static PetscErrorCode residual_function(SNES snes, Vec x, Vec f, void *ctx) {
  Mfg mfg = ((Coupling *)ctx)->mfg;
  size_t all = (size_t)(mfg->steps + 1) * mfg->cells;
  const double *iterate;
  double *r;

  PetscFunctionBeginUser;
  (void)snes;
  PetscCall(VecGetArrayRead(x, &iterate));
  admissible_density(mfg, iterate);
  PetscCall(mfg->scheme->hjb(mfg));
  PetscCall(mfg->fp(mfg));
  PetscCall(MfgMassDiagnostics(mfg));
  PetscCall(VecGetArrayWrite(f, &r));
  for (size_t c = 0; c < all; c++) r[c] = iterate[c] - mfg->m[c];
  PetscCall(MfgLargestIntegral(mfg, r, &mfg->residual));
  PetscCall(VecRestoreArrayWrite(f, &r));
  PetscCall(VecRestoreArrayRead(x, &iterate));
  PetscFunctionReturn(0);
}

static PetscErrorCode test_convergence(
  SNES snes, PetscInt it, PetscReal xnorm, PetscReal gnorm, PetscReal fnorm, SNESConvergedReason *reason, void *ctx) {
  Coupling *c = ctx;
  Mfg mfg = c->mfg;
  PetscBool stop = PETSC_FALSE;

  PetscFunctionBeginUser;
  (void)xnorm, (void)gnorm, (void)fnorm;
  *reason = SNES_CONVERGED_ITERATING;
  PetscCall(SNESGetSolution(snes, &mfg->iterate));
  mfg->iterations = c->first + it;
  c->clock->step = mfg->iterations;
  HcRequire(
    mfg->residual == mfg->residual, HC_EXIT_FAILED, "the density is not a number in iteration %lld", (long long)mfg->iterations);
  mfg->residual_history[mfg->iterations - 1] = mfg->residual;
  if (mfg->residual <= mfg->tolerance) {
    mfg->converged = PETSC_TRUE;
    *reason = SNES_CONVERGED_FNORM_ABS;
  }
  /* after a restart the iteration that the checkpoint was written in is evaluated again to continue from it */
  if (it > 0 || c->first == 1) PetscCall(c->done(c->driver, c->clock, &stop));
  if (*reason) PetscFunctionReturn(0);
  if (stop) {
    c->stopped = PETSC_TRUE;
    *reason = SNES_CONVERGED_ITS;
  } else if (mfg->spectral && mfg->anderson && mfg->iterations >= MFG_RECENT && mfg->residual <= NEAR) {
    c->handover = PETSC_TRUE;
    *reason = SNES_CONVERGED_ITS;
  } else if (mfg->iterations >= mfg->max_iterations)
    *reason = SNES_DIVERGED_MAX_IT;
  PetscFunctionReturn(0);
}

/* Space-time inner product with bits that do not depend on the number of ranks. */
static PetscErrorCode inner_product(Mfg mfg, Vec a, Vec b, double *product) {
  const double *x, *y;
  double *level, sum;

  PetscFunctionBeginUser;
  PetscCall(VecGetArrayRead(a, &x));
  PetscCall(VecGetArrayRead(b, &y));
  PetscCall(PetscMalloc1(mfg->cells, &level));
  *product = 0;
  for (PetscInt l = 1; l <= mfg->steps; l++) {
    size_t at = (size_t)l * mfg->cells;
    for (size_t c = 0; c < mfg->cells; c++) level[c] = x[at + c] * y[at + c];
    PetscCall(MfgIntegral(mfg, level, &sum));
    *product += sum;
  }
  PetscCall(PetscFree(level));
  PetscCall(VecRestoreArrayRead(b, &y));
  PetscCall(VecRestoreArrayRead(a, &x));
  PetscFunctionReturn(0);
}

/* The step of SNESNRICHARDSON with the spectral damping: m -= theta F, then the next theta. A theta may grow or shrink by
 * three at most, because one pair of states says little about far ones. */
static PetscErrorCode spectral_step(SNESLineSearch search, void *ctx) {
  Mfg mfg = ctx;
  Vec x, f, step, change, unused;
  SNES snes;
  double fold_y, yy, theta = mfg->theta;

  PetscFunctionBeginUser;
  PetscCall(SNESLineSearchGetSNES(search, &snes));
  PetscCall(SNESLineSearchGetVecs(search, &x, &f, &step, &change, &unused));
  PetscCall(VecAXPY(x, -theta, step)); /* step is the last F */
  PetscCall(SNESComputeFunction(snes, x, f));
  PetscCall(VecWAXPY(change, -1, step, f));
  PetscCall(inner_product(mfg, step, change, &fold_y));
  PetscCall(inner_product(mfg, change, change, &yy));
  if (fold_y < 0 && yy > 0) {
    double spectral = -theta * fold_y / yy;
    mfg->theta = PetscMin(PetscMax(spectral, theta / 3), PetscMin(3 * theta, 1));
  }
  for (int q = MFG_RECENT - 1; q > 0; q--) mfg->recent_theta[q] = mfg->recent_theta[q - 1];
  mfg->recent_theta[0] = mfg->theta;
  PetscCall(SNESLineSearchSetNorms(search, 1, mfg->residual, 1)); /* not used: test_convergence has its own norm */
  PetscFunctionReturn(0);
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Give SNES its type: Picard with fixed or spectral damping, or Anderson with the damping `beta`. */
static PetscErrorCode set_method(Mfg mfg, PetscBool anderson, double beta) {
  char value[32];

  PetscFunctionBeginUser;
  PetscCall(SNESSetType(mfg->snes, anderson ? SNESANDERSON : SNESNRICHARDSON));
  if (anderson) { /* these have no functions in PETSc's interface, only options */
    PetscCall(PetscSNPrintf(value, sizeof value, "%lld", (long long)mfg->depth));
    PetscCall(PetscOptionsSetValue(NULL, "-coupling_snes_anderson_m", value));
    PetscCall(PetscSNPrintf(value, sizeof value, "%.17g", beta));
    PetscCall(PetscOptionsSetValue(NULL, "-coupling_snes_anderson_beta", value));
  } else {
    SNESLineSearch search;
    PetscCall(SNESGetLineSearch(mfg->snes, &search));
    if (mfg->spectral) {
      PetscCall(SNESLineSearchSetType(search, SNESLINESEARCHSHELL));
      PetscCall(SNESLineSearchShellSetUserFunc(search, spectral_step, mfg));
    } else {
      PetscCall(SNESLineSearchSetType(search, SNESLINESEARCHBASIC));
      PetscCall(SNESLineSearchSetDamping(search, beta));
    }
  }
  PetscCall(SNESSetFromOptions(mfg->snes));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgCouplingCreate(Mfg mfg) {
  PetscInt local = (PetscInt)((mfg->steps + 1) * (PetscInt64)mfg->cells);

  PetscFunctionBeginUser;
  PetscCall(SNESCreate(mfg->grid->comm, &mfg->snes));
  PetscCall(SNESSetOptionsPrefix(mfg->snes, "coupling_"));
  PetscCall(VecCreate(mfg->grid->comm, &mfg->solution));
  PetscCall(VecSetSizes(mfg->solution, local, PETSC_DETERMINE));
  PetscCall(VecSetType(mfg->solution, VECSTANDARD));
  PetscCall(SNESSetTolerances(mfg->snes, 0, 0, 0, PETSC_MAX_INT - 1, PETSC_MAX_INT - 1));
  PetscCall(set_method(mfg, mfg->anderson && !mfg->spectral ? PETSC_TRUE : PETSC_FALSE, mfg->damping));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgCouplingSolve(Mfg mfg, HcClock *clock, HcIterationDone done, void *driver) {
  Coupling c = {.mfg = mfg, .clock = clock, .done = done, .driver = driver, .first = PetscMax(mfg->first_iteration, 1)};
  size_t all = (size_t)(mfg->steps + 1) * mfg->cells;
  double *x, best, *product;

  PetscFunctionBeginUser;
  PetscCall(VecGetArrayWrite(mfg->solution, &x));
  PetscCall(PetscArraycpy(x, mfg->m, all));
  PetscCall(VecRestoreArrayWrite(mfg->solution, &x));
  PetscCall(SNESSetFunction(mfg->snes, NULL, residual_function, &c));
  PetscCall(SNESSetConvergenceTest(mfg->snes, test_convergence, &c, NULL));
  PetscCall(SNESSolve(mfg->snes, NULL, mfg->solution));
  if (c.handover) {
    double theta[MFG_RECENT];
    PetscCall(PetscArraycpy(theta, mfg->recent_theta, MFG_RECENT));
    qsort(theta, MFG_RECENT, sizeof *theta, by_value);
    mfg->spectral = PETSC_FALSE;
    c.first = mfg->iterations;
    PetscCall(set_method(mfg, PETSC_TRUE, theta[MFG_RECENT / 2]));
    PetscCall(SNESSetFunction(mfg->snes, NULL, residual_function, &c));
    PetscCall(SNESSetConvergenceTest(mfg->snes, test_convergence, &c, NULL));
    PetscCall(SNESSolve(mfg->snes, NULL, mfg->solution));
  }
  if (c.stopped) PetscFunctionReturn(0); /* the checkpoint now to be written holds the iterate, as those before */
  HcRequire(mfg->converged, HC_EXIT_FAILED,
    "no convergence in %lld coupling iterations: the density still changes by %.3g (tolerance %.3g); try more "
    "max_iterations, more time_steps, or a fixed small damping",
    (long long)mfg->iterations, mfg->residual, mfg->tolerance);
  mfg->iterate = NULL;

  /* Exploitability: what the policy costs one agent in its own flow, less what a best response to that flow costs. The best
   * response is hjb(m), which also leaves u as the value function of the final density. */
  PetscCall(mfg->policy_cost(mfg, &mfg->cost));
  PetscCall(mfg->scheme->hjb(mfg));
  PetscCall(PetscMalloc1(mfg->cells, &product));
  for (size_t i = 0; i < mfg->cells; i++) product[i] = mfg->u[i] * mfg->m[i];
  PetscCall(MfgIntegral(mfg, product, &best));
  PetscCall(PetscFree(product));
  mfg->exploitability = (mfg->cost - best) / mfg->mass_level[0];
  PetscFunctionReturn(0);
}

PetscErrorCode MfgCouplingDestroy(Mfg mfg) {
  PetscFunctionBeginUser;
  PetscCall(VecDestroy(&mfg->solution));
  PetscCall(SNESDestroy(&mfg->snes));
  PetscFunctionReturn(0);
}

/* Vectors of a whole space-time array: the solution, SNES's residual and step, and the line search's two; Anderson has four
 * more to work with, and two for each iterate that it keeps. */
double MfgCouplingBytes(Mfg mfg) {
  double vector = 8.0 * (double)(mfg->steps + 1) * (double)HcGridLocalCells(mfg->grid);
  return vector * (mfg->anderson ? 9 + 2 * (double)mfg->depth : 5);
}
