/*
 * Hamilton-Jacobi equations, phi_t + H(x, t, grad phi) = nu Lap phi: state shared by the files of this model.
 */
#pragma once
#include "hamiltonian.h"
#include <halocline/diffusion.h>
#include <halocline/halocline.h>
#include <halocline/timestep.h>

typedef enum { HJ_LOCAL_LAX_FRIEDRICHS, HJ_GLOBAL_LAX_FRIEDRICHS, HJ_GODUNOV } HjFlux;

/* The reference for error_l1 and error_linf. */
typedef enum { HJ_EXACT_NONE, HJ_EXACT_FORMULA, HJ_EXACT_HOPF_LAX, HJ_EXACT_CHARACTERISTICS } HjExactKind;

typedef struct {
  HjExactKind kind;
  HcExpr formula;                                /* in x,y,z,t: the solution (HJ_EXACT_FORMULA), or phi0 */
  HcExpr gradient[3], hessian[3][3];             /* of phi0 */
  HcExpr hamiltonian, slope[3], curvature[3][3]; /* H and its derivatives, in HjVariables */
  double spread;                                 /* Hopf-Lax: max - min of phi0 over the grid */
} HjExact;

typedef struct Hj_ {
  HcRun run;
  HcGrid grid;

  /* the problem */
  HjHamiltonian H;
  HcSource initial;
  HcExpr boundary; /* values at `given` faces */
  HjExact exact;
  double viscosity, end;

  /* the discretisation */
  PetscBool upwind; /* first order instead of WENO5 */
  HcWenoWeights weights;
  HjFlux flux;
  PetscInt width, diffusion_order;
  PetscBool implicit; /* diffusion is left to the implicit part */
  HcMethod method;
  double cfl;
  PetscInt steps; /* 0: dt from cfl */
  double t_limit;
  PetscBool warned;

  /* the state */
  HcField phi;
  HcStepper stepper;
  HcDiffusion diffusion;
  HcField flux_parts; /* global Lax-Friedrichs: component 0 H - nu Lap phi, 1.. the jumps (p+ - p-)/2 */
  double *x;          /* cell centres along x, owned cells */
  double stage_speed; /* max over this rank's cells of sum_d alpha_d/h_d in the last right-hand side */
  double speed;       /* max over all cells at the start of the last step */
} * Hj;

/* rhs.c */

/** out = a base + b u + c (-H(u) + nu Lap u), in the sense of HcSystem.stage; hj->stage_speed is set. */
PetscErrorCode HjStage(void *hj, double t, HcField u, double a, HcField base, double b, double c, HcField out);
/** The maximum of stage_speed over all ranks. */
PetscErrorCode HjMaxSpeed(Hj hj, double *speed);

/* flux.c: the numerical Hamiltonian of one row from the one-sided derivatives m (left) and p (right) */

/** out = local Lax-Friedrichs or Godunov Hamiltonian; a[d] = speeds for the time step. */
void HjFluxLocal(
  const HjHamiltonian *H, const HjRow *row, const double *const m[3], const double *const p[3], double *const a[3], double *out);
void HjFluxGodunov(
  const HjHamiltonian *H, const HjRow *row, const double *const m[3], const double *const p[3], double *const a[3], double *out);

/* boundary.c */

/** Fill the ghosts of u, exchange included, at time t. */
PetscErrorCode HjFillGhosts(void *hj, double t, HcField u);
/** The same with linear extrapolation at outflow faces, so that ghosts depend linearly on u: for implicit diffusion. */
PetscErrorCode HjFillGhostsLinear(void *hj, double t, HcField u);
/** The local rule of each face in HjFillGhostsLinear; HC_FILL_NONE for periodic and given ones. */
void HjBoundaryRules(Hj hj, HcFill rule[6]);

/* exact.c */

/** Read hj_exact. */
PetscErrorCode HjExactCreate(Hj hj);
void HjExactDestroy(HjExact *exact);
/** |phi - exact| of owned cells at time t into error (component 0); NaN where the exact solution is not known. */
PetscErrorCode HjExactError(Hj hj, double t, HcField phi, HcField error);

/* problems.c */
extern const HcProblem HjProblems[];
