/*
 * Density of the weno scheme:  m_t + sum_d d/dx_d (b_d m - nu dm/dx_d) = source, b = -H_p.
 *
 * Conservative finite differences on point values (Shu & Osher, JCP 83 (1989) 32): the flux of a face is the WENO5 reconstruction
 * of f+ = (b + alpha) m/2 from the left plus that of f- = (b - alpha) m/2 from the right, minus a central diffusive flux whose
 * difference is the fourth- or sixth-order second derivative. alpha is the largest |b| of the face's six cells (local
 * Lax-Friedrichs): one value for the whole stencil, so that both parts are as smooth as b and m are; it multiplies the difference
 * of two reconstructions of m, which is O(h^5). Where an Euler stage would leave m < 0, fluxes are blended with the first-order
 * donor-cell flux (weno_limit.c), so every SSP-RK3 step keeps m >= 0 and the sum of m exactly.
 */
#include "numerics/weno_inline.h"
#include "weno.h"

/* ---- fluxes ------------------------------------------------------------------------------------------------------ */

/* Flux of n faces; face i lies between cells i-s and i of b and m. `scale` is nu/h. */
WENO_INLINE void flux_row(HcWenoWeights weights, int order, PetscInt n, const double *b, const double *m, ptrdiff_t s,
  double scale, double *restrict flux) {
  const double c = scale / (order == 4 ? 12 : 180);

  WENO_VECTOR_LOOP
  for (PetscInt i = 0; i < n; i++) {
    const double *x = b + i, *y = m + i;
    double b0 = x[-3 * s], b1 = x[-2 * s], b2 = x[-s], b3 = x[0], b4 = x[s], b5 = x[2 * s];
    double m0 = y[-3 * s], m1 = y[-2 * s], m2 = y[-s], m3 = y[0], m4 = y[s], m5 = y[2 * s];
    double alpha = weno_max(weno_max(weno_max(fabs(b0), fabs(b1)), weno_max(fabs(b2), fabs(b3))), weno_max(fabs(b4), fabs(b5)));
    double right =
      weno_one(weights, (b0 + alpha) * m0, (b1 + alpha) * m1, (b2 + alpha) * m2, (b3 + alpha) * m3, (b4 + alpha) * m4);
    double left =
      weno_one(weights, (b5 - alpha) * m5, (b4 - alpha) * m4, (b3 - alpha) * m3, (b2 - alpha) * m2, (b1 - alpha) * m1);
    double gradient = order == 4 ? c * (15 * (m3 - m2) - (m4 - m1)) : c * (245 * (m3 - m2) - 25 * (m4 - m1) + 2 * (m5 - m0));
    flux[i] = 0.5 * (right + left) - gradient;
  }
}

static void flux_of(
  HcWenoWeights weights, PetscInt order, PetscInt n, const double *b, const double *m, ptrdiff_t s, double scale, double *flux) {
  switch (weights) {
  case HC_WENO_JS:
    if (order == 4)
      flux_row(HC_WENO_JS, 4, n, b, m, s, scale, flux);
    else
      flux_row(HC_WENO_JS, 6, n, b, m, s, scale, flux);
    break;
  case HC_WENO_Z:
    if (order == 4)
      flux_row(HC_WENO_Z, 4, n, b, m, s, scale, flux);
    else
      flux_row(HC_WENO_Z, 6, n, b, m, s, scale, flux);
    break;
  case HC_WENO_M:
    if (order == 4)
      flux_row(HC_WENO_M, 4, n, b, m, s, scale, flux);
    else
      flux_row(HC_WENO_M, 6, n, b, m, s, scale, flux);
    break;
  }
}

static void flux_high(Mfg mfg, HcField b) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;

  for (int d = 0; d < g->dim; d++)
    for (PetscInt k = 0; k < g->n[2] + (d == 2); k++)
      for (PetscInt j = 0; j < g->n[1] + (d == 1); j++) {
        ptrdiff_t o = MfgWenoOffset(w->state, j, k);
        flux_of(w->weights, w->order, g->n[0] + (d == 0), b->c[d] + o, w->state->c[0] + o, w->state->stride[d],
          mfg->nu * w->inv_h[d], w->high->c[d] + o);
      }
}

void MfgWenoFluxWalls(Mfg mfg, const MfgWenoDrift *drift, HcField flux) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;

  for (int d = 0; d < g->dim; d++) {
    const MfgWenoFaces *f = &w->face[d];
    const double *rate = drift->rate + 2 * f->base, *m = w->state->c[0];
    ptrdiff_t s = w->state->stride[d];
    for (PetscInt q = 0; q < f->n; q++) flux->c[d][f->o[q]] = rate[2 * q] * m[f->o[q] - s] - rate[2 * q + 1] * m[f->o[q]];
    for (PetscInt q = 0; q < f->nclosed; q++) flux->c[d][f->closed[q]] = 0;
    for (int up = 0; up < 2; up++) {
      HcBoundary boundary = g->boundary[2 * d + up];
      if (!HcGridAtEdge(g, 2 * d + up) || (boundary != HC_REFLECTING && boundary != HC_SYMMETRY)) continue;
      PetscInt lo[3] = {0, 0, 0}, hi[3] = {g->n[0], g->n[1], g->n[2]};
      lo[d] = up ? g->n[d] : 0;
      hi[d] = lo[d] + 1;
      for (PetscInt k = lo[2]; k < hi[2]; k++)
        for (PetscInt j = lo[1]; j < hi[1]; j++)
          for (PetscInt i = lo[0]; i < hi[0]; i++) flux->c[d][i + MfgWenoOffset(flux, j, k)] = 0;
    }
  }
}

/* ---- an Euler stage ----------------------------------------------------------------------------------------------- */

/* w->change = m - tau div(high) + tau source; this rank's least value. */
static double euler(Mfg mfg, double tau, const double *source) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0];
  double *restrict least = MfgWenoRow(w, 0), result = PETSC_INFINITY;

  for (PetscInt i = 0; i < n; i++) least[i] = PETSC_INFINITY;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      ptrdiff_t o = MfgWenoOffset(w->state, j, k);
      PetscInt row = MfgWenoOwned(g, j, k);
      const double *restrict m = w->state->c[0] + o;
      double *restrict out = w->change + row;
      for (int d = 0; d < g->dim; d++) {
        const double *restrict flux = w->high->c[d] + o;
        ptrdiff_t s = w->high->stride[d];
        double scale = tau * w->inv_h[d];
        for (PetscInt i = 0; i < n; i++) out[i] = (d ? out[i] : m[i]) - scale * (flux[i + s] - flux[i]);
      }
      if (source)
        for (PetscInt i = 0; i < n; i++) out[i] += tau * source[row + i];
      for (PetscInt i = 0; i < n; i++) least[i] = out[i] < least[i] ? out[i] : least[i];
    }
  for (PetscInt i = 0; i < n; i++) result = PetscMin(result, least[i]);
  return result;
}

/* m <- m0 + share (Euler stage - m0), share 1, 1/4, 2/3: sums keep their value whatever the rounding of the share, and
 * m >= 0 because m0 - share m0 >= 0 in floating point too. */
static void combine(Mfg mfg, const double *start, double share) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;

  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      double *restrict m = w->state->c[0] + MfgWenoOffset(w->state, j, k);
      const double *restrict m0 = start + MfgWenoOwned(g, j, k), *restrict next = w->change + MfgWenoOwned(g, j, k);
      if (share == 1)
        for (PetscInt i = 0; i < g->n[0]; i++) m[i] = next[i];
      else
        for (PetscInt i = 0; i < g->n[0]; i++) m[i] = m0[i] + share * (next[i] - m0[i]);
    }
  for (PetscInt q = 0; q < w->ninactive; q++) w->state->c[0][w->inactive_o[q]] = 0; /* doors absorb */
}

/* The drift at a time between levels; first-order faces' rates may not become negative. *speed as MfgWenoDriftSpeed. */
static const MfgWenoDrift *drift_at(Mfg mfg, PetscInt n, double at, double *speed) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  PetscInt first;
  double weight[4];
  int count = MfgWenoTimeWeights(mfg->steps, n, at, &first, weight);
  const MfgWenoDrift *level[4];

  for (int a = 0; a < count; a++) {
    level[a] = &w->drift[(first + a) % 4];
    if (weight[a] == 1) return level[a];
  }
  for (int a = count; a < 4; a++) {
    level[a] = level[0];
    weight[a] = 0;
  }
  for (int d = 0; d < g->dim; d++) {
    PetscInt lo[3], hi[3];
    for (int e = 0; e < 3; e++) {
      lo[e] = e == d ? -MFG_WENO_WIDTH : 0;
      hi[e] = g->n[e] + (e == d ? MFG_WENO_WIDTH : 0);
    }
    for (PetscInt k = lo[2]; k < hi[2]; k++)
      for (PetscInt j = lo[1]; j < hi[1]; j++) {
        ptrdiff_t o = lo[0] + MfgWenoOffset(w->stage.b, j, k);
        const double *restrict b0 = level[0]->b->c[d] + o, *restrict b1 = level[1]->b->c[d] + o;
        const double *restrict b2 = level[2]->b->c[d] + o, *restrict b3 = level[3]->b->c[d] + o;
        double *restrict b = w->stage.b->c[d] + o;
        for (PetscInt i = 0; i < hi[0] - lo[0]; i++)
          b[i] = (weight[0] * b0[i] + weight[1] * b1[i]) + (weight[2] * b2[i] + weight[3] * b3[i]);
      }
  }
  for (PetscInt q = 0; q < 2 * w->faces; q++) {
    double rate = 0;
    for (int a = 0; a < 4; a++) rate += weight[a] * level[a]->rate[q];
    w->stage.rate[q] = rate > 0 ? rate : 0;
  }
  *speed = PetscMax(*speed, MfgWenoDriftSpeed(mfg, &w->stage));
  return &w->stage;
}

/* Stage `number` of a step between the times `from` and `to`, in levels, of interval n; `start` is the step's first value. */
static PetscErrorCode stage(Mfg mfg, PetscInt n, int number, double from, double to, const double *start, double *speed) {
  static const double shares[3] = {1, 0.25, 2.0 / 3},
                      totals[3] = {1.0 / 6, 1.0 / 6, 2.0 / 3}; /* of the stage; of its flux in the step */
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  double at = number == 0 ? from : number == 1 ? to : 0.5 * (from + to), tau = mfg->dt * (to - from), least;
  PetscBool any;

  PetscFunctionBeginUser;
  const MfgWenoDrift *drift = drift_at(mfg, n, at, speed);
  PetscCall(MfgWenoGhostsM(mfg, &(MfgWenoStage){number, mfg->dt * from, mfg->dt * to}));
  PetscCall(MfgDensitySource(mfg, mfg->dt * at, w->source, &any));
  flux_high(mfg, drift->b);
  MfgWenoFluxWalls(mfg, drift, w->high);
  least = euler(mfg, tau, any ? w->source : NULL);
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &least, 1, MPI_DOUBLE, MPI_MIN, g->comm));
  if (least < 0) {
    PetscCall(MfgWenoLimit(mfg, drift, tau, any ? w->source : NULL));
    w->limited++;
  }
  for (PetscInt q = 0; q < w->ncrossing; q++) {
    const MfgWenoCrossing *c = &w->crossing[q];
    w->crossed[q] += totals[number] * tau * c->area * w->high->c[c->d][c->o];
  }
  if (any)
    for (size_t c = 0; c < mfg->cells; c++) w->gain[c] += totals[number] * tau * w->source[c];
  combine(mfg, start, shares[number]);
  PetscFunctionReturn(0);
}

/* ---- the sweep ----------------------------------------------------------------------------------------------------- */

/* Mass through exits, and gained from sources and given faces, in the interval that ends at `level`. */
static PetscErrorCode account(Mfg mfg, PetscInt level) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  double exited[MFG_MAX_EXITS] = {0}, sum, gained = 0;
  PetscBool given = PETSC_FALSE;

  PetscFunctionBeginUser;
  for (int f = 0; f < 2 * g->dim; f++)
    if (g->boundary[f] == HC_GIVEN) given = PETSC_TRUE;
  for (int e = given ? -1 : 0; e < mfg->exits; e++) {
    PetscInt count = 0;
    for (PetscInt q = 0; q < w->ncrossing; q++)
      if (w->crossing[q].account == e) w->account[count++] = w->crossed[q];
    PetscCall(HcSum(g->comm, 2 * (double)g->dim * HcGridTotalCells(g), count, w->account, &sum));
    if (e >= 0)
      exited[e] = sum;
    else
      gained = -sum;
  }
  if (mfg->density_source) {
    for (PetscInt q = 0; q < w->ninactive; q++) w->gain[w->inactive[q]] = 0;
    PetscCall(MfgIntegral(mfg, w->gain, &sum));
    gained += sum;
  }
  MfgAccountExits(mfg, level, exited);
  mfg->gained_level[level] = mfg->gained_level[level - 1] + gained;
  PetscFunctionReturn(0);
}

static PetscBool is_finite(HcField f) {
  HcGrid g = f->grid;
  double sick = 0;

  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      const double *m = f->c[0] + MfgWenoOffset(f, j, k);
      for (PetscInt i = 0; i < g->n[0]; i++) sick += 0 * m[i];
    }
  return sick == 0 ? PETSC_TRUE : PETSC_FALSE;
}

/* From level n to level n+1. */
static PetscErrorCode interval(Mfg mfg, PetscInt n) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  PetscInt first;
  double weight[4], limit = 0, aim = PetscMin(mfg->cfl, 0.95);
  int count = MfgWenoTimeWeights(mfg->steps, n, (double)n, &first, weight);

  PetscFunctionBeginUser;
  for (int a = 0; a < count; a++) {
    MfgWenoDrift *d = &w->drift[(first + a) % 4];
    if (d->level != first + a) PetscCall(MfgWenoDriftLevel(mfg, first + a, d));
  }
  const MfgWenoDrift *from = &w->drift[n % 4], *to = &w->drift[(n + 1) % 4];
  double speed = PetscMax(from->speed, to->speed);
  PetscInt parts = 1;
  do {
    limit = mfg->dt * speed;
    HcRequire(limit < 1e6, HC_EXIT_FAILED,
      "the explicit scheme needs more than a million substeps at time %g: use scheme upwind, which is implicit",
      mfg->dt * (double)n);
    parts = PetscMax(parts, (PetscInt)PetscCeilReal(limit / aim));
    const double *start = MfgLevel(mfg, mfg->m, n);
    HcFieldFromArray(w->state, 0, start);
    PetscCall(PetscArrayzero(w->crossed, w->ncrossing));
    if (w->gain) PetscCall(PetscArrayzero(w->gain, mfg->cells));
    for (PetscInt q = 0; q < parts; q++) {
      double a = (double)n + (double)q / (double)parts, b = (double)n + (double)(q + 1) / (double)parts;
      if (q) {
        HcFieldToArray(w->state, 0, w->start);
        start = w->start;
      }
      for (int number = 0; number < 3; number++) PetscCall(stage(mfg, n, number, a, b, start, &speed));
    }
    if (!is_finite(w->state)) speed = PETSC_INFINITY;
    /* the drift between levels may be faster than at both */
    PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &speed, 1, MPI_DOUBLE, MPI_MAX, g->comm));
    HcRequire(speed < PETSC_INFINITY, HC_EXIT_FAILED, "the density is not a number at time %g", mfg->dt * (double)(n + 1));
  } while (mfg->dt * speed > MFG_WENO_LIMIT * (double)parts);
  mfg->substeps_total += parts;
  HcFieldToArray(w->state, 0, MfgLevel(mfg, mfg->m, n + 1));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgWenoFp(Mfg mfg) {
  MfgWeno w = mfg->scheme_data;

  PetscFunctionBeginUser;
  w->limited = 0;
  for (int q = 0; q < 4; q++) w->drift[q].level = -1;
  for (PetscInt n = 0; n < mfg->steps; n++) {
    PetscCall(interval(mfg, n));
    PetscCall(account(mfg, n + 1));
  }
  for (int q = 0; q < 4; q++) w->drift[q].level = -1;
  PetscCall(HcRunResultInt(mfg->run, "limited_stages", w->limited));
  PetscFunctionReturn(0);
}
