/*
 * The right-hand side -H + nu Lap phi: one sweep over rows along x. A row's derivatives, speeds and flux stay in the
 * first-level cache, and the row is combined with older stages before it is left.
 */
#include "hj.h"
#include <string.h>

typedef double Rows[3][HJ_ROW] __attribute__((aligned(64)));

typedef struct {
  PetscInt i, j, k, n;
} Piece;

static inline double *at(HcField f, int c, const Piece *p) { return f->c[c] + p->i + p->j * f->stride[1] + p->k * f->stride[2]; }

static void derivatives(Hj hj, HcField u, const Piece *p, Rows minus, Rows plus) {
  HcGrid g = hj->grid;
  const double *f = at(u, 0, p);
  for (int d = 0; d < g->dim; ++d) {
    if (hj->upwind)
      HcUpwindDerivatives((size_t)p->n, f, u->stride[d], 1 / g->h[d], minus[d], plus[d]);
    else
      HcWenoDerivatives(hj->weights, (size_t)p->n, f, u->stride[d], 1 / g->h[d], minus[d], plus[d]);
  }
}

/* out -= nu Lap u */
static void subtract_diffusion(Hj hj, HcField u, const Piece *p, double *out) {
  HcGrid g = hj->grid;
  if (hj->viscosity == 0 || hj->implicit) return;
  for (int d = 0; d < g->dim; ++d)
    HcSecondDifferenceAdd(
      hj->diffusion_order, (size_t)p->n, at(u, 0, p), u->stride[d], -hj->viscosity / (g->h[d] * g->h[d]), out);
}

/* out = a base + b u - c L */
static void combine(
  PetscInt n, double a, const double *base, double b, const double *u, double c, const double *restrict L, double *out) {
  if (a != 0)
    for (PetscInt i = 0; i < n; ++i) out[i] = a * base[i] + b * u[i] - c * L[i];
  else if (b != 0)
    for (PetscInt i = 0; i < n; ++i) out[i] = b * u[i] - c * L[i];
  else
    for (PetscInt i = 0; i < n; ++i) out[i] = -c * L[i];
}

/* fastest[i] = max(fastest[i], sum_d a_d[i]/h_d) */
static void keep_fastest(HcGrid g, PetscInt n, Rows a, double *restrict fastest) {
  double w[3] = {1 / g->h[0], 1 / g->h[1], 1 / g->h[2]}, s[HJ_ROW];
  for (PetscInt i = 0; i < n; ++i) s[i] = a[0][i] * w[0];
  for (int d = 1; d < g->dim; ++d)
    for (PetscInt i = 0; i < n; ++i) s[i] += a[d][i] * w[d];
  for (PetscInt i = 0; i < n; ++i) fastest[i] = s[i] > fastest[i] ? s[i] : fastest[i];
}

static HjRow row_of(Hj hj, const Piece *p, double t) {
  return (HjRow){
    .n = p->n, .t = t, .x = hj->x + p->i, .y = HcGridCentre(hj->grid, 1, p->j), .z = HcGridCentre(hj->grid, 2, p->k)};
}

#define FOR_EACH_PIECE(g, p)                                                                                                     \
  for (Piece p = {0}; p.k < (g)->n[2]; ++p.k)                                                                                    \
    for (p.j = 0; p.j < (g)->n[1]; ++p.j)                                                                                        \
      for (p.i = 0; p.n = PetscMin(HJ_ROW, (g)->n[0] - p.i), p.i < (g)->n[0]; p.i += HJ_ROW)

/* Local Lax-Friedrichs and Godunov: everything in one sweep. */
static void sweep_local(Hj hj, double t, HcField u, double a, HcField base, double b, double c, HcField out) {
  Rows minus, plus, speeds;
  double L[HJ_ROW] __attribute__((aligned(64))), fastest[HJ_ROW] = {0};
  const double *const m[3] = {minus[0], minus[1], minus[2]}, *const q[3] = {plus[0], plus[1], plus[2]};
  double *const s[3] = {speeds[0], speeds[1], speeds[2]};
  FOR_EACH_PIECE(hj->grid, p) {
    const HjRow row = row_of(hj, &p, t);
    derivatives(hj, u, &p, minus, plus);
    if (hj->flux == HJ_GODUNOV)
      HjFluxGodunov(&hj->H, &row, m, q, s, L);
    else
      HjFluxLocal(&hj->H, &row, m, q, s, L);
    subtract_diffusion(hj, u, &p, L);
    keep_fastest(hj->grid, p.n, speeds, fastest);
    combine(p.n, a, base ? at(base, 0, &p) : NULL, b, at(u, 0, &p), c, L, at(out, 0, &p));
  }
  hj->stage_speed = 0;
  for (int i = 0; i < HJ_ROW; ++i) hj->stage_speed = fastest[i] > hj->stage_speed ? fastest[i] : hj->stage_speed;
}

/* alpha[d] >= |dH/dp_d| over the box [lo, hi] of derivatives and all cells; lo and hi hold for the whole grid. */
static PetscErrorCode global_speeds(Hj hj, double t, const double lo[3], const double hi[3], double alpha[3]) {
  HcGrid g = hj->grid;
  Rows low, high, speeds;
  const double *const l[3] = {low[0], low[1], low[2]}, *const h[3] = {high[0], high[1], high[2]};
  double *const s[3] = {speeds[0], speeds[1], speeds[2]};
  PetscFunctionBeginUser;
  for (int d = 0; d < 3; ++d) {
    alpha[d] = 0;
    for (int i = 0; i < HJ_ROW; ++i) low[d][i] = lo[d], high[d][i] = hi[d];
  }
  FOR_EACH_PIECE(g, p) {
    HjRow row = row_of(hj, &p, t);
    if (!hj->H.uses_space) row.n = 1;
    HjSpeeds(&hj->H, &row, l, h, s);
    for (int d = 0; d < g->dim; ++d)
      for (PetscInt i = 0; i < row.n; ++i) alpha[d] = s[d][i] > alpha[d] ? s[d][i] : alpha[d];
    if (!hj->H.uses_space) PetscFunctionReturn(0);
  }
  HcTimerStart(HC_TIMER_EXCHANGE);
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, alpha, 3, MPI_DOUBLE, MPI_MAX, g->comm));
  HcTimerStop(HC_TIMER_EXCHANGE);
  PetscFunctionReturn(0);
}

/* Global Lax-Friedrichs: the dissipation needs the range of the derivatives over the whole grid, so the sweep keeps
 * H - nu Lap phi and the jumps, and a second, cheap pass combines them. */
static PetscErrorCode sweep_global(Hj hj, double t, HcField u, double a, HcField base, double b, double c, HcField out) {
  HcGrid g = hj->grid;
  HcField parts = hj->flux_parts;
  Rows minus, plus;
  const double *const mean[3] = {minus[0], minus[1], minus[2]};
  Rows least, most;
  double range[6], alpha[3], lo[3], hi[3]; /* range: -min, max of each derivative, for one reduction */
  PetscFunctionBeginUser;
  for (int d = 0; d < 3; ++d)
    for (int i = 0; i < HJ_ROW; ++i) least[d][i] = PETSC_INFINITY, most[d][i] = -PETSC_INFINITY;
  FOR_EACH_PIECE(g, p) {
    const HjRow row = row_of(hj, &p, t);
    double *L = at(parts, 0, &p);
    derivatives(hj, u, &p, minus, plus);
    for (int d = 0; d < g->dim; ++d) {
      double *restrict jump = at(parts, 1 + d, &p), *restrict l = least[d], *restrict h = most[d], *restrict m = minus[d];
      const double *restrict q = plus[d];
      for (PetscInt i = 0; i < p.n; ++i) {
        const double small = m[i] < q[i] ? m[i] : q[i], large = m[i] < q[i] ? q[i] : m[i];
        l[i] = small < l[i] ? small : l[i];
        h[i] = large > h[i] ? large : h[i];
        jump[i] = 0.5 * (q[i] - m[i]);
        m[i] = 0.5 * (m[i] + q[i]);
      }
    }
    HjValue(&hj->H, &row, mean, L);
    subtract_diffusion(hj, u, &p, L);
  }
  for (int d = 0; d < 3; ++d) {
    range[2 * d] = range[2 * d + 1] = -PETSC_INFINITY;
    for (int i = 0; i < HJ_ROW; ++i) {
      range[2 * d] = PetscMax(range[2 * d], -least[d][i]);
      range[2 * d + 1] = PetscMax(range[2 * d + 1], most[d][i]);
    }
  }
  HcTimerStart(HC_TIMER_EXCHANGE);
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, range, 6, MPI_DOUBLE, MPI_MAX, g->comm));
  HcTimerStop(HC_TIMER_EXCHANGE);
  for (int d = 0; d < 3; ++d) lo[d] = d < g->dim ? -range[2 * d] : 0, hi[d] = d < g->dim ? range[2 * d + 1] : 0;
  PetscCall(global_speeds(hj, t, lo, hi, alpha));
  hj->stage_speed = 0;
  for (int d = 0; d < g->dim; ++d) hj->stage_speed += alpha[d] / g->h[d];
  FOR_EACH_PIECE(g, p) {
    double *L = at(parts, 0, &p);
    for (int d = 0; d < g->dim; ++d) {
      const double *restrict jump = at(parts, 1 + d, &p);
      for (PetscInt i = 0; i < p.n; ++i) L[i] -= alpha[d] * jump[i];
    }
    combine(p.n, a, base ? at(base, 0, &p) : NULL, b, at(u, 0, &p), c, L, at(out, 0, &p));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode HjStage(void *ctx, double t, HcField u, double a, HcField base, double b, double c, HcField out) {
  Hj hj = ctx;
  PetscFunctionBeginUser;
  PetscCall(HjFillGhosts(hj, t, u));
  if (hj->flux == HJ_GLOBAL_LAX_FRIEDRICHS)
    PetscCall(sweep_global(hj, t, u, a, base, b, c, out));
  else
    sweep_local(hj, t, u, a, base, b, c, out);
  PetscFunctionReturn(0);
}

PetscErrorCode HjMaxSpeed(Hj hj, double *speed) {
  PetscFunctionBeginUser;
  *speed = hj->stage_speed;
  if (hj->flux == HJ_GLOBAL_LAX_FRIEDRICHS) PetscFunctionReturn(0); /* already the same everywhere */
  HcTimerStart(HC_TIMER_EXCHANGE);
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, speed, 1, MPI_DOUBLE, MPI_MAX, hj->grid->comm));
  HcTimerStop(HC_TIMER_EXCHANGE);
  PetscFunctionReturn(0);
}
