/*
 * Value function of the weno scheme. With s = T - t:  u_s = nu Lap u - H^(u-, u+) + f(x, t, m).
 *
 * u-, u+ are WENO5 one-sided derivatives (Jiang & Peng, SIAM J. Sci. Comput. 21 (2000) 2126) and H^ is the local Lax-Friedrichs
 * Hamiltonian H((u- + u+)/2) - sum_d alpha_d (u+_d - u-_d)/2, alpha_d = max |dH/dp_d| over the box between u- and u+. With
 * q_d = max and r_d = min of |p_d| over the box,
 *   quadratic         alpha_d = q_d / lambda,
 *   power, gamma >= 2 alpha_d = (sum_e q_e^2)^((gamma-2)/2) q_d,
 *   power, gamma < 2  alpha_d = (q_d^2 + sum_{e != d} r_e^2)^((gamma-2)/2) q_d,
 * since |p|^(gamma-2) |p_d| grows with |p_d| for every gamma > 1 and with the other components for gamma >= 2, else falls.
 * A first-order direction has u- = u+ = sqrt(S_d), S_d the upwind sum of its squares: H depends on squares only, so this is the
 * upwind scheme's Hamiltonian there, and the dissipation vanishes.
 */
#include "weno.h"

static void laplacian_row(MfgWeno w, HcGrid g, const double *v, double *restrict lap) {
  PetscInt n = g->n[0];

  for (int d = 0; d < g->dim; d++) {
    ptrdiff_t s = w->state->stride[d];
    const double *restrict x = v;
    double c = w->inv_h[d] * w->inv_h[d] / (w->order == 4 ? 12 : 180);
    if (w->order == 4)
      for (PetscInt i = 0; i < n; i++)
        lap[i] = (d ? lap[i] : 0) + c * (16 * (x[i + s] + x[i - s]) - (x[i + 2 * s] + x[i - 2 * s]) - 30 * x[i]);
    else
      for (PetscInt i = 0; i < n; i++)
        lap[i] = (d ? lap[i] : 0) + c * (270 * (x[i + s] + x[i - s]) - 27 * (x[i + 2 * s] + x[i - 2 * s]) +
                                          2 * (x[i + 3 * s] + x[i - 3 * s]) - 490 * x[i]);
  }
}

static double laplacian_point(const MfgWeno w, const double *x, ptrdiff_t s, int d) {
  double c = w->inv_h[d] * w->inv_h[d];
  if (w->order == 4) return c / 12 * (16 * (x[s] + x[-s]) - (x[2 * s] + x[-2 * s]) - 30 * x[0]);
  return c / 180 * (270 * (x[s] + x[-s]) - 27 * (x[2 * s] + x[-2 * s]) + 2 * (x[3 * s] + x[-3 * s]) - 490 * x[0]);
}

typedef struct {
  double *minus[3], *plus[3], *alpha[3], *q[3], *lap, *H, *speed, *most, *work, *other, *sick;
} Rows;

static Rows scratch(MfgWeno w) {
  Rows r;
  for (int d = 0; d < 3; d++) {
    r.minus[d] = MfgWenoRow(w, d);
    r.plus[d] = MfgWenoRow(w, 3 + d);
    r.alpha[d] = MfgWenoRow(w, 6 + d);
    r.q[d] = MfgWenoRow(w, 9 + d);
  }
  r.lap = MfgWenoRow(w, 12);
  r.H = MfgWenoRow(w, 13);
  r.speed = MfgWenoRow(w, 14);
  r.most = MfgWenoRow(w, 15);
  r.work = MfgWenoRow(w, 16);
  r.other = MfgWenoRow(w, 17);
  r.sick = MfgWenoRow(w, 18);
  return r;
}

static void quadratic_row(Mfg mfg, const Rows *r) {
  PetscInt n = mfg->grid->n[0];
  double inv = 1 / mfg->control_cost;
  double *restrict H = r->H;

  for (int d = 0; d < mfg->grid->dim; d++) {
    const double *restrict a = r->minus[d], *restrict b = r->plus[d];
    double *restrict alpha = r->alpha[d];
    for (PetscInt i = 0; i < n; i++) {
      double p = 0.5 * (a[i] + b[i]), x = fabs(a[i]), y = fabs(b[i]), most = inv * (x > y ? x : y);
      alpha[i] = most;
      H[i] = (d ? H[i] : 0) + (0.5 * inv * p * p - 0.5 * most * (b[i] - a[i]));
    }
  }
}

/* Least |p| over the interval between a and b. */
static inline double least(double a, double b) {
  double x = fabs(a), y = fabs(b);
  return a * b <= 0 ? 0 : x < y ? x : y;
}

static void power_row(Mfg mfg, const Rows *r) {
  PetscInt n = mfg->grid->n[0];
  int dim = (int)mfg->grid->dim;
  double e = mfg->exponent / 2 - 1;
  double *restrict S = r->work, *restrict other = r->other, *restrict H = r->H;

  for (int d = 0; d < dim; d++) {
    const double *restrict a = r->minus[d], *restrict b = r->plus[d];
    double *restrict q = r->q[d];
    for (PetscInt i = 0; i < n; i++) {
      double p = 0.5 * (a[i] + b[i]), x = fabs(a[i]), y = fabs(b[i]);
      q[i] = x > y ? x : y;
      S[i] = (d ? S[i] : 0) + p * p;
      if (e >= 0) other[i] = (d ? other[i] : 0) + q[i] * q[i];
    }
  }
  MfgWenoHamiltonianRow(mfg, n, S, H);
  if (e >= 0) MfgWenoPower(n, other, e, S);
  for (int d = 0; d < dim; d++) {
    const double *restrict a = r->minus[d], *restrict b = r->plus[d], *restrict q = r->q[d];
    double *restrict alpha = r->alpha[d];
    if (e < 0) {
      for (PetscInt i = 0; i < n; i++) {
        double sum = q[i] * q[i];
        for (int c = 0; c < dim; c++) {
          double low = least(r->minus[c][i], r->plus[c][i]);
          if (c != d) sum += low * low;
        }
        other[i] = sum;
      }
      MfgWenoPower(n, other, e, S);
    }
    for (PetscInt i = 0; i < n; i++) {
      alpha[i] = S[i] * q[i];
      H[i] -= 0.5 * alpha[i] * (b[i] - a[i]);
    }
  }
}

/* First-order directions of the cells of a row: replaces u-, u+ and the Laplacian there. */
static void first_order_cells(Mfg mfg, const Rows *r, PetscInt row, const double *v, ptrdiff_t o) {
  MfgWeno w = mfg->scheme_data;

  for (PetscInt q = w->row_cell[row]; q < w->row_cell[row + 1]; q++) {
    const MfgWenoCell *c = &w->cell[q];
    const double *x = v + c->i;
    double lap = 0;
    for (int d = 0; d < mfg->grid->dim; d++) {
      ptrdiff_t s = w->state->stride[d];
      if (!(c->low & 1 << d)) {
        lap += laplacian_point(w, x, s, d);
        continue;
      }
      const double *open = w->open->c[d] + o + c->i;
      double below = open[0] * (x[-s] - x[0]) * w->inv_h[d], above = open[s] * (x[s] - x[0]) * w->inv_h[d];
      lap += (below + above) * w->inv_h[d];
      below = below < 0 ? below : 0;
      above = above < 0 ? above : 0;
      r->minus[d][c->i] = r->plus[d][c->i] = sqrt(below * below + above * above);
    }
    r->lap[c->i] = lap;
  }
}

/* The rate that limits the step where directions are of first order: sum over faces of tr (alpha |a_f| / sqrt(S_d) + nu/h)/h. */
static void first_order_speed(Mfg mfg, const Rows *r, PetscInt row, const double *v, ptrdiff_t o) {
  MfgWeno w = mfg->scheme_data;

  for (PetscInt q = w->row_cell[row]; q < w->row_cell[row + 1]; q++) {
    const MfgWenoCell *c = &w->cell[q];
    const double *x = v + c->i;
    double speed = w->diffusion_rate;
    for (int d = 0; d < mfg->grid->dim; d++) {
      ptrdiff_t s = w->state->stride[d];
      double alpha = r->alpha[d][c->i], root = r->minus[d][c->i];
      if (!(c->low & 1 << d)) {
        speed += alpha * w->inv_h[d];
        continue;
      }
      const double *open = w->open->c[d] + o + c->i;
      double below = open[0] * (x[-s] - x[0]) * w->inv_h[d], above = open[s] * (x[s] - x[0]) * w->inv_h[d];
      double weighted = (below < 0 ? -below * open[0] : 0) + (above < 0 ? -above * open[s] : 0);
      if (root > 0) speed += alpha * weighted / root * w->inv_h[d];
      /* diffusion_rate holds at least two nu/h^2 a direction */
      if (open[0] + open[s] > 2) speed += mfg->nu * (open[0] + open[s] - 2) * w->inv_h[d] * w->inv_h[d];
    }
    r->speed[c->i] = speed;
  }
}

/* Walls and doors keep their value; the cost is zero there. */
static void inactive_cell(const Rows *r, PetscInt i) { r->lap[i] = r->H[i] = r->speed[i] = 0; }

/* L = nu Lap u - H^ + cost of w->state into w->change; *speed this rank's largest rate, infinite when it is not a number. */
static void right_hand_side(Mfg mfg, const double *cost, double *speed) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0];
  Rows r = scratch(w);
  double nu = mfg->nu, result = 0, sick = 0;

  for (PetscInt i = 0; i < n; i++) r.most[i] = r.sick[i] = 0;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      ptrdiff_t o = MfgWenoOffset(w->state, j, k);
      PetscInt row = j + g->n[1] * k;
      const double *v = w->state->c[0] + o;
      for (int d = 0; d < g->dim; d++)
        HcWenoDerivatives(w->weights, (size_t)n, v, w->state->stride[d], w->inv_h[d], r.minus[d], r.plus[d]);
      laplacian_row(w, g, v, r.lap);
      first_order_cells(mfg, &r, row, v, o);
      if (mfg->hamiltonian == MFG_QUADRATIC)
        quadratic_row(mfg, &r);
      else
        power_row(mfg, &r);
      for (int d = 0; d < g->dim; d++) {
        const double *restrict alpha = r.alpha[d];
        double *restrict sum = r.speed, inv_h = w->inv_h[d];
        for (PetscInt i = 0; i < n; i++) sum[i] = (d ? sum[i] : w->diffusion_rate) + alpha[i] * inv_h;
      }
      first_order_speed(mfg, &r, row, v, o);
      for (PetscInt q = w->row_inactive[row]; q < w->row_inactive[row + 1]; q++) inactive_cell(&r, w->inactive[q] - row * n);
      const double *restrict lap = r.lap, *restrict H = r.H, *restrict f = cost + row * n, *restrict sum = r.speed;
      double *restrict L = w->change + row * n, *restrict most = r.most, *restrict not_finite = r.sick;
      for (PetscInt i = 0; i < n; i++) {
        L[i] = nu * lap[i] - H[i] + f[i];
        not_finite[i] += 0 * L[i];
        most[i] = sum[i] <= most[i] ? most[i] : sum[i];
      }
    }
  for (PetscInt i = 0; i < n; i++) {
    result = r.most[i] <= result ? result : r.most[i];
    sick += r.sick[i];
  }
  *speed = sick == 0 && result < PETSC_INFINITY ? result : PETSC_INFINITY;
}

/* u <- u0 + share (u + tau L - u0): a convex combination of the start and an Euler stage. */
static void combine(Mfg mfg, const double *start, double share, double tau) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;

  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      double *restrict u = w->state->c[0] + MfgWenoOffset(w->state, j, k);
      const double *restrict u0 = start + MfgWenoOwned(g, j, k), *restrict L = w->change + MfgWenoOwned(g, j, k);
      for (PetscInt i = 0; i < g->n[0]; i++) u[i] = u0[i] + share * (u[i] + tau * L[i] - u0[i]);
    }
}

/* Substeps of the interval n..n+1 at a speed that all ranks share. Within an attempt that took too large steps the speed may even
 * be infinite; a cost that is not a number makes it so for every step. */
static PetscErrorCode substeps(Mfg mfg, PetscInt n, double *speed, PetscInt *parts) {
  MfgWeno w = mfg->scheme_data;
  double t = mfg->dt * (double)n, wanted;
  int finite = 1;

  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, speed, 1, MPI_DOUBLE, MPI_MAX, mfg->grid->comm));
  if (!(*speed < PETSC_INFINITY)) {
    for (size_t c = 0; c < mfg->cells; c++)
      if (!(fabs(w->cost[0][c]) < PETSC_INFINITY) || !(fabs(w->cost[1][c]) < PETSC_INFINITY)) finite = 0;
    PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &finite, 1, MPI_INT, MPI_MIN, mfg->grid->comm));
    HcRequire(finite, HC_EXIT_FAILED, "the running cost is not a number between the times %g and %g", t, t + mfg->dt);
    HcRequire(*parts, HC_EXIT_FAILED, "the value function is not a number at time %g", t + mfg->dt);
  }
  wanted = PetscCeilReal(mfg->dt * *speed / PetscMin(mfg->cfl, 0.95));
  if (*parts) wanted = PetscMax((double)*parts + 1, PetscMin(2 * (double)*parts, wanted));
  HcRequire(wanted < 1e6, HC_EXIT_FAILED,
    "the explicit scheme needs more than a million substeps at time %g: use scheme upwind, which is implicit", t);
  *parts = (PetscInt)PetscMax(wanted, 1);
  PetscFunctionReturn(0);
}

/* Stage `number` of a step between the times `from` and `to`, in levels, of interval n. */
static PetscErrorCode stage(Mfg mfg, PetscInt n, int number, double from, double to, double *speed) {
  const double *cost;
  double local;

  PetscFunctionBeginUser;
  PetscCall(MfgWenoGhostsU(mfg, &(MfgWenoStage){number, mfg->dt * from, mfg->dt * to}));
  PetscCall(MfgWenoCost(mfg, n, number == 0 ? from : number == 1 ? to : 0.5 * (from + to), &cost));
  right_hand_side(mfg, cost, &local);
  *speed = PetscMax(*speed, local);
  PetscFunctionReturn(0);
}

/* From level n+1 to level n. */
static PetscErrorCode interval(Mfg mfg, PetscInt n) {
  MfgWeno w = mfg->scheme_data;
  const double *next = MfgLevel(mfg, mfg->u, n + 1);
  double speed = 0;
  PetscInt parts = 0, needed = 0;

  PetscFunctionBeginUser;
  HcFieldFromArray(w->state, 0, next);
  PetscCall(stage(mfg, n, 0, (double)(n + 1), (double)n, &speed));
  PetscCall(substeps(mfg, n, &speed, &needed));
  for (PetscBool first = PETSC_TRUE; parts < needed; first = PETSC_FALSE) {
    parts = needed;
    double tau = mfg->dt / (double)parts;
    const double *start = next;
    speed = 0;
    if (!first) HcFieldFromArray(w->state, 0, next);
    for (PetscInt q = 0; q < parts; q++) {
      double from = (double)(n + 1) - (double)q / (double)parts, to = (double)(n + 1) - (double)(q + 1) / (double)parts;
      if (q) {
        HcFieldToArray(w->state, 0, w->start);
        start = w->start;
      }
      if (q || !first) PetscCall(stage(mfg, n, 0, from, to, &speed)); /* else done above */
      combine(mfg, start, 1, tau);
      PetscCall(stage(mfg, n, 1, from, to, &speed));
      combine(mfg, start, 0.25, tau);
      PetscCall(stage(mfg, n, 2, from, to, &speed));
      combine(mfg, start, 2.0 / 3, tau);
    }
    PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &speed, 1, MPI_DOUBLE, MPI_MAX, mfg->grid->comm));
    if (!(tau * speed <= MFG_WENO_LIMIT)) PetscCall(substeps(mfg, n, &speed, &needed));
  }
  mfg->substeps_total += parts;
  HcFieldToArray(w->state, 0, MfgLevel(mfg, mfg->u, n));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgWenoHjb(Mfg mfg) {
  MfgWeno w = mfg->scheme_data;
  PetscBool fixed = !HcSourceUses(mfg->running_cost, 0) && !HcSourceUsesTime(mfg->running_cost) ? PETSC_TRUE : PETSC_FALSE;

  PetscFunctionBeginUser;
  mfg->substeps_total = 0;
  if (!fixed) w->cost_at[0] = w->cost_at[1] = -1;
  PetscCall(MfgTerminal(mfg));
  for (PetscInt n = mfg->steps - 1; n >= 0; n--) PetscCall(interval(mfg, n));
  PetscFunctionReturn(0);
}
