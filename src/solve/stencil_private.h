/* Stencil operators: what their solver and their multigrid share. */
#pragma once
#include "face_exchange.h"
#include <halocline/stencil.h>
#include <petscmat.h>

/* What HcStencilCreate really allocates. */
typedef struct {
  struct HcStencil_ public; /* first: an HcStencil points here */
  HcFaceExchange faces;     /* of vectors */
} HcStencilStorage;

/** y = D^-1 A x with D = diag(a_0): the operator that the Krylov methods see. */
PetscErrorCode HcStencilMultScaled(HcStencil A, const double *x, double *y);
/** r = D^-1 (b - A x); *norm = max |r| over all ranks, NaN or Inf if r has one. Collective. */
PetscErrorCode HcStencilResidualScaled(HcStencil A, const double *b, const double *x, double *r, double *norm);

/** Direct solution in one dimension (tridiagonal.c): workspace, solve, bytes. *healthy is false when a pivot is not
 * positive or a number is not finite, on any rank. */
typedef struct HcTridiagonal_ *HcTridiagonal;
PetscErrorCode HcTridiagonalCreate(HcGrid grid, HcTridiagonal *t);
PetscErrorCode HcTridiagonalDestroy(HcTridiagonal *t);
double HcTridiagonalBytes(HcGrid grid);
PetscErrorCode HcTridiagonalSolve(HcTridiagonal t, HcStencil A, const double *b, double *x, PetscBool *healthy);

/** Aggregation multigrid for D^-1 A (stencil_multigrid.c). */
typedef struct HcMultigrid_ *HcMultigrid;
PetscErrorCode HcMultigridCreate(HcGrid grid, HcMultigrid *mg);
PetscErrorCode HcMultigridDestroy(HcMultigrid *mg);
double HcMultigridBytes(HcGrid grid);
/** Build the levels from A's present coefficients. Collective. */
PetscErrorCode HcMultigridSetUp(HcMultigrid mg, HcStencil A);
/** z ~ (D^-1 A)^-1 r by one cycle: a fixed linear operator until the next set-up. Collective. */
PetscErrorCode HcMultigridApply(HcMultigrid mg, const double *r, double *z);
/** x += e with |D^-1 (A e) - r| <= reduction |r| to single precision, by BiCGStab with the cycle; less when that takes more
 * than `limit` iterations or breaks down: the caller checks. norm is max |r|. Adds to *iterations. Collective. */
PetscErrorCode HcMultigridCorrect(
  HcMultigrid mg, const double *r, double norm, double reduction, PetscInt limit, double *x, PetscInt *iterations);
/** Levels in use. */
int HcMultigridLevels(HcMultigrid mg);

/** A matrix with the rows of D^-1 A, for PETSc's own preconditioners (stencil_matrix.c). Created on the first call
 * (*M NULL), refilled on later ones. Collective. */
PetscErrorCode HcStencilToMatrix(HcStencil A, Mat *M);
