/* The multigrid cycle: red-black Gauss-Seidel on aggregates. How the levels are made is in stencil_levels.c. */
#include "multigrid_private.h"
#include <string.h>

void HcRowSplit(PetscInt n, const float *restrict natural, float *restrict even, float *restrict odd) {
  const PetscInt half = n / 2;
  for (PetscInt q = 0; q < half; ++q) {
    even[q] = natural[2 * q];
    odd[q] = natural[2 * q + 1];
  }
  if (n % 2) {
    even[half] = natural[n - 1];
    odd[half] = 0;
  }
}

void HcRowMerge(PetscInt n, const float *restrict even, const float *restrict odd, float *restrict natural) {
  const PetscInt half = n / 2;
  for (PetscInt q = 0; q < half; ++q) {
    natural[2 * q] = even[q];
    natural[2 * q + 1] = odd[q];
  }
  if (n % 2) natural[n - 1] = even[half];
}

/* ---- ghosts ------------------------------------------------------------------------------------------------------ */

/* Move one face's values between x and a buffer. j, k: the row (of a y face: j fixed; of a z face: k fixed). */
static void face_row(Level *l, PetscInt j, PetscInt k, float *buffer, PetscBool out) {
  const size_t at = hc_x_at(l, j, k), half = (size_t)(l->n[0] + 1) / 2;
  const int red = hc_red(l, j, k);
  for (int slot = 0; slot < 2; ++slot) {
    float *x = l->x[slot == red ? 0 : 1] + at;
    if (out)
      memcpy(buffer + (size_t)slot * half, x, half * sizeof(float));
    else
      memcpy(x, buffer + (size_t)slot * half, half * sizeof(float));
  }
}

static void face_move(Level *l, int f, float *buffer, PetscBool out) {
  const PetscInt width = 2 * ((l->n[0] + 1) / 2);
  if (f < 2) {
    const PetscInt i = out ? (f ? l->n[0] - 1 : 0) : (f ? l->n[0] : -1);
    const PetscInt slot = i & 1, q = (i - slot) / 2;
    for (PetscInt k = 0; k < l->n[2]; ++k)
      for (PetscInt j = 0; j < l->n[1]; ++j) {
        float *x = l->x[slot == hc_red(l, j, k) ? 0 : 1] + hc_x_at(l, j, k) + q;
        if (out)
          buffer[j + l->n[1] * k] = *x;
        else
          *x = buffer[j + l->n[1] * k];
      }
  } else if (f < 4) {
    const PetscInt j = out ? (f == 3 ? l->n[1] - 1 : 0) : (f == 3 ? l->n[1] : -1);
    for (PetscInt k = 0; k < l->n[2]; ++k) face_row(l, j, k, buffer + k * width, out);
  } else {
    const PetscInt k = out ? (f == 5 ? l->n[2] - 1 : 0) : (f == 5 ? l->n[2] : -1);
    for (PetscInt j = 0; j < l->n[1]; ++j) face_row(l, j, k, buffer + j * width, out);
  }
}

PetscErrorCode HcLevelExchange(Level *l) {
  HcFaceExchange *e = &l->faces;

  PetscFunctionBeginUser;
  for (int f = 0; f < 6; ++f)
    if (e->peer[f] != MPI_PROC_NULL) face_move(l, f, e->send[f], PETSC_TRUE);
  PetscCall(HcFaceExchangeBegin(e));
  PetscCall(HcFaceExchangeEnd(e));
  for (int f = 0; f < 6; ++f)
    if (e->peer[f] != MPI_PROC_NULL) face_move(l, f, e->recv[f], PETSC_FALSE);
  PetscFunctionReturn(0);
}

/* ---- kernels on rows of one colour ------------------------------------------------------------------------------- */

typedef struct {
  const float *w[6], *x[6], *b; /* x[f]: the neighbours at face f */
} ColourRow;

static ColourRow colour_row(const Level *l, int dim, int colour, PetscInt j, PetscInt k) {
  const size_t at = (size_t)(j + l->n[1] * k) * (size_t)l->stride;
  const float *x = l->x[1 - colour] + hc_x_at(l, j, k);
  const int o = colour ^ hc_red(l, j, k);
  ColourRow r;
  for (int f = 0; f < 2 * dim; ++f) r.w[f] = l->w[colour][f] + at;
  r.b = l->b[colour] + at;
  r.x[0] = x - 1 + o;
  r.x[1] = x + o;
  r.x[2] = x - l->stride;
  r.x[3] = x + l->stride;
  r.x[4] = x - l->plane * l->stride;
  r.x[5] = x + l->plane * l->stride;
  return r;
}

/* b + W x, or b - W x, over whole vectors. */
static inline __attribute__((always_inline)) void gather(
  int minus, int dim, PetscInt blocks, const ColourRow *r, float *restrict to) {
  const float *restrict wl = r->w[0], *restrict wr = r->w[1], *restrict wd = r->w[2], *restrict wu = r->w[3];
  const float *restrict xl = r->x[0], *restrict xr = r->x[1], *restrict xd = r->x[2], *restrict xu = r->x[3];
  const float *restrict wb = dim > 2 ? r->w[4] : NULL, *restrict wf = dim > 2 ? r->w[5] : NULL;
  const float *restrict xb = r->x[4], *restrict xf = r->x[5], *restrict b = r->b;
  for (PetscInt q = 0; q < blocks * LANES; ++q) {
    float s = (wl[q] * xl[q] + wr[q] * xr[q]) + (wd[q] * xd[q] + wu[q] * xu[q]);
    if (dim > 2) s += wb[q] * xb[q] + wf[q] * xf[q];
    to[q] = minus ? b[q] - s : b[q] + s;
  }
}

static inline void gather_row(int dim, PetscInt blocks, const ColourRow *r, float *to) {
  if (dim == 3)
    gather(0, 3, blocks, r, to);
  else
    gather(0, 2, blocks, r, to);
}

void HcLevelDefect(int dim, Level *l, int colour, PetscInt j, PetscInt k, float *to) {
  const PetscInt past = (l->n[0] + 1 - (colour ^ hc_red(l, j, k))) / 2, vector = l->blocks * LANES;
  const float *restrict x = l->x[colour] + hc_x_at(l, j, k);
  float *restrict out = to;
  ColourRow r = colour_row(l, dim, colour, j, k);
  r.b = x;
  if (dim == 3)
    gather(1, 3, l->blocks, &r, to);
  else
    gather(1, 2, l->blocks, &r, to);
  for (PetscInt q = past; q < vector; ++q) out[q] = 0;
}

/* Solve the rows of one colour for their own cells. */
static PetscErrorCode half_sweep(HcMultigrid mg, Level *l, int colour) {
  PetscFunctionBeginUser;
  PetscCall(HcLevelExchange(l));
  for (PetscInt k = 0; k < l->n[2]; ++k)
    for (PetscInt j = 0; j < l->n[1]; ++j) {
      ColourRow r = colour_row(l, mg->dim, colour, j, k);
      gather_row(mg->dim, l->blocks, &r, l->x[colour] + hc_x_at(l, j, k));
    }
  PetscFunctionReturn(0);
}

/* x = b on red cells: the red half sweep from x = 0. Black values are not read before they are set, unless colours clash. */
static void first_half_sweep(Level *l) {
  const size_t bytes = (size_t)l->blocks * LANES * sizeof(float);
  for (PetscInt k = 0; k < l->n[2]; ++k)
    for (PetscInt j = 0; j < l->n[1]; ++j) {
      memcpy(l->x[0] + hc_x_at(l, j, k), l->b[0] + (size_t)(j + l->n[1] * k) * (size_t)l->stride, bytes);
      if (l->colours > 1) memset(l->x[1] + hc_x_at(l, j, k), 0, bytes);
    }
}

/* ---- between levels ---------------------------------------------------------------------------------------------- */

/* b of the coarse level. After a black half sweep only red cells have a residual (if black ones have red neighbours only). */
static PetscErrorCode restrict_residual(HcMultigrid mg, Level *l, Level *c) {
  float *restrict sum = mg->line[0], *restrict r = mg->line[1];
  const PetscInt vector = l->blocks * LANES;

  PetscFunctionBeginUser;
  PetscCall(HcLevelExchange(l));
  for (PetscInt K = 0; K < c->n[2]; ++K)
    for (PetscInt J = 0; J < c->n[1]; ++J) {
      const PetscInt k1 = l->pairs[2] ? PetscMin(2 * K + 2, l->n[2]) : K + 1,
                     j1 = l->pairs[1] ? PetscMin(2 * J + 2, l->n[1]) : J + 1;
      memset(sum, 0, (size_t)(2 * vector) * sizeof(float));
      for (PetscInt k = l->pairs[2] ? 2 * K : K; k < k1; ++k)
        for (PetscInt j = l->pairs[1] ? 2 * J : J; j < j1; ++j) {
          for (int colour = 0; colour < l->colours; ++colour) {
            ColourRow row = colour_row(l, mg->dim, colour, j, k);
            const float *restrict d = l->d[colour] + (size_t)(j + l->n[1] * k) * (size_t)l->stride;
            const float *restrict x = l->x[colour] + hc_x_at(l, j, k);
            gather_row(mg->dim, l->blocks, &row, r);
            if (l->pairs[0]) {
              for (PetscInt q = 0; q < vector; ++q) sum[q] += d[q] * (r[q] - x[q]);
            } else {
              const int o = colour ^ hc_red(l, j, k);
              for (PetscInt q = 0; q < (l->n[0] + 1 - o) / 2; ++q) sum[2 * q + o] += d[q] * (r[q] - x[q]);
            }
          }
        }
      const size_t at = (size_t)(J + c->n[1] * K) * (size_t)c->stride;
      const int red = hc_red(c, J, K);
      HcRowSplit(c->n[0], sum, c->b[red ? 1 : 0] + at, c->b[red ? 0 : 1] + at);
    }
  PetscFunctionReturn(0);
}

/* Add the coarse x to the red cells: the black ones are solved for next (from red ones only, unless colours clash). */
static void correct(HcMultigrid mg, Level *l, Level *c) {
  float *restrict e = mg->line[0];
  for (PetscInt K = 0; K < c->n[2]; ++K)
    for (PetscInt J = 0; J < c->n[1]; ++J) {
      const PetscInt k1 = l->pairs[2] ? PetscMin(2 * K + 2, l->n[2]) : K + 1,
                     j1 = l->pairs[1] ? PetscMin(2 * J + 2, l->n[1]) : J + 1;
      const size_t from = hc_x_at(c, J, K);
      const int red = hc_red(c, J, K);
      HcRowMerge(c->n[0], c->x[red ? 1 : 0] + from, c->x[red ? 0 : 1] + from, e);
      for (PetscInt k = l->pairs[2] ? 2 * K : K; k < k1; ++k)
        for (PetscInt j = l->pairs[1] ? 2 * J : J; j < j1; ++j) {
          for (int colour = 0; colour < l->colours; ++colour) {
            const float *restrict d = l->d[colour] + (size_t)(j + l->n[1] * k) * (size_t)l->stride;
            float *restrict x = l->x[colour] + hc_x_at(l, j, k);
            if (l->pairs[0]) {
              for (PetscInt q = 0; q < c->n[0]; ++q) x[q] += d[q] != 0 ? e[q] : 0;
            } else {
              const int o = colour ^ hc_red(l, j, k);
              for (PetscInt q = 0; q < (l->n[0] + 1 - o) / 2; ++q) x[q] += d[q] != 0 ? e[2 * q + o] : 0;
            }
          }
        }
    }
}

/* ---- the cycle --------------------------------------------------------------------------------------------------- */

/* Improve x on a level; symmetric, so that the preconditioner of a symmetric operator is symmetric. */
static PetscErrorCode cycle(HcMultigrid mg, int depth, PetscBool zero) {
  Level *l = &mg->level[depth];

  PetscFunctionBeginUser;
  if (zero)
    first_half_sweep(l);
  else
    PetscCall(half_sweep(mg, l, 0));
  PetscCall(half_sweep(mg, l, 1));
  if (depth < mg->levels - 1) {
    Level *c = &mg->level[depth + 1];
    PetscCall(restrict_residual(mg, l, c));
    PetscCall(cycle(mg, depth + 1, PETSC_TRUE));
    for (int g = 1; g < mg->gamma && depth + 2 < mg->levels; ++g) PetscCall(cycle(mg, depth + 1, PETSC_FALSE));
    correct(mg, l, c);
    PetscCall(half_sweep(mg, l, 1));
  } else {
    for (int s = 1; s < mg->last_sweeps; ++s) {
      PetscCall(half_sweep(mg, l, 0));
      PetscCall(half_sweep(mg, l, 1));
    }
  }
  PetscCall(half_sweep(mg, l, 0));
  PetscFunctionReturn(0);
}

PetscErrorCode HcMultigridCycle(HcMultigrid mg, float *const b[2]) {
  Level *l = &mg->level[0];
  float *own[2] = {l->b[0], l->b[1]};

  PetscFunctionBeginUser;
  l->b[0] = b[0];
  l->b[1] = b[1];
  PetscCall(cycle(mg, 0, PETSC_TRUE));
  l->b[0] = own[0];
  l->b[1] = own[1];
  PetscFunctionReturn(0);
}

PetscErrorCode HcMultigridApply(HcMultigrid mg, const double *r, double *z) {
  Level *l = &mg->level[0];
  const PetscInt n = l->n[0];
  float *restrict line = mg->line[0];

  PetscFunctionBeginUser;
  for (PetscInt k = 0; k < l->n[2]; ++k)
    for (PetscInt j = 0; j < l->n[1]; ++j) {
      const size_t row = (size_t)(j + l->n[1] * k), at = row * (size_t)l->stride;
      const int red = hc_red(l, j, k);
      for (PetscInt i = 0; i < n; ++i) line[i] = (float)r[row * (size_t)n + (size_t)i];
      HcRowSplit(n, line, l->b[red ? 1 : 0] + at, l->b[red ? 0 : 1] + at);
    }
  PetscCall(cycle(mg, 0, PETSC_TRUE));
  for (PetscInt k = 0; k < l->n[2]; ++k)
    for (PetscInt j = 0; j < l->n[1]; ++j) {
      const size_t row = (size_t)(j + l->n[1] * k), at = hc_x_at(l, j, k);
      const int red = hc_red(l, j, k);
      HcRowMerge(n, l->x[red ? 1 : 0] + at, l->x[red ? 0 : 1] + at, line);
      for (PetscInt i = 0; i < n; ++i) z[row * (size_t)n + (size_t)i] = line[i];
    }
  PetscFunctionReturn(0);
}
