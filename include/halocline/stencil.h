/*
 * Nearest-neighbour operators on a grid, (A x)_i = a_0 x_i + sum over the 2 dim faces f of a_{1+f} x_{neighbour(f)}, and
 * their solution: what the implicit finite-difference schemes of every model need each time step.
 *
 * Vectors are plain arrays of owned cells [n2][n1][n0]. Meant for M-matrices (a_0 > 0, a_{1+f} <= 0, diagonally
 * dominant by rows or by columns), symmetric or not; rows of excluded cells (walls) are a_0 = 1 and zeros.
 * In 1D the solve is direct (a distributed tridiagonal elimination, periodic included); in 2D and 3D PETSc's KSP (options prefix
 * given at creation, default BiCGStab) with an aggregation multigrid of our own on the stencil as the preconditioner:
 * piecewise constant aggregates of 2^dim cells keep the coarse operators nearest-neighbour and cost one pass; levels stop where
 * the operator is so diagonally dominant that relaxation alone solves it, which for a small time step is at once. Without options
 * the same method runs in a fused form, corrections in single precision and residuals in double. Where drift is so strong that
 * the multigrid stalls, BiCGStab and then GMRES with incomplete factors on each rank take over, more slowly.
 * `-<prefix>ksp_type`, `_pc_type`, `_ksp_monitor`, `_ksp_view` and `_ksp_converged_reason` choose PETSc's KSP;
 * `-<prefix>pc_type` other than `stencil` assembles a PETSc matrix instead, for any PETSc preconditioner.
 */
#pragma once
#include "grid.h"

typedef struct HcStencil_ {
  HcGrid grid;
  HcField a; /* components 0 .. 2 dim, width 1: a_0, then neighbours at x-,x+,y-,y+,z-,z+; entries that would reach beyond
                a non-periodic domain face must be 0. The owner of the stencil fills the owned cells. */
} * HcStencil;

/** Coefficients zeroed. Not collective. */
PetscErrorCode HcStencilCreate(HcGrid grid, HcStencil *A);
/** Free everything and set the handle to NULL; NULL is allowed. */
PetscErrorCode HcStencilDestroy(HcStencil *A);
/** T = A^T (exchanges the coefficients of A; T distinct from A). */
PetscErrorCode HcStencilTranspose(HcStencil A, HcStencil T);
/** y = A x; r = b - A x. Exchange overlapped where it pays. */
PetscErrorCode HcStencilMult(HcStencil A, const double *x, double *y);
/** r = b - A x. Collective. */
PetscErrorCode HcStencilResidual(HcStencil A, const double *b, const double *x, double *r);

typedef struct HcStencilSolver_ *HcStencilSolver;

/** @param prefix of PETSc options, e.g. "hjb_"; allocates the hierarchy and the Krylov vectors */
PetscErrorCode HcStencilSolverCreate(HcGrid grid, const char *prefix, HcStencilSolver *s);
/** Free everything and set the handle to NULL; NULL is allowed. */
PetscErrorCode HcStencilSolverDestroy(HcStencilSolver *s);
/** Bytes per rank that a solver plus one stencil need. */
double HcStencilSolverBytes(HcGrid grid);
/** Solve A x = b, starting from x, until max_i |b - A x|_i / a_0i <= tol (checked on the true residual; a size of error that
 * does not depend on grid or scaling). A tol below what rounding leaves of that residual is taken to be the latter.
 * @param[out] iterations Krylov iterations (0 in 1D)
 * HC_EXIT_FAILED when it does not converge or meets NaN, saying what was reached. The operator may change between calls at will.
 */
PetscErrorCode HcStencilSolve(HcStencilSolver s, HcStencil A, const double *b, double *x, double tol, PetscInt *iterations);
