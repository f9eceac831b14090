/*
 * Density of the weno scheme:  m_t + sum_d d/dx_d (b_d m - nu dm/dx_d) = source, b = -H_p.
 *
 * Conservative finite differences on point values (Shu & Osher, JCP 83 (1989) 32): a face's flux is the WENO5 reconstruction of
 * f+ = (b + alpha) m/2 from the left plus that of f- = (b - alpha) m/2 from the right, minus a central diffusive flux whose
 * difference is the fourth- or sixth-order second derivative. alpha = sqrt(b^2 + eps^2) cell by cell, a local Lax-Friedrichs
 * speed: at least |b|, and smooth where b changes sign, which |b| is not (a kink there would cost order five); eps is a tenth of
 * the largest |b_d| of the interval. The splitting's first-order flux is monotone, so with theta-blending of the two
 * (weno_limit.c) every Euler stage, and hence every SSP-RK3 step, keeps m >= 0 and the sum of m exactly.
 */
#include "weno.h"

/* ---- fluxes ------------------------------------------------------------------------------------------------------ */

static void split_row(
  PetscInt n, const double *restrict b, const double *restrict m, double eps, double *restrict right, double *restrict left) {
  double eps2 = eps * eps;
  for (PetscInt i = 0; i < n; i++) {
    double alpha = sqrt(b[i] * b[i] + eps2), half = 0.5 * m[i];
    right[i] = (b[i] + alpha) * half;
    left[i] = (b[i] - alpha) * half;
  }
}

/* flux -= nu dm/dx at faces between m[i-s] and m[i]. */
static void subtract_diffusion(
  PetscInt order, PetscInt n, const double *restrict m, ptrdiff_t s, double scale, double *restrict flux) {
  if (order == 4) {
    double c = scale / 12;
    for (PetscInt i = 0; i < n; i++) flux[i] -= c * (15 * (m[i] - m[i - s]) - (m[i + s] - m[i - 2 * s]));
  } else {
    double c = scale / 180;
    for (PetscInt i = 0; i < n; i++)
      flux[i] -= c * (245 * (m[i] - m[i - s]) - 25 * (m[i + s] - m[i - 2 * s]) + 2 * (m[i + 2 * s] - m[i - 3 * s]));
  }
}

static void flux_along_rows(Mfg mfg, HcField b) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0];
  double *right = MfgWenoRow(w, 0), *left = MfgWenoRow(w, 1), *from_left = MfgWenoRow(w, 2), *from_right = MfgWenoRow(w, 3);

  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      ptrdiff_t o = MfgWenoOffset(w->state, j, k);
      const double *m = w->state->c[0] + o;
      double *restrict flux = w->high->c[0] + o;
      split_row(n + 6, b->c[0] + o - 3, m - 3, w->eps[0], right - 3, left - 3);
      HcWenoFaces(w->weights, (size_t)n + 1, right, left, 1, from_left, from_right);
      for (PetscInt i = 0; i <= n; i++) flux[i] = from_left[i] + from_right[i];
      subtract_diffusion(w->order, n + 1, m, 1, mfg->nu * w->inv_h[0], flux);
    }
}

/* Faces across rows: tiles of a few columns, so that the split fluxes of a tile stay in cache while its faces pass over them. */
static void flux_across_rows(Mfg mfg, HcField b, int d) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  int e = 3 - d; /* the other direction across rows */
  PetscInt s = w->state->stride[d], planes = g->n[e], se = w->state->stride[e];
  double *right = w->strip, *left = w->strip + MFG_WENO_STRIP / 2, *from_left = MfgWenoRow(w, 0), *from_right = MfgWenoRow(w, 1);

  for (PetscInt plane = 0; plane < planes; plane++)
    for (PetscInt q0 = 0; q0 <= g->n[d]; q0 += MFG_WENO_TILE_COLUMN)
      for (PetscInt i0 = 0; i0 < g->n[0]; i0 += MFG_WENO_TILE_ROW) {
        PetscInt n = PetscMin(MFG_WENO_TILE_ROW, g->n[0] - i0), q1 = PetscMin(q0 + MFG_WENO_TILE_COLUMN, g->n[d] + 1);
        ptrdiff_t o = i0 + plane * se;
        for (PetscInt q = q0 - 3; q < q1 + 2; q++) {
          ptrdiff_t at = o + q * s, to = (q - q0 + 3) * MFG_WENO_TILE_ROW;
          split_row(n, b->c[d] + at, w->state->c[0] + at, w->eps[d], right + to, left + to);
        }
        for (PetscInt q = q0; q < q1; q++) {
          ptrdiff_t at = o + q * s, from = (q - q0 + 3) * MFG_WENO_TILE_ROW;
          double *restrict flux = w->high->c[d] + at;
          HcWenoFaces(w->weights, (size_t)n, right + from, left + from, MFG_WENO_TILE_ROW, from_left, from_right);
          for (PetscInt i = 0; i < n; i++) flux[i] = from_left[i] + from_right[i];
          subtract_diffusion(w->order, n, w->state->c[0] + at, s, mfg->nu * w->inv_h[d], flux);
        }
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

/* One stage from w->state at `from` levels, to be weighted `share` in the step's total flux. */
static PetscErrorCode stage(
  Mfg mfg, PetscInt n, double from, double tau, double share, const double *start, double total, double *speed) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  PetscBool any;
  double least;

  PetscFunctionBeginUser;
  const MfgWenoDrift *drift = drift_at(mfg, n, from, speed);
  PetscCall(MfgWenoGhostsM(mfg, mfg->dt * from));
  PetscCall(MfgDensitySource(mfg, mfg->dt * from, w->source, &any));
  flux_along_rows(mfg, drift->b);
  for (int d = 1; d < g->dim; d++) flux_across_rows(mfg, drift->b, d);
  MfgWenoFluxWalls(mfg, drift, w->high);
  least = euler(mfg, tau, any ? w->source : NULL);
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &least, 1, MPI_DOUBLE, MPI_MIN, g->comm));
  if (least < 0) {
    PetscCall(MfgWenoLimit(mfg, drift, tau, any ? w->source : NULL));
    w->limited++;
  }
  for (PetscInt q = 0; q < w->ncrossing; q++) {
    const MfgWenoCrossing *c = &w->crossing[q];
    w->crossed[q] += total * tau * c->area * w->high->c[c->d][c->o];
  }
  if (any)
    for (size_t c = 0; c < mfg->cells; c++) w->gain[c] += total * tau * w->source[c];
  combine(mfg, start, share);
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
  double weight[4], limit = 0, splitting = 0, aim = PetscMin(mfg->cfl, 0.95);
  int count = MfgWenoTimeWeights(mfg->steps, n, (double)n, &first, weight);

  PetscFunctionBeginUser;
  for (int a = 0; a < count; a++) {
    MfgWenoDrift *d = &w->drift[(first + a) % 4];
    if (d->level != first + a) PetscCall(MfgWenoDriftLevel(mfg, first + a, d));
  }
  const MfgWenoDrift *from = &w->drift[n % 4], *to = &w->drift[(n + 1) % 4];
  for (int d = 0; d < g->dim; d++) {
    w->eps[d] = 0.1 * PetscMax(from->bmax[d], to->bmax[d]);
    splitting += w->eps[d] * w->inv_h[d];
  }
  double speed = PetscMax(from->speed, to->speed);
  PetscInt parts = 1;
  do {
    limit = mfg->dt * (speed + splitting);
    HcRequire(limit < 1e6, HC_EXIT_FAILED,
      "the explicit scheme needs more than a million substeps at time %g: use scheme upwind, which is implicit",
      mfg->dt * (double)n);
    parts = PetscMax(parts, (PetscInt)PetscCeilReal(limit / aim));
    double tau = mfg->dt / (double)parts;
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
      PetscCall(stage(mfg, n, a, tau, 1, start, 1.0 / 6, &speed));
      PetscCall(stage(mfg, n, b, tau, 0.25, start, 1.0 / 6, &speed));
      PetscCall(stage(mfg, n, 0.5 * (a + b), tau, 2.0 / 3, start, 2.0 / 3, &speed));
    }
    if (!is_finite(w->state)) speed = PETSC_INFINITY;
    /* the drift between levels may be faster than at both */
    PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &speed, 1, MPI_DOUBLE, MPI_MAX, g->comm));
    HcRequire(speed < PETSC_INFINITY, HC_EXIT_FAILED, "the density is not a number at time %g", mfg->dt * (double)(n + 1));
  } while (mfg->dt * (speed + splitting) > MFG_WENO_LIMIT * (double)parts);
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
  PetscFunctionReturn(0);
}
