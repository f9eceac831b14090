/*
 * BiCGStab (van der Vorst, SIAM J. Sci. Stat. Comput. 13 (1992) 631), preconditioned from the right by the multigrid
 * cycle, in single precision and in the storage of the finest level: what a cycle reads and writes needs no
 * rearrangement, and vector updates and sums run together. The solver around it corrects in double precision: it
 * asks for a few digits of the error at a time and recomputes the residual.
 */
#include "multigrid_private.h"
#include <math.h>
#include <string.h>

/* Sums over lanes stay in single precision along one row only. */
typedef struct {
  float lane[LANES];
} Lanes;

static inline double total(const Lanes *l) {
  double sum = 0;
  for (int i = 0; i < LANES; ++i) sum += (double)l->lane[i];
  return sum;
}

static inline size_t row_at(const Level *l, PetscInt j, PetscInt k) { return (size_t)(j + l->n[1] * k) * (size_t)l->stride; }

static PetscErrorCode sum_over_ranks(HcMultigrid mg, int count, double *v) {
  PetscFunctionBeginUser;
  if (mg->grid->size > 1) PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, v, count, MPI_DOUBLE, MPI_SUM, mg->grid->comm));
  PetscFunctionReturn(0);
}

/* v = (I - W) x for the x that the cycle left, with v.a in sum[0] and, if `square`, v.v in sum[1]. */
static PetscErrorCode apply_operator(HcMultigrid mg, float *const v[2], float *const a[2], PetscBool square, double sum[2]) {
  Level *l = &mg->level[0];

  PetscFunctionBeginUser;
  sum[0] = sum[1] = 0;
  PetscCall(HcLevelExchange(l));
  for (PetscInt k = 0; k < l->n[2]; ++k)
    for (PetscInt j = 0; j < l->n[1]; ++j)
      for (int c = 0; c < 2; ++c) {
        const size_t at = row_at(l, j, k);
        const float *restrict other = a[c] + at;
        float *restrict to = v[c] + at;
        Lanes s = {{0}}, s2 = {{0}};
        HcLevelDefect(mg->dim, l, c, j, k, to);
        for (PetscInt q = 0; q < l->blocks * LANES; q += LANES)
          for (int i = 0; i < LANES; ++i) s.lane[i] += to[q + i] * other[q + i];
        if (square)
          for (PetscInt q = 0; q < l->blocks * LANES; q += LANES)
            for (int i = 0; i < LANES; ++i) s2.lane[i] += to[q + i] * to[q + i];
        sum[0] += total(&s);
        sum[1] += square ? total(&s2) : 0;
      }
  PetscCall(sum_over_ranks(mg, square ? 2 : 1, sum));
  PetscFunctionReturn(0);
}

/* e += factor x, r -= factor v; shadow.r and max |r| if asked for. */
static void step(HcMultigrid mg, float factor, float *const e[2], float *const r[2], float *const v[2], float *const shadow[2],
  double *rho, double *norm) {
  Level *l = &mg->level[0];
  Lanes largest = {{0}};
  double sum = 0, most = 0;
  for (PetscInt k = 0; k < l->n[2]; ++k)
    for (PetscInt j = 0; j < l->n[1]; ++j)
      for (int c = 0; c < 2; ++c) {
        const size_t at = row_at(l, j, k);
        const float *restrict x = l->x[c] + hc_x_at(l, j, k), *restrict vv = v[c] + at;
        float *restrict ee = e[c] + at, *restrict rr = r[c] + at;
        for (PetscInt q = 0; q < l->blocks * LANES; ++q) {
          ee[q] += factor * x[q];
          rr[q] -= factor * vv[q];
        }
        if (rho) {
          const float *restrict ss = shadow[c] + at;
          Lanes s = {{0}};
          for (PetscInt q = 0; q < l->blocks * LANES; q += LANES)
            for (int i = 0; i < LANES; ++i) {
              const float size = fabsf(rr[q + i]);
              s.lane[i] += rr[q + i] * ss[q + i];
              largest.lane[i] = size > largest.lane[i] ? size : largest.lane[i];
            }
          sum += total(&s);
        }
      }
  if (!rho) return;
  for (int i = 0; i < LANES; ++i) most = PetscMax(most, (double)largest.lane[i]);
  *rho = sum;
  *norm = most;
}

/* p = r + beta (p - omega v) */
static void next_direction(HcMultigrid mg, float beta, float omega, float *const p[2], float *const r[2], float *const v[2]) {
  Level *l = &mg->level[0];
  for (PetscInt row = 0; row < l->n[1] * l->n[2]; ++row)
    for (int c = 0; c < 2; ++c) {
      const size_t at = (size_t)row * (size_t)l->stride;
      const float *restrict rr = r[c] + at, *restrict vv = v[c] + at;
      float *restrict pp = p[c] + at;
      for (PetscInt q = 0; q < l->blocks * LANES; ++q) pp[q] = rr[q] + beta * (pp[q] - omega * vv[q]);
    }
}

/* Bring the residual r, scaled to 1, in; zero e. */
static double start(HcMultigrid mg, const double *r, double norm) {
  Level *l = &mg->level[0];
  const PetscInt n = l->n[0];
  const double exact = 1 / norm;
  const size_t bytes = (size_t)l->blocks * LANES * sizeof(float);
  float *restrict line = mg->line[0];
  double rho = 0;
  for (PetscInt k = 0; k < l->n[2]; ++k)
    for (PetscInt j = 0; j < l->n[1]; ++j) {
      const size_t row = (size_t)(j + l->n[1] * k), at = row * (size_t)l->stride;
      const int red = hc_red(l, j, k);
      const double *restrict from = r + row * (size_t)n;
      for (PetscInt i = 0; i < n; ++i) line[i] = (float)(from[i] * exact);
      HcRowSplit(n, line, mg->r[red ? 1 : 0] + at, mg->r[red ? 0 : 1] + at);
      for (int c = 0; c < 2; ++c) {
        const float *restrict rr = mg->r[c] + at;
        Lanes s = {{0}};
        for (PetscInt q = 0; q < l->blocks * LANES; q += LANES)
          for (int i = 0; i < LANES; ++i) s.lane[i] += rr[q + i] * rr[q + i];
        rho += total(&s);
        memcpy(mg->shadow[c] + at, rr, bytes);
        memcpy(mg->p[c] + at, rr, bytes);
        memset(mg->e[c] + at, 0, bytes);
      }
    }
  return rho;
}

/* x += norm e */
static void finish(HcMultigrid mg, double norm, double *x) {
  Level *l = &mg->level[0];
  const PetscInt n = l->n[0];
  float *restrict line = mg->line[0];
  for (PetscInt k = 0; k < l->n[2]; ++k)
    for (PetscInt j = 0; j < l->n[1]; ++j) {
      const size_t row = (size_t)(j + l->n[1] * k), at = row * (size_t)l->stride;
      const int red = hc_red(l, j, k);
      double *restrict to = x + row * (size_t)n;
      HcRowMerge(n, mg->e[red ? 1 : 0] + at, mg->e[red ? 0 : 1] + at, line);
      for (PetscInt i = 0; i < n; ++i) to[i] += norm * (double)line[i];
    }
}

PetscErrorCode HcMultigridCorrect(
  HcMultigrid mg, const double *r, double norm, double reduction, PetscInt limit, double *x, PetscInt *iterations) {
  double rho = start(mg, r, norm), reached = 1, sum[2];

  PetscFunctionBeginUser;
  PetscCall(sum_over_ranks(mg, 1, &rho));
  for (PetscInt it = 0; it < limit && reached > reduction; ++it) {
    double next;
    PetscCall(HcMultigridCycle(mg, mg->p));
    PetscCall(apply_operator(mg, mg->v, mg->shadow, PETSC_FALSE, sum));
    const double alpha = rho / sum[0];
    if (!isfinite(alpha)) break;
    step(mg, (float)alpha, mg->e, mg->r, mg->v, NULL, NULL, NULL);
    PetscCall(HcMultigridCycle(mg, mg->r));
    PetscCall(apply_operator(mg, mg->t, mg->r, PETSC_TRUE, sum));
    const double omega = sum[1] > 0 ? sum[0] / sum[1] : 0;
    if (!isfinite(omega)) break;
    step(mg, (float)omega, mg->e, mg->r, mg->t, mg->shadow, &next, &reached);
    PetscCall(sum_over_ranks(mg, 1, &next));
    if (mg->grid->size > 1) PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &reached, 1, MPI_DOUBLE, MPI_MAX, mg->grid->comm));
    ++*iterations;
    const double beta = next / rho * (alpha / omega);
    if (!isfinite(beta) || omega == 0) break;
    next_direction(mg, (float)beta, (float)omega, mg->p, mg->r, mg->v);
    rho = next;
  }
  if (reached < 1) finish(mg, norm, x);
  PetscFunctionReturn(0);
}
