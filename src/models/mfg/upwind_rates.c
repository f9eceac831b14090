/* Rates of the upwind scheme: one-sided differences, the HJB residual with its Jacobian, and the transpose. */
#include "upwind.h"

/* S, the Laplacian and the downhill differences of one row of u. */
void upwind_differences(Mfg mfg, Upwind *s, PetscInt at, Rows r) {
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0];
  double *restrict S = r.S, *restrict lap = r.lap;

  for (int d = 0; d < g->dim; d++) {
    PetscInt stride = s->u->stride[d];
    const double *restrict u = s->u->c[0] + at;
    const double *restrict lower = mfg->plan->open->c[d] + at, *restrict upper = lower + stride;
    const double *restrict free = s->free->c[0] + at;
    double *restrict am = r.am[d], *restrict ap = r.ap[d];
    double inv_h = 1 / g->h[d];
    for (PetscInt i = 0; i < n; i++) {
      double dm = free[i] * lower[i] * (u[i - stride] - u[i]) * inv_h, dp = free[i] * upper[i] * (u[i + stride] - u[i]) * inv_h;
      am[i] = dm < 0 ? dm : 0;
      ap[i] = dp < 0 ? dp : 0;
      double squares = am[i] * am[i] + ap[i] * ap[i], second = (dm + dp) * inv_h;
      S[i] = d ? S[i] + squares : squares;
      lap[i] = d ? lap[i] + second : second;
    }
  }
}

/* w = 2 dH/dS. The floor keeps w finite where S = 0 and gamma < 2; w a_f stays 0 there because a_f does. */
static void row_factor(Mfg mfg, PetscInt n, const double *S, double *w) {
  if (mfg->hamiltonian == MFG_QUADRATIC)
    for (PetscInt i = 0; i < n; i++) w[i] = 1 / mfg->control_cost;
  else
    for (PetscInt i = 0; i < n; i++) w[i] = pow(S[i] > 1e-100 ? S[i] : 1e-100, mfg->exponent / 2 - 1);
}

/* Fill s->u from a level, its ghosts for time t, and the factor w in every cell and its ghosts. */
PetscErrorCode upwind_load_level(Mfg mfg, Upwind *s, const double *u, double t) {
  HcGrid g = mfg->grid;

  PetscFunctionBeginUser;
  HcFieldFromArray(s->u, 0, u);
  PetscCall(HcFieldExchange(s->u, HC_STAR));
  PetscCall(MfgFillGhosts(mfg, s->u, 0, 1, mfg->exit_cost, mfg->boundary_u, t));
  if (!s->w) PetscFunctionReturn(0);
  Rows r = upwind_rows(s, g->n[0]);
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      PetscInt at = j * s->u->stride[1] + k * s->u->stride[2];
      upwind_differences(mfg, s, at, r);
      row_factor(mfg, g->n[0], r.S, s->w->c[0] + at);
    }
  PetscCall(HcFieldExchange(s->w, HC_STAR));
  /* beyond given faces the neighbour's own S is unknown: its nearest cell's factor, a first-order choice */
  const HcFill copy[6] = {HC_FILL_COPY, HC_FILL_COPY, HC_FILL_COPY, HC_FILL_COPY, HC_FILL_COPY, HC_FILL_COPY};
  HcFill rule[6];
  for (int f = 0; f < 6; f++) rule[f] = f < 2 * g->dim && g->boundary[f] != HC_PERIODIC ? copy[f] : HC_FILL_NONE;
  PetscCall(HcFieldFillBoundary(s->w, 0, 1, rule, NULL));
  PetscFunctionReturn(0);
}

/* Residual u - next - dt (nu Lap u - H + f) into res and, unless A is NULL, its Jacobian 1 + dt sum c_f (1 - shift_f). */
PetscErrorCode upwind_residual(Mfg mfg, Upwind *s, double dt, const double *next, const double *f, double *res, HcStencil A) {
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0];
  Rows r = upwind_rows(s, n);
  double share = upwind_hamiltonian_share(mfg), nu = mfg->nu, constant = 1 / mfg->control_cost;

  PetscFunctionBeginUser;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      PetscInt at = j * s->u->stride[1] + k * s->u->stride[2];
      size_t row = (size_t)(j + k * g->n[1]) * (size_t)n;
      const double *restrict u = s->u->c[0] + at, *restrict nx = next + row, *restrict fr = f + row;
      const double *restrict w = s->w ? s->w->c[0] + at : NULL;
      double *restrict R = res + row;
      upwind_differences(mfg, s, at, r);
      for (PetscInt i = 0; i < n; i++) {
        double H = (w ? w[i] : constant) * r.S[i] * share;
        R[i] = u[i] - nx[i] - dt * (nu * r.lap[i] - H + fr[i]);
      }
      if (!A) continue;
      double *restrict sum = r.sum;
      for (int d = 0; d < g->dim; d++) {
        PetscInt stride = s->u->stride[d];
        const double *restrict ol = mfg->plan->open->c[d] + at, *restrict ou = ol + stride;
        const double *restrict free = s->free->c[0] + at;
        const double *restrict ll = s->link->c[d] + at, *restrict lu = ll + stride;
        const double *restrict am = r.am[d], *restrict ap = r.ap[d];
        double *restrict Am = A->a->c[1 + 2 * d] + at, *restrict Ap = A->a->c[2 + 2 * d] + at;
        double inv_h = 1 / g->h[d], diffusion = nu * inv_h * inv_h;
        for (PetscInt i = 0; i < n; i++) {
          double wi = w ? w[i] : constant;
          double cm = dt * free[i] * ol[i] * (diffusion - wi * am[i] * inv_h),
                 cp = dt * free[i] * ou[i] * (diffusion - wi * ap[i] * inv_h);
          Am[i] = -ll[i] * cm;
          Ap[i] = -lu[i] * cp;
          sum[i] = d ? sum[i] + (cm + cp) : cm + cp;
        }
      }
      double *restrict A0 = A->a->c[0] + at;
      for (PetscInt i = 0; i < n; i++) A0[i] = 1 + sum[i];
    }
  PetscFunctionReturn(0);
}

/* The transposed operator from s->u: row i holds its own rates out and its neighbours' rates towards it. */
PetscErrorCode upwind_transposed(Mfg mfg, Upwind *s, double dt, HcStencil A) {
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0];
  double nu = mfg->nu, constant = 1 / mfg->control_cost;

  PetscFunctionBeginUser;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      PetscInt at = j * s->u->stride[1] + k * s->u->stride[2];
      const double *restrict u = s->u->c[0] + at;
      const double *restrict w = s->w ? s->w->c[0] + at : NULL;
      double *restrict A0 = A->a->c[0] + at;
      for (PetscInt i = 0; i < n; i++) A0[i] = 1;
      for (int d = 0; d < g->dim; d++) {
        PetscInt stride = s->u->stride[d];
        const double *restrict ol = mfg->plan->open->c[d] + at, *restrict ou = ol + stride;
        const double *restrict free = s->free->c[0] + at;
        const double *restrict ll = s->link->c[d] + at, *restrict lu = ll + stride;
        double *restrict Am = A->a->c[1 + 2 * d] + at, *restrict Ap = A->a->c[2 + 2 * d] + at;
        double inv_h = 1 / g->h[d], diffusion = nu * inv_h * inv_h;
        for (PetscInt i = 0; i < n; i++) {
          double dm = ol[i] * (u[i - stride] - u[i]) * inv_h, dp = ou[i] * (u[i + stride] - u[i]) * inv_h;
          double wi = w ? w[i] : constant, wm = w ? w[i - stride] : constant, wp = w ? w[i + stride] : constant;
          double out_m = wi * (dm < 0 ? -dm : 0), out_p = wi * (dp < 0 ? -dp : 0);
          double in_m = wm * (dm > 0 ? dm : 0), in_p = wp * (dp > 0 ? dp : 0);
          A0[i] += dt * free[i] * (ol[i] * (diffusion + out_m * inv_h) + ou[i] * (diffusion + out_p * inv_h));
          Am[i] = -ll[i] * dt * (diffusion + in_m * inv_h);
          Ap[i] = -lu[i] * dt * (diffusion + in_p * inv_h);
        }
      }
    }
  PetscFunctionReturn(0);
}

/* Largest total rate of leaving a cell: the explicit stability limit is dt * rate <= 1. */
PetscErrorCode upwind_largest_rate(Mfg mfg, Upwind *s, double *rate) {
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0];
  Rows r = upwind_rows(s, n);
  double constant = 1 / mfg->control_cost, largest = 0;

  PetscFunctionBeginUser;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      PetscInt at = j * s->u->stride[1] + k * s->u->stride[2];
      const double *restrict w = s->w ? s->w->c[0] + at : NULL;
      double *restrict sum = r.sum;
      upwind_differences(mfg, s, at, r);
      for (int d = 0; d < g->dim; d++) {
        const double *restrict ol = mfg->plan->open->c[d] + at, *restrict ou = ol + s->u->stride[d];
        const double *restrict free = s->free->c[0] + at;
        const double *restrict am = r.am[d], *restrict ap = r.ap[d];
        double inv_h = 1 / g->h[d], diffusion = mfg->nu * inv_h * inv_h;
        for (PetscInt i = 0; i < n; i++) {
          double wi = w ? w[i] : constant;
          double c = free[i] * (ol[i] * (diffusion - wi * am[i] * inv_h) + ou[i] * (diffusion - wi * ap[i] * inv_h));
          sum[i] = d ? sum[i] + c : c;
        }
      }
      for (PetscInt i = 0; i < n; i++) largest = sum[i] > largest ? sum[i] : largest;
    }
  PetscCallMPI(MPI_Allreduce(&largest, rate, 1, MPI_DOUBLE, MPI_MAX, g->comm));
  PetscFunctionReturn(0);
}
