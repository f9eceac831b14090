/*
 * Positivity limiter of the weno scheme's density: flux-corrected transport with the lower bound 0 only (Zalesak, JCP 31 (1979)
 * 335; used with WENO fluxes as by Hu, Adams & Shu, JCP 242 (2013) 169).
 *
 * F = FL + theta (FH - FL): FL is the monotone first-order flux of the same splitting, whose Euler stage m^L is >= 0 under the
 * step limit. A cell scales what the corrections FH - FL take out of it by R = min(1, m^L / taken); a face uses the R of the cell
 * it takes from. m^L differs from m by the step's change, the corrections are O(h) smaller than the fluxes: on smooth positive
 * densities R = 1 and the order stays. It runs only in stages where FH alone would have left m < 0 somewhere.
 */
#include "weno.h"

static void flux_low(Mfg mfg, const MfgWenoDrift *drift) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;

  for (int d = 0; d < g->dim; d++) {
    ptrdiff_t s = w->state->stride[d];
    double diffusion = mfg->nu * w->inv_h[d];
    PetscInt n = g->n[0] + (d == 0);
    for (PetscInt k = 0; k < g->n[2] + (d == 2); k++)
      for (PetscInt j = 0; j < g->n[1] + (d == 1); j++) {
        ptrdiff_t o = MfgWenoOffset(w->state, j, k);
        const double *restrict m = w->state->c[0] + o, *restrict b = drift->b->c[d] + o;
        double *restrict flux = w->low->c[d] + o;
        for (PetscInt i = 0; i < n; i++) {
          double out = (b[i - s] > 0 ? b[i - s] : 0) + diffusion, in = (b[i] < 0 ? -b[i] : 0) + diffusion;
          flux[i] = out * m[i - s] - in * m[i];
        }
      }
  }
}

/* w->change = m^L, w->ratio = R in owned cells. */
static void low_stage(Mfg mfg, double tau, const double *source) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0];
  double *restrict taken = MfgWenoRow(w, 0);

  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      ptrdiff_t o = MfgWenoOffset(w->state, j, k);
      PetscInt row = MfgWenoOwned(g, j, k);
      const double *restrict m = w->state->c[0] + o;
      double *restrict out = w->change + row, *restrict R = w->ratio->c[0] + o;
      for (int d = 0; d < g->dim; d++) {
        const double *restrict low = w->low->c[d] + o, *restrict high = w->high->c[d] + o;
        ptrdiff_t s = w->low->stride[d];
        double scale = tau * w->inv_h[d];
        for (PetscInt i = 0; i < n; i++) {
          double below = low[i] - high[i], above = high[i + s] - low[i + s];
          taken[i] = (d ? taken[i] : 0) + scale * ((below > 0 ? below : 0) + (above > 0 ? above : 0));
          out[i] = (d ? out[i] : m[i]) - scale * (low[i + s] - low[i]);
        }
      }
      if (source)
        for (PetscInt i = 0; i < n; i++) out[i] += tau * source[row + i];
      /* short of all by more than the rounding of the corrections */
      for (PetscInt i = 0; i < n; i++) {
        double room = out[i] > 0 ? out[i] * (1 - 1e-13) : 0;
        R[i] = taken[i] > room ? room / taken[i] : 1;
      }
    }
}

/* w->high becomes the limited correction. */
static void limit_corrections(Mfg mfg) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;

  for (int d = 0; d < g->dim; d++) {
    ptrdiff_t s = w->state->stride[d];
    PetscInt n = g->n[0] + (d == 0);
    for (PetscInt k = 0; k < g->n[2] + (d == 2); k++)
      for (PetscInt j = 0; j < g->n[1] + (d == 1); j++) {
        ptrdiff_t o = MfgWenoOffset(w->state, j, k);
        const double *restrict low = w->low->c[d] + o, *restrict R = w->ratio->c[0] + o;
        double *restrict high = w->high->c[d] + o;
        for (PetscInt i = 0; i < n; i++) {
          double correction = high[i] - low[i];
          high[i] = (correction > 0 ? R[i - s] : R[i]) * correction;
        }
      }
  }
}

/* w->change += the corrections; w->high = FL + corrections. */
static void apply_corrections(Mfg mfg, double tau) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;

  for (int d = 0; d < g->dim; d++) {
    ptrdiff_t s = w->high->stride[d];
    double scale = tau * w->inv_h[d];
    for (PetscInt k = 0; k < g->n[2]; k++)
      for (PetscInt j = 0; j < g->n[1]; j++) {
        const double *restrict correction = w->high->c[d] + MfgWenoOffset(w->high, j, k);
        double *restrict out = w->change + MfgWenoOwned(g, j, k);
        for (PetscInt i = 0; i < g->n[0]; i++) out[i] -= scale * (correction[i + s] - correction[i]);
      }
  }
  for (PetscInt q = 0; q < w->ncrossing; q++) {
    const MfgWenoCrossing *c = &w->crossing[q];
    w->high->c[c->d][c->o] += w->low->c[c->d][c->o];
  }
}

PetscErrorCode MfgWenoLimit(Mfg mfg, const MfgWenoDrift *drift, double tau, const double *source) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  HcFill rule[6];
  double one[6];

  PetscFunctionBeginUser;
  flux_low(mfg, drift);
  MfgWenoFluxWalls(mfg, drift, w->low);
  low_stage(mfg, tau, source);
  PetscCall(HcFieldExchangeBegin(w->ratio, 0, 1, 1, HC_STAR));
  PetscCall(HcFieldExchangeEnd(w->ratio));
  for (int f = 0; f < 6; f++) {
    rule[f] = f < 2 * g->dim && g->boundary[f] != HC_PERIODIC ? HC_FILL_CONSTANT : HC_FILL_NONE;
    one[f] = 1; /* what lies beyond a given face is not used up */
  }
  PetscCall(HcFieldFillBoundary(w->ratio, 0, 1, rule, one));
  limit_corrections(mfg);
  apply_corrections(mfg, tau);
  PetscFunctionReturn(0);
}
