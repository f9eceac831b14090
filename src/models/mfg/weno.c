/*
 * Fifth-order WENO scheme of the mean field game, explicit in time: workspace, time interpolation, policy cost.
 *
 * Both equations march with SSP-RK3 (Shu & Osher, JCP 77 (1988) 439) between the stored levels, in equal substeps where the
 * interval is beyond the stability limit. The frozen equation's values at stage times come from cubic interpolation in time,
 * one order more than the march needs. The value function's Hamiltonian is Jiang & Peng's with local Lax-Friedrichs
 * dissipation (weno_hjb.c); the density's equation is in conservative finite-difference form (weno_fp.c). Cells near walls and
 * exits take the upwind scheme's first-order monotone formulas in the directions concerned (weno_walls.c): order five holds in
 * periodic boxes, between plain reflecting walls where the data are even about them, and at given faces.
 */
#include "weno.h"
#include "grid/source.h"

/* ---- time ------------------------------------------------------------------------------------------------------- */

int MfgWenoTimeWeights(PetscInt steps, PetscInt n, double at, PetscInt *first, double weight[4]) {
  int count = steps < 3 ? (int)steps + 1 : 4;

  *first = PetscMax(0, PetscMin(n - 1, steps + 1 - count));
  for (int a = 0; a < count; a++) {
    weight[a] = 1;
    for (int b = 0; b < count; b++)
      if (b != a) weight[a] *= (at - (double)(*first + b)) / (double)(a - b);
  }
  return count;
}

PetscErrorCode MfgWenoCost(Mfg mfg, PetscInt n, double at, const double **cost) {
  MfgWeno w = mfg->scheme_data;
  PetscBool uses_m = HcSourceUses(mfg->running_cost, 0),
            fixed = !uses_m && !HcSourceUsesTime(mfg->running_cost) ? PETSC_TRUE : PETSC_FALSE;

  PetscFunctionBeginUser;
  for (int slot = 0; slot < 2; slot++)
    if (w->cost_at[slot] == at || (fixed && w->cost_at[slot] >= 0)) {
      *cost = w->cost[slot];
      w->cost_last = slot;
      PetscFunctionReturn(0);
    }
  int slot = 1 - w->cost_last;
  const double *m = mfg->m;
  if (uses_m) {
    PetscInt first;
    double weight[4];
    int count = MfgWenoTimeWeights(mfg->steps, n, at, &first, weight);
    m = NULL;
    for (int a = 0; a < count; a++)
      if (weight[a] == 1) m = MfgLevel(mfg, mfg->m, first + a);
    if (!m) {
      const double *restrict from = MfgLevel(mfg, mfg->m, n), *restrict to = MfgLevel(mfg, mfg->m, n + 1);
      double *restrict mid = w->work;
      for (int a = 0; a < count; a++) {
        const double *restrict level = MfgLevel(mfg, mfg->m, first + a);
        double wa = weight[a];
        for (size_t c = 0; c < mfg->cells; c++) mid[c] = a ? mid[c] + wa * level[c] : wa * level[c];
      }
      /* a cubic may dip below zero where m changes by orders of magnitude in a step, and log m would then see a hole that is not
       * there; half the smaller end value is out of reach of a resolved change */
      for (size_t c = 0; c < mfg->cells; c++) {
        double low = 0.5 * (from[c] < to[c] ? from[c] : to[c]);
        mid[c] = mid[c] > low ? mid[c] : low;
      }
      m = mid;
    }
  }
  PetscCall(MfgRunningCost(mfg, mfg->dt * at, m, w->cost[slot]));
  w->cost_at[slot] = at;
  w->cost_last = slot;
  *cost = w->cost[slot];
  PetscFunctionReturn(0);
}

/* ---- powers ----------------------------------------------------------------------------------------------------- */

void MfgWenoPower(PetscInt n, const double *restrict x, double e, double *restrict out) {
  double quarters = 4 * fabs(e);

  if (quarters == floor(quarters) && quarters <= 32) {
    int whole = (int)quarters / 4, half = (int)quarters / 2 % 2, quarter = (int)quarters % 2;
    for (PetscInt i = 0; i < n; i++) out[i] = 1;
    for (int q = 0; q < whole; q++)
      for (PetscInt i = 0; i < n; i++) out[i] *= x[i];
    if (half)
      for (PetscInt i = 0; i < n; i++) out[i] *= sqrt(x[i]);
    if (quarter)
      for (PetscInt i = 0; i < n; i++) out[i] *= sqrt(sqrt(x[i]));
    if (e < 0)
      for (PetscInt i = 0; i < n; i++) out[i] = out[i] > 1e-200 ? 1 / out[i] : 0;
  } else
    for (PetscInt i = 0; i < n; i++) out[i] = x[i] > 1e-200 ? pow(x[i], e) : 0;
}

void MfgWenoFactorRow(Mfg mfg, PetscInt n, const double *S, double *out) {
  if (mfg->hamiltonian == MFG_POWER)
    MfgWenoPower(n, S, mfg->exponent / 2 - 1, out);
  else
    for (PetscInt i = 0; i < n; i++) out[i] = 1 / mfg->control_cost;
}

void MfgWenoHamiltonianRow(Mfg mfg, PetscInt n, const double *S, double *out) {
  double factor = mfg->hamiltonian == MFG_POWER ? 1 / mfg->exponent : 0.5 / mfg->control_cost;

  MfgWenoPower(n, S, mfg->hamiltonian == MFG_POWER ? mfg->exponent / 2 : 1, out);
  for (PetscInt i = 0; i < n; i++) out[i] *= factor;
}

/* ---- ghosts ----------------------------------------------------------------------------------------------------- */

/* Stage values of SSP-RK3 are not values of the solution: with the boundary's exact values at stage times the method would fall
 * to second order next to it (Carpenter, Gottlieb, Abarbanel & Don, SIAM J. Sci. Comput. 16 (1995) 1241). The stages hold g, g +
 * tau g', g + tau/2 g' + tau^2/4 g'' up to O(tau^3), here from the formula at the step's ends and middle. */
static const double stage_share[3][3] = {{1, 0, 0}, {-2, 4, -1}, {0.5, 0, 0.5}};

static PetscErrorCode given_ghosts(Mfg mfg, HcSource given, int face, const MfgWenoStage *stage, double floor) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  int d = face / 2;
  const double *share = stage_share[stage->number], time[3] = {stage->from, 0.5 * (stage->from + stage->to), stage->to};
  double *value = MfgWenoRow(w, 0), *sum = MfgWenoRow(w, 1);
  PetscInt lo[3] = {0, 0, 0}, hi[3] = {g->n[0], g->n[1], g->n[2]};

  PetscFunctionBeginUser;
  lo[d] = face % 2 ? g->n[d] : -MFG_WENO_WIDTH;
  hi[d] = lo[d] + MFG_WENO_WIDTH;
  PetscInt n = hi[0] - lo[0];
  for (PetscInt k = lo[2]; k < hi[2]; k++)
    for (PetscInt j = lo[1]; j < hi[1]; j++) {
      double *out = w->state->c[0] + lo[0] + MfgWenoOffset(w->state, j, k);
      PetscCall(PetscArrayzero(sum, n));
      for (int q = 0; q < 3; q++) {
        if (share[q] == 0) continue;
        PetscCall(HcSourceEvalRow(given, lo[0], n, j, k, time[q], NULL, value));
        for (PetscInt i = 0; i < n; i++) sum[i] += share[q] * value[i];
      }
      for (PetscInt i = 0; i < n; i++) out[i] = sum[i] > floor ? sum[i] : floor;
    }
  PetscFunctionReturn(0);
}

static PetscErrorCode ghosts(Mfg mfg, HcSource given, double exit, const MfgWenoStage *stage, double floor) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;

  PetscFunctionBeginUser;
  PetscCall(HcFieldExchange(w->state, HC_STAR));
  PetscCall(MfgFillGhosts(mfg, w->state, 0, MFG_WENO_WIDTH, exit, given, stage->from));
  if (stage->number == 0 || !given || !HcSourceUsesTime(given)) PetscFunctionReturn(0);
  for (int face = 0; face < 2 * g->dim; face++)
    if (g->boundary[face] == HC_GIVEN && HcGridAtEdge(g, face)) PetscCall(given_ghosts(mfg, given, face, stage, floor));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgWenoGhostsU(Mfg mfg, const MfgWenoStage *stage) {
  PetscFunctionBeginUser;
  PetscCall(ghosts(mfg, mfg->boundary_u, mfg->exit_cost, stage, -PETSC_INFINITY));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgWenoGhostsM(Mfg mfg, const MfgWenoStage *stage) {
  PetscFunctionBeginUser;
  PetscCall(ghosts(mfg, mfg->boundary_m, 0, stage, 0));
  PetscFunctionReturn(0);
}

/* ---- cost of the policy ----------------------------------------------------------------------------------------- */

/* Cost rate (L + f) m of a level; L = (gamma - 1) H along the optimal policy of a Hamiltonian of degree gamma. */
static PetscErrorCode cost_rate(Mfg mfg, PetscInt level, double *rate) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0];
  const double *m = MfgLevel(mfg, mfg->m, level);
  double degree = mfg->hamiltonian == MFG_POWER ? mfg->exponent : 2, *S = MfgWenoRow(w, 3), *H = MfgWenoRow(w, 4);
  double *const p[3] = {MfgWenoRow(w, 0), MfgWenoRow(w, 1), MfgWenoRow(w, 2)};

  PetscFunctionBeginUser;
  HcFieldFromArray(w->state, 0, MfgLevel(mfg, mfg->u, level));
  PetscCall(MfgWenoGhostsU(mfg, &(MfgWenoStage){.from = mfg->dt * level}));
  PetscCall(MfgRunningCost(mfg, mfg->dt * level, m, w->change));
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      PetscInt row = MfgWenoOwned(g, j, k);
      MfgWenoGradientRow(mfg, j, k, p, S);
      MfgWenoHamiltonianRow(mfg, n, S, H);
      for (PetscInt i = 0; i < n; i++) w->change[row + i] = ((degree - 1) * H[i] + w->change[row + i]) * m[row + i];
    }
  for (PetscInt q = 0; q < w->ninactive; q++) w->change[w->inactive[q]] = 0;
  PetscCall(MfgIntegral(mfg, w->change, rate));
  PetscFunctionReturn(0);
}

/* Quadrature in time: the integral of the same cubics that interpolate, by two Gauss points an interval. */
static PetscErrorCode policy_cost(Mfg mfg, double *cost) {
  MfgWeno w = mfg->scheme_data;
  double *rate, end;

  PetscFunctionBeginUser;
  PetscCall(PetscMalloc1(mfg->steps + 1, &rate));
  for (PetscInt l = 0; l <= mfg->steps; l++) PetscCall(cost_rate(mfg, l, &rate[l]));
  *cost = 0;
  for (PetscInt l = 0; l < mfg->steps; l++)
    for (int side = -1; side <= 1; side += 2) {
      PetscInt first;
      double weight[4];
      int count = MfgWenoTimeWeights(mfg->steps, l, (double)l + 0.5 + side * 0.5 / sqrt(3.0), &first, weight);
      for (int a = 0; a < count; a++) *cost += 0.5 * mfg->dt * weight[a] * rate[first + a];
    }
  PetscCall(PetscFree(rate));
  const double *u = MfgLevel(mfg, mfg->u, mfg->steps), *m = MfgLevel(mfg, mfg->m, mfg->steps);
  for (size_t c = 0; c < mfg->cells; c++) w->change[c] = u[c] * m[c];
  PetscCall(MfgIntegral(mfg, w->change, &end));
  *cost += end + mfg->exit_cost * mfg->exited_level[mfg->steps];
  PetscFunctionReturn(0);
}

/* The optimal drift of a level; zero in walls and doors. */
static PetscErrorCode drift(Mfg mfg, PetscInt level, HcField out) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  MfgWenoDrift *d = &w->drift[0];

  PetscFunctionBeginUser;
  PetscCall(MfgWenoDriftLevel(mfg, level, d));
  d->level = -1; /* the next sweep may change u */
  for (int c = 0; c < g->dim; c++)
    for (PetscInt k = 0; k < g->n[2]; k++)
      for (PetscInt j = 0; j < g->n[1]; j++)
        PetscCall(PetscArraycpy(out->c[c] + MfgWenoOffset(out, j, k), d->b->c[c] + MfgWenoOffset(d->b, j, k), g->n[0]));
  PetscFunctionReturn(0);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static int drift_components(Mfg mfg) { return (int)mfg->grid->dim + (mfg->hamiltonian == MFG_POWER ? 1 : 0); }

static size_t row_length(HcGrid g) { return (size_t)((g->n[0] + 7) / 8 * 8 + 16 + 8); }

static PetscErrorCode create(Mfg mfg) {
  HcGrid g = mfg->grid;
  HcOptions opts = HcRunOptions(mfg->run);
  int dim = (int)g->dim;
  PetscInt word;
  MfgWeno w;

  PetscFunctionBeginUser;
  PetscCall(PetscNew(&w));
  mfg->scheme_data = w;
  PetscCall(HcOptionsGetWord(opts, "mfg_weights", &word));
  w->weights = (HcWenoWeights)word;
  PetscCall(HcOptionsGetWord(opts, "mfg_diffusion_order", &word));
  w->order = word == 0 ? 4 : 6;
  w->power = mfg->hamiltonian == MFG_POWER;
  /* The largest eigenvalue of the discrete -h^2 d^2/dx^2 is 16/3 (order 4) or 272/45 (order 6); SSP-RK3 is stable to 2.5127 on
   * the negative real axis. The limiter's low-order flux needs 2 nu/h^2, which is less. */
  double eigenvalue = w->order == 4 ? 16.0 / 3 : 272.0 / 45;
  for (int d = 0; d < dim; d++) {
    w->inv_h[d] = 1 / g->h[d];
    w->diffusion_rate += mfg->nu * eigenvalue / 2.5127 * w->inv_h[d] * w->inv_h[d];
  }
  PetscCall(HcFieldCreate(g, 1, MFG_WENO_WIDTH, &w->state));
  PetscCall(MfgWenoWallsCreate(mfg));
  for (int q = 0; q < 5; q++) {
    MfgWenoDrift *d = q < 4 ? &w->drift[q] : &w->stage;
    d->level = -1;
    PetscCall(HcFieldCreate(g, drift_components(mfg), MFG_WENO_WIDTH, &d->b));
    PetscCall(PetscCalloc1(2 * w->faces, &d->rate));
  }
  PetscCall(HcFieldCreate(g, dim, MFG_WENO_WIDTH, &w->high));
  PetscCall(HcFieldCreate(g, dim, MFG_WENO_WIDTH, &w->low));
  PetscCall(HcFieldCreate(g, 1, MFG_WENO_WIDTH, &w->ratio));
  PetscCall(PetscMalloc3(mfg->cells, &w->start, mfg->cells, &w->change, mfg->cells, &w->work));
  PetscCall(PetscCalloc2(mfg->cells, &w->cost[0], mfg->cells, &w->cost[1]));
  if (mfg->density_source) PetscCall(PetscMalloc2(mfg->cells, &w->source, mfg->cells, &w->gain));
  w->row_length = row_length(g);
  PetscCall(PetscCalloc1(MFG_WENO_ROWS * w->row_length, &w->row));
  w->cost_at[0] = w->cost_at[1] = -1;
  for (int d = 0; mfg->boundary_u && d < dim; d++) w->given_gradient[d] = HcExprDerivative(hc_source_formula(mfg->boundary_u), d);
  PetscFunctionReturn(0);
}

static double bytes(Mfg mfg) {
  HcGrid g = mfg->grid;
  double cells = (double)HcGridLocalCells(g), field = HcFieldBytes(g, 1, MFG_WENO_WIDTH);
  double total =
    2 * field + 5 * HcFieldBytes(g, drift_components(mfg), MFG_WENO_WIDTH) + 3 * HcFieldBytes(g, (int)g->dim, MFG_WENO_WIDTH);
  return total + 8 * (cells * (mfg->density_source ? 7 : 5) + (double)MFG_WENO_ROWS * (double)row_length(g));
}

static PetscErrorCode destroy(Mfg mfg) {
  MfgWeno w = mfg->scheme_data;

  PetscFunctionBeginUser;
  if (!w) PetscFunctionReturn(0);
  for (int q = 0; q < 5; q++) {
    MfgWenoDrift *d = q < 4 ? &w->drift[q] : &w->stage;
    PetscCall(HcFieldDestroy(&d->b));
    PetscCall(PetscFree(d->rate));
  }
  PetscCall(HcFieldDestroy(&w->high));
  PetscCall(HcFieldDestroy(&w->low));
  PetscCall(HcFieldDestroy(&w->ratio));
  PetscCall(HcFieldDestroy(&w->state));
  PetscCall(MfgWenoWallsDestroy(w));
  PetscCall(PetscFree3(w->start, w->change, w->work));
  PetscCall(PetscFree2(w->cost[0], w->cost[1]));
  PetscCall(PetscFree2(w->source, w->gain));
  PetscCall(PetscFree(w->row));
  for (int d = 0; d < 3; d++) HcExprDestroy(&w->given_gradient[d]);
  PetscCall(PetscFree(mfg->scheme_data));
  PetscFunctionReturn(0);
}

const MfgScheme MfgWenoExplicit = {
  .name = "weno",
  .width = MFG_WENO_WIDTH,
  .create = create,
  .bytes = bytes,
  .hjb = MfgWenoHjb,
  .fp = MfgWenoFp,
  .drift = drift,
  .policy_cost = policy_cost,
  .destroy = destroy,
};
