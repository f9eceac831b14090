/* The optimal drift b = -H_p of a level of the value function, with the rates that first-order faces and the step limit need. */
#include "weno.h"

/* Sixth-order central difference: b is differentiated once more by the flux differences, so its error must be smooth, which
 * that of a nonlinear reconstruction is not. */
static void central_row(PetscInt n, const double *restrict v, ptrdiff_t s, double inv_h, double *restrict out) {
  for (PetscInt i = 0; i < n; i++)
    out[i] = (45 * (v[i + s] - v[i - s]) - 9 * (v[i + 2 * s] - v[i - 2 * s]) + (v[i + 3 * s] - v[i - 3 * s])) * (inv_h / 60);
}

void MfgWenoGradientRow(Mfg mfg, PetscInt j, PetscInt k, double *const p[3], double *S) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0], row = j + g->n[1] * k;
  ptrdiff_t o = MfgWenoOffset(w->state, j, k);
  const double *v = w->state->c[0] + o;

  for (int d = 0; d < g->dim; d++) {
    central_row(n, v, w->state->stride[d], w->inv_h[d], p[d]);
    for (PetscInt i = 0; i < n; i++) S[i] = d ? S[i] + p[d][i] * p[d][i] : p[d][i] * p[d][i];
  }
  for (PetscInt q = w->row_cell[row]; q < w->row_cell[row + 1]; q++) {
    const MfgWenoCell *c = &w->cell[q];
    double square = 0;
    for (int d = 0; d < g->dim; d++) {
      ptrdiff_t s = w->state->stride[d];
      if (c->low & 1 << d) {
        const double *open = w->open->c[d] + o + c->i;
        double below = open[0] * (v[c->i - s] - v[c->i]) * w->inv_h[d], above = open[s] * (v[c->i + s] - v[c->i]) * w->inv_h[d];
        below = below < 0 ? below : 0;
        above = above < 0 ? above : 0;
        p[d][c->i] = above - below;
        square += below * below + above * above;
      } else
        square += p[d][c->i] * p[d][c->i];
    }
    S[c->i] = square;
  }
}

/* Drift in the ghosts beyond given faces: from the gradient of the formula for u, which is thereby the whole outside world. */
static void given_ghosts(Mfg mfg, int face, double t, HcField b) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  int d = face / 2, dim = (int)g->dim;
  PetscInt lo[3] = {0, 0, 0}, hi[3] = {g->n[0], g->n[1], g->n[2]};
  double *S = MfgWenoRow(w, 3), *factor = MfgWenoRow(w, 4), *x = MfgWenoRow(w, 5), y, z;
  const HcExprArg args[4] = {{x, 1}, {&y, 0}, {&z, 0}, {&t, 0}};

  lo[d] = face % 2 ? g->n[d] : -MFG_WENO_WIDTH;
  hi[d] = lo[d] + MFG_WENO_WIDTH;
  PetscInt n = hi[0] - lo[0];
  for (PetscInt i = 0; i < n; i++) x[i] = HcGridCentre(g, 0, lo[0] + i);
  for (PetscInt k = lo[2]; k < hi[2]; k++)
    for (PetscInt j = lo[1]; j < hi[1]; j++) {
      ptrdiff_t o = lo[0] + MfgWenoOffset(b, j, k);
      y = HcGridCentre(g, 1, j);
      z = HcGridCentre(g, 2, k);
      for (int e = 0; e < dim; e++) {
        double *p = MfgWenoRow(w, e);
        HcExprEval(w->given_gradient[e], (size_t)n, args, p);
        for (PetscInt i = 0; i < n; i++) S[i] = e ? S[i] + p[i] * p[i] : p[i] * p[i];
      }
      MfgWenoFactorRow(mfg, n, S, factor);
      for (int e = 0; e < dim; e++)
        for (PetscInt i = 0; i < n; i++) b->c[e][o + i] = -factor[i] * MfgWenoRow(w, e)[i];
      if (w->power) memcpy(b->c[dim] + o, factor, (size_t)n * sizeof *factor);
    }
}

static PetscErrorCode drift_ghosts(Mfg mfg, double t, HcField b) {
  HcGrid g = mfg->grid;

  PetscFunctionBeginUser;
  PetscCall(HcFieldExchange(b, HC_STAR));
  for (int c = 0; c < b->components; c++) {
    HcFill rule[6];
    for (int face = 0; face < 6; face++) {
      PetscBool used = face < 2 * g->dim && g->boundary[face] != HC_PERIODIC && g->boundary[face] != HC_GIVEN;
      rule[face] = !used ? HC_FILL_NONE : c == face / 2 ? HC_FILL_ODD : HC_FILL_EVEN;
    }
    PetscCall(HcFieldFillBoundary(b, c, MFG_WENO_WIDTH, rule, NULL));
  }
  for (int face = 0; face < 2 * g->dim; face++)
    if (g->boundary[face] == HC_GIVEN && HcGridAtEdge(g, face)) given_ghosts(mfg, face, t, b);
  PetscFunctionReturn(0);
}

/* Outflow rates times h of the two cells of every first-order face: tr (w |min(d, 0)| + nu/h), d = tr (u_beyond - u)/h. */
static void face_rates(Mfg mfg, MfgWenoDrift *drift) {
  MfgWeno w = mfg->scheme_data;

  for (int d = 0; d < mfg->grid->dim; d++) {
    const MfgWenoFaces *f = &w->face[d];
    ptrdiff_t s = w->state->stride[d];
    double *rate = drift->rate + 2 * f->base, diffusion = mfg->nu * w->inv_h[d];
    const double *factor = w->power ? drift->b->c[mfg->grid->dim] : NULL, constant = 1 / mfg->control_cost;
    for (PetscInt q = 0; q < f->n; q++) {
      ptrdiff_t o = f->o[q];
      double slope = f->open[q] * (w->state->c[0][o] - w->state->c[0][o - s]) * w->inv_h[d];
      double below = factor ? factor[o - s] : constant, above = factor ? factor[o] : constant;
      rate[2 * q] = f->open[q] * (below * (slope < 0 ? -slope : 0) + diffusion);
      rate[2 * q + 1] = f->open[q] * (above * (slope > 0 ? slope : 0) + diffusion);
    }
  }
}

double MfgWenoDriftSpeed(Mfg mfg, const MfgWenoDrift *drift) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0];
  double *restrict most = MfgWenoRow(w, 0), *restrict sum = MfgWenoRow(w, 1), result = 0;

  for (PetscInt i = 0; i < n; i++) most[i] = 0;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      ptrdiff_t o = MfgWenoOffset(drift->b, j, k);
      PetscInt row = j + g->n[1] * k;
      for (int d = 0; d < g->dim; d++) {
        const double *restrict b = drift->b->c[d] + o;
        double inv_h = w->inv_h[d];
        for (PetscInt i = 0; i < n; i++) sum[i] = (d ? sum[i] : w->diffusion_rate) + fabs(b[i]) * inv_h;
      }
      for (PetscInt q = w->row_cell[row]; q < w->row_cell[row + 1]; q++) {
        const MfgWenoCell *c = &w->cell[q];
        double total = w->diffusion_rate;
        for (int f = 0; f < 2 * g->dim; f++) {
          int d = f / 2, number = (int)c->face[f];
          double b = drift->b->c[d][o + c->i], outward = f % 2 ? b : -b;
          if (number >= 0)
            total += drift->rate[2 * number + (f % 2 ? 0 : 1)] * w->inv_h[d];
          else if (number == -1)
            total += (outward > 0 ? outward : 0) * w->inv_h[d];
        }
        sum[c->i] = total;
      }
      for (PetscInt i = 0; i < n; i++) most[i] = sum[i] <= most[i] ? most[i] : sum[i];
    }
  for (PetscInt i = 0; i < n; i++) result = most[i] <= result ? result : most[i];
  return result;
}

PetscErrorCode MfgWenoDriftLevel(Mfg mfg, PetscInt level, MfgWenoDrift *drift) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0];
  int dim = (int)g->dim;
  double *const p[3] = {MfgWenoRow(w, 0), MfgWenoRow(w, 1), MfgWenoRow(w, 2)}, *S = MfgWenoRow(w, 3), *factor = MfgWenoRow(w, 4);
  double local;

  PetscFunctionBeginUser;
  HcFieldFromArray(w->state, 0, MfgLevel(mfg, mfg->u, level));
  PetscCall(MfgWenoGhostsU(mfg, &(MfgWenoStage){.from = mfg->dt * level}));
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      ptrdiff_t o = MfgWenoOffset(drift->b, j, k);
      MfgWenoGradientRow(mfg, j, k, p, S);
      MfgWenoFactorRow(mfg, n, S, factor);
      for (int d = 0; d < dim; d++) {
        double *restrict b = drift->b->c[d] + o;
        for (PetscInt i = 0; i < n; i++) b[i] = -factor[i] * p[d][i];
      }
      if (w->power) PetscCall(PetscArraycpy(drift->b->c[dim] + o, factor, n));
    }
  for (PetscInt q = 0; q < w->ninactive; q++)
    for (int c = 0; c < drift->b->components; c++) drift->b->c[c][w->inactive_o[q]] = 0;
  PetscCall(drift_ghosts(mfg, mfg->dt * level, drift->b));
  face_rates(mfg, drift);
  local = MfgWenoDriftSpeed(mfg, drift);
  PetscCallMPI(MPI_Allreduce(&local, &drift->speed, 1, MPI_DOUBLE, MPI_MAX, g->comm));
  drift->level = level;
  HcRequire(
    drift->speed < PETSC_INFINITY, HC_EXIT_FAILED, "the value function is not a number at time %g", mfg->dt * (double)level);
  PetscFunctionReturn(0);
}
