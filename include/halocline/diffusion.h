/*
 * Diffusion on a grid: the central Laplacian of order 2, 4 or 6, applied by rows, and implicit steps with it.
 */
#pragma once
#include "grid.h"

/** out[i] += scale * (second difference of f across `stride`), i < n, with neighbours up to order/2 strides away.
 * @param order 2, 4 or 6 @param scale nu/h^2. Each element depends only on its stencil. */
void HcSecondDifferenceAdd(PetscInt order, size_t n, const double *f, ptrdiff_t stride, double scale, double *out);

/** Largest eigenvalue of -h^2 d^2/dx^2 on a periodic grid: 4, 16/3, 272/45 for order 2, 4, 6. */
double HcSecondDifferenceBound(PetscInt order);

typedef struct HcDiffusion_ *HcDiffusion;

/** How the ghosts of a field are filled at time t (exchange included). */
typedef PetscErrorCode (*HcFillGhosts)(void *ctx, double t, HcField u);

/** An implicit operator I - c Lap of this order on fields of component 0 and width >= order/2. It is matrix-free; KSP options
 * have the prefix `diffusion_`, default conjugate gradients. Where c is so large against h^2 that these would take hundreds of
 * iterations, an algebraic multigrid (hypre, else GAMG) on the second-order operator preconditions them: that is spectrally
 * equivalent (ratio at most 1.52), so the number of iterations is bounded for every grid and c. -diffusion_pc_type overrides the
 * choice.
 * @param rule how ghosts beyond each domain face depend on the interior: HC_FILL_NONE at periodic faces and where they are
 *             given values, else EVEN, COPY, LINEAR or CUBIC
 * @param fill,ctx fill all ghosts, given values included
 * Reads the KSP's options at once; memory is allocated at the first solve. */
PetscErrorCode HcDiffusionCreate(
  HcGrid grid, PetscInt order, PetscInt width, const HcFill rule[6], HcFillGhosts fill, void *ctx, HcDiffusion *d);
/** Free everything and set the handle to NULL; NULL is allowed. */
PetscErrorCode HcDiffusionDestroy(HcDiffusion *d);
/** Estimated bytes on this rank for solves up to this c, matrix and preconditioner included. */
double HcDiffusionBytes(HcGrid grid, PetscInt order, PetscInt width, double c);

/** out = scale Lap u on owned cells; fills the ghosts of u. */
PetscErrorCode HcDiffusionApply(HcDiffusion d, double t, double scale, HcField u, HcField out);
/** Solve u - c Lap u = rhs; u holds a first guess; ghosts of u are filled for time t. The residual norm ends below 1e-10
 * (-diffusion_ksp_rtol) of that of rhs, and since the spectrum of the operator lies above 1 so does the error.
 * @param[out] iterations may be NULL. HC_EXIT_FAILED when it does not converge. */
PetscErrorCode HcDiffusionSolve(HcDiffusion d, double t, double c, HcField rhs, HcField u, PetscInt *iterations);
