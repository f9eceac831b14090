/*
 * Solution of stencil systems: direct in 1D, otherwise BiCGStab with our multigrid on D^-1 A: a fused one in mixed
 * precision, or PETSc's KSP when its options ask for a method, a preconditioner or a report, or when the fused one fails.
 */
#include "stencil_private.h"
#include <math.h>
#include <petscksp.h>

/* What is tried in turn. Cycles converge fast unless drift dominates by far; incomplete factors like drift. */
enum { FUSED = -1, METHODS = 3, SKIP = 10 };
static const struct {
  const char *ksp, *pc;
  PetscInt limit; /* iterations */
} method[METHODS] = {{KSPBCGS, "stencil", 100}, {KSPBCGS, PCBJACOBI, 2000}, {KSPGMRES, PCBJACOBI, 1000}};

/* Attempts of a method, each from the true residual of the one before. */
enum { ATTEMPTS = 12, RESTART = 30 };
/* Iterations of one correction in single precision, the reduction of the residual that it is trusted with, and the
 * one that it must reach to be worth another. */
enum { INNER = 60 };
#define REDUCTION 1e-5
#define WORTH 0.1

struct HcStencilSolver_ {
  HcGrid grid;
  char *prefix;
  HcTridiagonal tridiagonal; /* 1D */
  HcMultigrid mg;
  PetscBool use_ksp; /* from the start */
  KSP ksp[METHODS];  /* [0] obeys the options; the others are made when they are needed */
  PetscInt skip;     /* solves for which the methods before the last successful one are not tried again */
  int last;
  Mat shell, matrix; /* D^-1 A as an operator; assembled, for preconditioners other than ours */
  Vec rhs, correction;
  HcStencil A;    /* of the solve under way */
  double target;  /* two-norm at which the Krylov method stops */
  PetscInt limit; /* Krylov iterations allowed in all */
};

static PetscErrorCode shell_mult(Mat shell, Vec x, Vec y) {
  HcStencilSolver s;
  const double *from;
  double *to;

  PetscFunctionBeginUser;
  PetscCall(MatShellGetContext(shell, &s));
  PetscCall(VecGetArrayRead(x, &from));
  PetscCall(VecGetArrayWrite(y, &to));
  PetscCall(HcStencilMultScaled(s->A, from, to));
  PetscCall(VecRestoreArrayWrite(y, &to));
  PetscCall(VecRestoreArrayRead(x, &from));
  PetscFunctionReturn(0);
}

static PetscErrorCode pc_apply(PC pc, Vec r, Vec z) {
  HcStencilSolver s;
  const double *from;
  double *to;

  PetscFunctionBeginUser;
  PetscCall(PCGetApplicationContext(pc, &s));
  PetscCheck(s, PETSC_COMM_SELF, PETSC_ERR_ORDER, "the preconditioner `stencil` serves stencil solvers only");
  PetscCall(VecGetArrayRead(r, &from));
  PetscCall(VecGetArrayWrite(z, &to));
  PetscCall(HcMultigridApply(s->mg, from, to));
  PetscCall(VecRestoreArrayWrite(z, &to));
  PetscCall(VecRestoreArrayRead(r, &from));
  PetscFunctionReturn(0);
}

/* A PC type of its own name, so that options can choose it; built on PCSHELL. */
static PetscErrorCode pc_create(PC pc) {
  PetscFunctionBeginUser;
  PetscCall(PCSetType(pc, PCSHELL));
  PetscCall(PCShellSetApply(pc, pc_apply));
  PetscCall(PCShellSetName(pc, "aggregation multigrid on the stencil"));
  PetscCall(PetscObjectChangeTypeName((PetscObject)pc, "stencil"));
  PetscFunctionReturn(0);
}

/* The Krylov method only steers by its two-norm; the documented norm is checked on the true residual afterwards. */
static PetscErrorCode converged(KSP ksp, PetscInt it, PetscReal norm, KSPConvergedReason *reason, void *context) {
  HcStencilSolver s = context;
  PetscFunctionBeginUser;
  (void)ksp;
  *reason = KSP_CONVERGED_ITERATING;
  if (!(norm <= PETSC_MAX_REAL))
    *reason = KSP_DIVERGED_NANORINF;
  else if (norm <= s->target)
    *reason = KSP_CONVERGED_ATOL;
  else if (it >= s->limit)
    *reason = KSP_DIVERGED_ITS;
  PetscFunctionReturn(0);
}

static PetscErrorCode make_ksp(HcStencilSolver s, int m) {
  KSP ksp;
  PC pc;

  PetscFunctionBeginUser;
  PetscCall(KSPCreate(s->grid->comm, &ksp));
  PetscCall(KSPSetOptionsPrefix(ksp, s->prefix));
  PetscCall(KSPSetOperators(ksp, s->shell, s->shell));
  PetscCall(KSPSetType(ksp, method[m].ksp));
  PetscCall(KSPSetPCSide(ksp, PC_RIGHT));
  PetscCall(KSPSetErrorIfNotConverged(ksp, PETSC_FALSE));
  PetscCall(KSPGetPC(ksp, &pc));
  PetscCall(PCSetApplicationContext(pc, s));
  PetscCall(PCSetType(pc, method[m].pc));
  if (m == 0)
    PetscCall(KSPSetFromOptions(ksp));
  else
    PetscCall(KSPGMRESSetRestart(ksp, RESTART));
  PetscCall(KSPSetConvergenceTest(ksp, converged, s, NULL));
  s->ksp[m] = ksp;
  PetscFunctionReturn(0);
}

PetscErrorCode HcStencilSolverCreate(HcGrid grid, const char *prefix, HcStencilSolver *out) {
  static PetscBool registered;
  const char *const asks[] = {"-ksp_type", "-pc_type", "-ksp_monitor", "-ksp_view", "-ksp_converged_reason"};
  HcStencilSolver s;

  PetscFunctionBeginUser;
  PetscCall(PetscNew(&s));
  s->grid = grid;
  PetscCall(PetscStrallocpy(prefix, &s->prefix));
  *out = s;
  if (grid->dim == 1) {
    PetscCall(HcTridiagonalCreate(grid, &s->tridiagonal));
    PetscFunctionReturn(0);
  }
  if (!registered) PetscCall(PCRegister("stencil", pc_create));
  registered = PETSC_TRUE;
  PetscCall(HcMultigridCreate(grid, &s->mg));
  PetscCall(HcGridCreateVec(grid, &s->rhs));
  const PetscInt n = HcGridLocalCells(grid);
  PetscCall(MatCreateShell(grid->comm, n, n, PETSC_DETERMINE, PETSC_DETERMINE, s, &s->shell));
  PetscCall(MatShellSetOperation(s->shell, MATOP_MULT, (void (*)(void))shell_mult));
  PetscCall(make_ksp(s, 0));
  for (size_t o = 0; o < sizeof asks / sizeof *asks; ++o) { /* all of them: PETSc looks for some only after a solve */
    PetscBool has;
    PetscCall(PetscOptionsHasName(NULL, prefix, asks[o], &has));
    s->use_ksp = s->use_ksp || has ? PETSC_TRUE : PETSC_FALSE;
  }
  PetscFunctionReturn(0);
}

PetscErrorCode HcStencilSolverDestroy(HcStencilSolver *out) {
  HcStencilSolver s = *out;

  PetscFunctionBeginUser;
  if (!s) PetscFunctionReturn(0);
  PetscCall(HcTridiagonalDestroy(&s->tridiagonal));
  for (int m = 0; m < METHODS; ++m) PetscCall(KSPDestroy(&s->ksp[m]));
  PetscCall(MatDestroy(&s->shell));
  PetscCall(MatDestroy(&s->matrix));
  PetscCall(VecDestroy(&s->rhs));
  PetscCall(VecDestroy(&s->correction));
  PetscCall(HcMultigridDestroy(&s->mg));
  PetscCall(PetscFree(s->prefix));
  PetscCall(PetscFree(*out));
  PetscFunctionReturn(0);
}

double HcStencilSolverBytes(HcGrid grid) {
  const double stencil = HcFieldBytes(grid, 1 + 2 * (int)grid->dim, 1) + HcFaceExchangeBytes(grid, grid->n, sizeof(double));
  if (grid->dim == 1) return stencil + HcTridiagonalBytes(grid);
  return stencil + HcMultigridBytes(grid) + sizeof(double) * (double)HcGridLocalCells(grid);
}

/* Tell the method of the new operator: PETSc's preconditioners get an assembled matrix. */
static PetscErrorCode set_operator(HcStencilSolver s, KSP ksp) {
  PC pc;
  PetscBool ours;

  PetscFunctionBeginUser;
  PetscCall(KSPGetPC(ksp, &pc));
  PetscCall(PetscObjectTypeCompare((PetscObject)pc, "stencil", &ours));
  if (ours) {
    PetscCall(HcMultigridSetUp(s->mg, s->A));
  } else {
    PetscCall(HcStencilToMatrix(s->A, &s->matrix));
    PetscCall(KSPSetOperators(ksp, s->shell, s->matrix));
  }
  PetscFunctionReturn(0);
}

/* Improve x by Krylov solutions of D^-1 A e = r until *norm <= tol, or it no longer helps. r is the residual on entry
 * and exit. The two-norm to aim for comes from the two norms of r and is tightened when it was too lax. */
static PetscErrorCode attempt(
  HcStencilSolver s, KSP ksp, const double *b, double *x, double tol, double *norm, PetscInt *iterations) {
  const PetscInt n = HcGridLocalCells(s->grid);
  const double all = sqrt(HcGridTotalCells(s->grid));
  double safety = 0.5;

  PetscFunctionBeginUser;
  if (!s->correction) PetscCall(VecDuplicate(s->rhs, &s->correction));
  for (int a = 0; a < ATTEMPTS; ++a) {
    if (*norm <= tol || *iterations >= s->limit) break;
    double *r, two, before = *norm;
    const double *e;
    PetscInt its;
    PetscCall(VecNorm(s->rhs, NORM_2, &two));
    /* |r|_2 lies between |r|_max and sqrt(N) |r|_max; geometric mean of the present proportion and a flat one */
    s->target = PetscMin(safety * tol * sqrt(two / *norm * all), 0.1 * two);
    PetscCall(KSPSolve(ksp, s->rhs, s->correction));
    PetscCall(KSPGetIterationNumber(ksp, &its));
    *iterations += PetscMax(its, 1);
    PetscCall(VecNorm(s->correction, NORM_2, &two));
    if (!(two <= PETSC_MAX_REAL)) break; /* broken down */
    PetscCall(VecGetArrayRead(s->correction, &e));
    PetscCall(VecGetArrayWrite(s->rhs, &r));
    for (PetscInt i = 0; i < n; ++i) x[i] += e[i];
    PetscCall(HcStencilResidualScaled(s->A, b, x, r, norm));
    const PetscBool worse = !(*norm < before) ? PETSC_TRUE : PETSC_FALSE;
    if (worse) {
      for (PetscInt i = 0; i < n; ++i) x[i] -= e[i];
      PetscCall(HcStencilResidualScaled(s->A, b, x, r, norm));
    }
    PetscCall(VecRestoreArrayWrite(s->rhs, &r));
    PetscCall(VecRestoreArrayRead(s->correction, &e));
    if (worse) break;
    safety *= 0.5;
  }
  PetscFunctionReturn(0);
}

/* The same in mixed precision: a few digits at a time, as single precision bears them. */
static PetscErrorCode attempt_fused(
  HcStencilSolver s, const double *b, double *x, double tol, double *norm, PetscInt *iterations) {
  double *r;

  PetscFunctionBeginUser;
  PetscCall(HcMultigridSetUp(s->mg, s->A));
  PetscCall(VecGetArrayWrite(s->rhs, &r));
  for (int a = 0; a < ATTEMPTS; ++a) {
    if (*norm <= tol) break;
    const double before = *norm;
    PetscCall(HcMultigridCorrect(s->mg, r, before, PetscMax(REDUCTION, 0.5 * tol / before), INNER, x, iterations));
    PetscCall(HcStencilResidualScaled(s->A, b, x, r, norm));
    if (!(*norm < WORTH * before)) break;
  }
  PetscCall(VecRestoreArrayWrite(s->rhs, &r));
  PetscFunctionReturn(0);
}

/* What rounding alone may leave of the residual D^-1 (b - A x): it is a sum of 2 dim + 2 terms of the size of |D^-1 A| |x|, each
 * rounded, divided once more. For an M-matrix D^-1 |A| |x| = 2 |x| - D^-1 A |x|. Where mass runs together within a step, x is
 * much larger than b. Leaves the residual in s->rhs. */
static PetscErrorCode rounding_of_residual(HcStencilSolver s, const double *b, const double *x, double *bound) {
  const PetscInt n = HcGridLocalCells(s->grid);
  double *r, *size, norm, most = 0;

  PetscFunctionBeginUser;
  if (!s->correction) PetscCall(VecDuplicate(s->rhs, &s->correction));
  PetscCall(VecGetArrayWrite(s->rhs, &r));
  PetscCall(VecGetArrayWrite(s->correction, &size));
  for (PetscInt i = 0; i < n; ++i) size[i] = fabs(x[i]);
  PetscCall(HcStencilMultScaled(s->A, size, r));
  for (PetscInt i = 0; i < n; ++i) most = PetscMax(most, 2 * size[i] - r[i]);
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_DOUBLE, MPI_MAX, s->grid->comm));
  PetscCall(HcStencilResidualScaled(s->A, b, x, r, &norm));
  PetscCall(VecRestoreArrayWrite(s->correction, &size));
  PetscCall(VecRestoreArrayWrite(s->rhs, &r));
  *bound = (double)(2 * s->grid->dim + 3) * 0.5 * PETSC_MACHINE_EPSILON * most;
  PetscFunctionReturn(0);
}

PetscErrorCode HcStencilSolve(HcStencilSolver s, HcStencil A, const double *b, double *x, double tol, PetscInt *iterations) {
  double norm, *r;
  PetscBool healthy;
  const HcGrid g = s->grid;

  PetscFunctionBeginUser;
  if (iterations) *iterations = 0;
  s->A = A;
  if (g->dim == 1) {
    PetscCall(HcTridiagonalSolve(s->tridiagonal, A, b, x, &healthy));
    HcRequire(healthy, HC_EXIT_FAILED,
      "%sstencil: the elimination met a pivot that is not positive or a value that is not a number", s->prefix);
    PetscFunctionReturn(0);
  }
  PetscInt its = 0;
  int m = s->skip > 0 ? s->last : s->use_ksp ? 0 : FUSED;
  if (s->skip > 0)
    --s->skip;
  else
    s->last = m;
  PetscCall(VecGetArrayWrite(s->rhs, &r));
  PetscCall(HcStencilResidualScaled(A, b, x, r, &norm));
  PetscCall(VecRestoreArrayWrite(s->rhs, &r));
  HcRequire(
    norm <= PETSC_MAX_REAL, HC_EXIT_FAILED, "%sksp: the system or its first guess holds a value that is not a number", s->prefix);
  for (; norm > tol && m < METHODS; ++m) {
    if (m == FUSED) {
      PetscCall(attempt_fused(s, b, x, tol, &norm, &its));
    } else {
      if (!s->ksp[m]) PetscCall(make_ksp(s, m));
      s->limit = its + (s->use_ksp ? 1000 : method[m].limit);
      PetscCall(set_operator(s, s->ksp[m]));
      PetscCall(attempt(s, s->ksp[m], b, x, tol, &norm, &its));
    }
    if (norm > tol) {
      double bound;
      PetscCall(rounding_of_residual(s, b, x, &bound));
      tol = PetscMax(tol, bound);
    }
    if (norm <= tol && m > s->last) { /* the next operators will be like this one */
      s->last = m;
      s->skip = SKIP;
    }
  }
  if (iterations) *iterations = its;
  HcRequire(norm <= tol, HC_EXIT_FAILED,
    "%sksp: no convergence: residual %.3g after %" PetscInt_FMT " iterations, %.3g was asked for", s->prefix, norm, its, tol);
  PetscFunctionReturn(0);
}
