/*
 * Time stepping of fields: explicit strong-stability-preserving (SSP) Runge-Kutta methods and an additive (IMEX) one.
 *
 *   u' = E(t,u)  [+ G(t,u), implicit]
 *
 * The system gives its right-hand side as a stage, out = a base + b u + c E(t,u), so that it can form E row by row and
 * combine it with the older stages while the row is in cache. The results depend on nothing but u, t and dt: what
 * chooses dt must reduce over all ranks with max or min. Work fields have the components and width of the field given at
 * creation.
 */
#pragma once
#include "grid.h"

/** What the steppers know of a system. All functions are collective. */
typedef struct {
  void *ctx;
  /** out = a base + b u + c E(t,u) on owned cells of all components. base is NULL where a = 0; out may be base, never u.
   * The function fills the ghosts of u itself, and may repair its owned cells (a floor). */
  PetscErrorCode (*stage)(void *ctx, double t, HcField u, double a, HcField base, double b, double c, HcField out);
  /** Choose *dt; called after E(t_n,u_n) was formed. NULL: the caller's dt is taken, and the first stage is fused. */
  PetscErrorCode (*choose)(void *ctx, double t, double *dt);
  /** Called after E of the first predicted state was formed, while u_n still exists: a smaller *dt starts the step again
   * with that dt. NULL: no check. */
  PetscErrorCode (*check)(void *ctx, double *dt);
  /** IMEX only: out = G(t,u). */
  PetscErrorCode (*implicit)(void *ctx, double t, HcField u, HcField out);
  /** IMEX only: solve u - c G(t,u) = rhs; u holds a first guess. */
  PetscErrorCode (*solve)(void *ctx, double t, double c, HcField rhs, HcField u);
} HcSystem;

typedef enum {
  HC_SSPRK3,  /* Shu & Osher, JCP 77 (1988) 439: order 3, SSP coefficient 1 */
  HC_SSPRK54, /* Spiteri & Ruuth, SINUM 40 (2002) 469: order 4, five stages, SSP coefficient 1.508 */
  HC_IMEX3,   /* Kennedy & Carpenter, Appl. Numer. Math. 44 (2003) 139, ARK3(2)4L[2]SA: order 3, L-stable implicit part */
} HcMethod;

typedef struct HcStepper_ *HcStepper;

/** Allocate the work fields: 2 with the shape of `like` for the explicit methods; for HC_IMEX3 1, and 9 without ghosts. */
PetscErrorCode HcStepperCreate(HcMethod method, HcField like, HcStepper *stepper);
/** Free everything and set the handle to NULL; NULL is allowed. */
PetscErrorCode HcStepperDestroy(HcStepper *stepper);
/** Bytes that HcStepperCreate would allocate on this rank. */
double HcStepperBytes(HcMethod method, HcGrid grid, int components, PetscInt width);

/** One step from t: u is replaced by the new state (its ghosts are then stale). *dt in: the step where system->choose is
 * NULL; out: the step taken. */
PetscErrorCode HcStepperStep(HcStepper stepper, const HcSystem *system, double t, HcField u, double *dt);

/** A work field whose values are free between steps, for diagnostics. */
HcField HcStepperWork(HcStepper stepper);

/** The number dt must be multiplied with, relative to forward Euler, for the SSP property (1, 1.508); for HC_IMEX3 1. */
double HcMethodSspCoefficient(HcMethod method);
/** Interval of stability of the explicit part on the negative real axis, |dt lambda| <= this (2.51, 5.33; HC_IMEX3 3.66). */
double HcMethodRealInterval(HcMethod method);
