/* Forward sweeps of the upwind scheme: transposed solves, or explicit substeps. */
#include "upwind.h"

static PetscErrorCode add_source(Mfg mfg, Upwind *s, double dt, double t, double *m, double *gained) {
  PetscBool any;

  PetscFunctionBeginUser;
  *gained = 0;
  PetscCall(MfgDensitySource(mfg, t, s->work, &any));
  if (!any) PetscFunctionReturn(0);
  for (size_t c = 0; c < mfg->cells; c++) s->work[c] *= dt;
  PetscCall(MfgIntegral(mfg, s->work, gained));
  for (size_t c = 0; c < mfg->cells; c++) m[c] += s->work[c];
  PetscFunctionReturn(0);
}

/* Coarse cells of the solver join both sides of a wall, so that an iterate may carry traces of what is on the other side. */
static void clear_empty_rooms(Mfg mfg, Upwind *s, double *m) {
  HcGrid g = mfg->grid;

  if (!s->occupied) return;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      const double *restrict o = s->occupied->c[0] + j * s->occupied->stride[1] + k * s->occupied->stride[2];
      double *restrict row = m + (size_t)(j + k * g->n[1]) * (size_t)g->n[0];
      for (PetscInt i = 0; i < g->n[0]; i++) row[i] = o[i] > 0 ? row[i] : 0;
    }
}

PetscErrorCode upwind_implicit_fp(Mfg mfg) {
  Upwind *s = mfg->scheme_data;
  double *old = s->delta; /* the last iterate at level l; free here, used by hjb only */

  PetscFunctionBeginUser;
  PetscCall(PetscArraycpy(old, mfg->m, mfg->cells));
  for (PetscInt l = 0; l < mfg->steps; l++) {
    const double *now = MfgLevel(mfg, mfg->m, l);
    double *m = MfgLevel(mfg, mfg->m, l + 1), t = mfg->dt * (l + 1), exited[MFG_MAX_EXITS] = {0}, source, gained, scale;
    PetscInt krylov;
    PetscCall(upwind_load_level(mfg, s, MfgLevel(mfg, mfg->u, l), mfg->dt * l));
    PetscCall(upwind_transposed(mfg, s, mfg->dt, s->A));
    PetscCall(PetscArraycpy(s->rhs, now, mfg->cells));
    PetscCall(add_source(mfg, s, mfg->dt, t, s->rhs, &source));
    PetscCall(upwind_add_inflow(mfg, s, mfg->dt, t, s->rhs));
    scale = upwind_row_max(mfg->cells, s->rhs);
    PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &scale, 1, MPI_DOUBLE, MPI_MAX, mfg->grid->comm));
    HcRequire(!PetscIsInfReal(scale), HC_EXIT_FAILED, "the density is not a number at time %g", t);
    upwind_shift_guess(mfg->cells, l > 0 ? PETSC_TRUE : PETSC_FALSE, now, m, old, s->change);
    HcTimerStart(HC_TIMER_SOLVE);
    PetscCall(HcStencilSolve(s->fp, s->A, s->rhs, m, 1e-14 * PetscMax(scale, 1e-300), &krylov));
    HcTimerStop(HC_TIMER_SOLVE);
    mfg->krylov_total += krylov;
    clear_empty_rooms(mfg, s, m);
    PetscCall(upwind_boundary_mass(mfg, s, mfg->dt, t, m, exited, &gained));
    PetscCall(HcStencilResidual(s->A, s->rhs, m, s->work));
    for (size_t c = 0; c < mfg->cells; c++) m[c] += s->work[c];
    MfgAccountExits(mfg, l + 1, exited);
    mfg->gained_level[l + 1] = mfg->gained_level[l] + source + gained;
  }
  PetscFunctionReturn(0);
}

/* m += dt (what neighbours send - what leaves): every transfer is one product, the same bits on both sides of a face. */
static PetscErrorCode explicit_fp_step(Mfg mfg, Upwind *s, double dt, double *m) {
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0];
  double constant = 1 / mfg->control_cost;

  PetscFunctionBeginUser;
  HcFieldFromArray(s->m, 0, m);
  PetscCall(HcFieldExchange(s->m, HC_STAR));
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      PetscInt at = j * s->u->stride[1] + k * s->u->stride[2];
      const double *restrict u = s->u->c[0] + at, *restrict q = s->m->c[0] + at;
      const double *restrict w = s->w ? s->w->c[0] + at : NULL;
      double *restrict out = m + (size_t)(j + k * g->n[1]) * (size_t)n;
      for (int d = 0; d < g->dim; d++) {
        PetscInt stride = s->u->stride[d];
        const double *restrict ol = mfg->plan->open->c[d] + at, *restrict ou = ol + stride;
        const double *restrict ll = s->link->c[d] + at, *restrict lu = ll + stride;
        double inv_h = 1 / g->h[d], diffusion = mfg->nu * inv_h * inv_h;
        for (PetscInt i = 0; i < n; i++) {
          double dm = ol[i] * (u[i - stride] - u[i]) * inv_h, dp = ou[i] * (u[i + stride] - u[i]) * inv_h;
          double wi = w ? w[i] : constant, wm = w ? w[i - stride] : constant, wp = w ? w[i + stride] : constant;
          double cm = dt * ol[i] * (diffusion + wi * (dm < 0 ? -dm : 0) * inv_h);
          double cp = dt * ou[i] * (diffusion + wi * (dp < 0 ? -dp : 0) * inv_h);
          double bm = ll[i] * (dt * ol[i] * (diffusion + wm * (dm > 0 ? dm : 0) * inv_h));
          double bp = lu[i] * (dt * ou[i] * (diffusion + wp * (dp > 0 ? dp : 0) * inv_h));
          out[i] += (bm * q[i - stride] - cm * q[i]) + (bp * q[i + stride] - cp * q[i]);
        }
      }
    }
  PetscFunctionReturn(0);
}

/* What the agents m pay a time unit: the integral of (L + f) m, with L = sum w a_f^2 - H the Legendre transform along the policy
 * of the loaded u, and f in s->f. */
PetscErrorCode upwind_cost_rate(Mfg mfg, Upwind *s, const double *m, double *rate) {
  HcGrid g = mfg->grid;
  Rows r = upwind_rows(s, g->n[0]);
  double share = upwind_hamiltonian_share(mfg);

  PetscFunctionBeginUser;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      PetscInt at = j * s->u->stride[1] + k * s->u->stride[2];
      size_t row = (size_t)(j + k * g->n[1]) * (size_t)g->n[0];
      upwind_differences(mfg, s, at, r);
      for (PetscInt i = 0; i < g->n[0]; i++) {
        double w = s->w ? s->w->c[0][at + i] : 1 / mfg->control_cost;
        s->work[row + (size_t)i] = ((1 - share) * w * r.S[i] + s->f[row + (size_t)i]) * m[row + (size_t)i];
      }
    }
  PetscCall(MfgIntegral(mfg, s->work, rate));
  PetscFunctionReturn(0);
}

/* March m. With `cost`, m is the flow of u already and is marched once more, to the same bits, to sum what it pays in each
 * substep: the policy may change much between two levels, as where a value jumps at an exit at the horizon. */
PetscErrorCode upwind_explicit_march(Mfg mfg, double *cost) {
  Upwind *s = mfg->scheme_data;

  PetscFunctionBeginUser;
  for (PetscInt l = 0; l < mfg->steps; l++) {
    const double *u0 = MfgLevel(mfg, mfg->u, l), *u1 = MfgLevel(mfg, mfg->u, l + 1);
    double *m = MfgLevel(mfg, mfg->m, l + 1), done = 0, exited[MFG_MAX_EXITS] = {0}, gained_step = 0;
    if (cost) PetscCall(MfgRunningCost(mfg, mfg->dt * (l + 1), m, s->f));
    PetscCall(PetscArraycpy(m, MfgLevel(mfg, mfg->m, l), mfg->cells));
    while (done < 1) {
      /* With one substep the rates are those of u at the end of the interval, the exact transpose of the HJB step; with
       * more, u in between is linear in time. */
      double rate, part, parts, t, out[MFG_MAX_EXITS] = {0}, source, gained;
      PetscCall(upwind_load_level(mfg, s, u1, mfg->dt * (l + 1)));
      PetscCall(upwind_largest_rate(mfg, s, &rate));
      parts = PetscCeilReal(PetscMax((1 - done) * mfg->dt * rate / mfg->cfl, 1));
      for (;;) {
        part = (1 - done) / parts;
        double end = parts > 1 ? done + part : 1;
        if (end < 1) {
          for (size_t c = 0; c < mfg->cells; c++) s->delta[c] = u0[c] + end * (u1[c] - u0[c]);
          PetscCall(upwind_load_level(mfg, s, s->delta, mfg->dt * (l + end)));
          PetscCall(upwind_largest_rate(mfg, s, &rate));
        } else
          PetscCall(upwind_load_level(mfg, s, u1, mfg->dt * (l + 1)));
        HcRequire(rate < PETSC_INFINITY && parts < 1e6, HC_EXIT_FAILED,
          "the explicit scheme needs more than a million substeps at time %g: use time_stepping implicit", mfg->dt * l);
        if (part * mfg->dt * rate <= 1) break;
        parts *= 2;
      }
      t = mfg->dt * (l + done);
      if (cost) {
        double paid;
        PetscCall(upwind_cost_rate(mfg, s, m, &paid));
        *cost += part * mfg->dt * paid;
      }
      PetscCall(upwind_boundary_mass(mfg, s, part * mfg->dt, t, m, out, &gained));
      PetscCall(explicit_fp_step(mfg, s, part * mfg->dt, m));
      PetscCall(upwind_add_inflow(mfg, s, part * mfg->dt, t, m));
      PetscCall(add_source(mfg, s, part * mfg->dt, t, m, &source));
      for (PetscInt e = 0; e < mfg->exits; e++) exited[e] += out[e];
      gained_step += gained + source;
      done = parts > 1 ? done + part : 1;
    }
    MfgAccountExits(mfg, l + 1, exited);
    mfg->gained_level[l + 1] = mfg->gained_level[l] + gained_step;
  }
  PetscFunctionReturn(0);
}

PetscErrorCode upwind_explicit_fp(Mfg mfg) {
  PetscFunctionBeginUser;
  PetscCall(upwind_explicit_march(mfg, NULL));
  PetscFunctionReturn(0);
}
