#include "stencil_private.h"
#include <float.h>
#include <math.h>
#include <string.h>

PetscErrorCode HcStencilCreate(HcGrid grid, HcStencil *A) {
  HcStencilStorage *s;

  PetscFunctionBeginUser;
  PetscCall(PetscNew(&s));
  s->public.grid = grid;
  PetscCall(HcFieldCreate(grid, 1 + 2 * (int)grid->dim, 1, &s->public.a));
  PetscCall(HcFaceExchangeCreate(grid, grid->n, MPI_DOUBLE, &s->faces));
  *A = &s->public;
  PetscFunctionReturn(0);
}

PetscErrorCode HcStencilDestroy(HcStencil *A) {
  PetscFunctionBeginUser;
  if (!*A) PetscFunctionReturn(0);
  PetscCall(HcFaceExchangeDestroy(&((HcStencilStorage *)*A)->faces));
  PetscCall(HcFieldDestroy(&(*A)->a));
  PetscCall(PetscFree(*A));
  PetscFunctionReturn(0);
}

/* Row i of A^T holds the entries that i's neighbours have towards i. */
PetscErrorCode HcStencilTranspose(HcStencil A, HcStencil T) {
  const HcGrid g = A->grid;
  const HcField a = A->a, t = T->a;

  PetscFunctionBeginUser;
  PetscCheck(A != T, g->comm, PETSC_ERR_ARG_IDN, "A stencil cannot be transposed in place");
  PetscCall(HcFieldExchange(a, HC_STAR));
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j) {
      PetscInt row = j * a->stride[1] + k * a->stride[2], to = j * t->stride[1] + k * t->stride[2];
      memcpy(t->c[0] + to, a->c[0] + row, (size_t)g->n[0] * sizeof(double));
      for (int f = 0; f < 2 * g->dim; ++f) {
        PetscInt step = f % 2 ? a->stride[f / 2] : -a->stride[f / 2];
        memcpy(t->c[1 + f] + to, a->c[1 + (f ^ 1)] + row + step, (size_t)g->n[0] * sizeof(double));
      }
    }
  /* ghosts beyond the edge of the domain hold nothing: there the entries are zero */
  for (int f = 0; f < 2 * g->dim; ++f) {
    int d = f / 2;
    if (!HcGridAtEdge(g, f) || g->boundary[f] == HC_PERIODIC) continue;
    PetscInt lo[3] = {0, 0, 0}, hi[3] = {g->n[0], g->n[1], g->n[2]};
    lo[d] = f % 2 ? g->n[d] - 1 : 0;
    hi[d] = lo[d] + 1;
    for (PetscInt k = lo[2]; k < hi[2]; ++k)
      for (PetscInt j = lo[1]; j < hi[1]; ++j)
        for (PetscInt i = lo[0]; i < hi[0]; ++i) t->c[1 + f][i + j * t->stride[1] + k * t->stride[2]] = 0;
  }
  PetscFunctionReturn(0);
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

typedef enum { PRODUCT, RESIDUAL, PRODUCT_SCALED, RESIDUAL_SCALED } Form;

typedef struct {
  const double *a[7], *x, *b, *side[6]; /* side[f]: the x values at the neighbours f of the row */
  double left, right;                   /* x beyond the row's two ends */
  double *y;
  double *max, *sum; /* 8 lanes each, RESIDUAL_SCALED only */
} Row;

static inline __attribute__((always_inline)) double finish(Form form, double product, double a0, double b) {
  switch (form) {
  case PRODUCT:
    return product;
  case RESIDUAL:
    return b - product;
  case PRODUCT_SCALED:
    return product / a0;
  default:
    return (b - product) / a0;
  }
}

/* The same order of operations for every cell, so that a cell's bits do not depend on where the blocks end. */
static inline __attribute__((always_inline)) double cell(
  Form form, int dim, const Row *r, PetscInt i, double left, double right) {
  double p = r->a[0][i] * r->x[i] + r->a[1][i] * left + r->a[2][i] * right;
  for (int f = 2; f < 2 * dim; ++f) p += r->a[1 + f][i] * r->side[f][i];
  return finish(form, p, r->a[0][i], form == RESIDUAL || form == RESIDUAL_SCALED ? r->b[i] : 0);
}

static inline __attribute__((always_inline)) void row_of(Form form, int dim, PetscInt n, const Row *r) {
  const double *restrict a0 = r->a[0], *restrict al = r->a[1], *restrict ar = r->a[2], *restrict ad = r->a[3];
  const double *restrict au = r->a[4], *restrict ab = r->a[5], *restrict af = r->a[6];
  const double *restrict x = r->x, *restrict b = r->b, *restrict xd = r->side[2], *restrict xu = r->side[3];
  const double *restrict xb = r->side[4], *restrict xf = r->side[5];
  double *restrict y = r->y;

  y[0] = cell(form, dim, r, 0, r->left, n > 1 ? x[1] : r->right);
  for (PetscInt i = 1; i < n - 1; ++i) {
    double p = a0[i] * x[i] + al[i] * x[i - 1] + ar[i] * x[i + 1];
    if (dim > 1) {
      p += ad[i] * xd[i];
      p += au[i] * xu[i];
    }
    if (dim > 2) {
      p += ab[i] * xb[i];
      p += af[i] * xf[i];
    }
    y[i] = finish(form, p, a0[i], form == RESIDUAL || form == RESIDUAL_SCALED ? b[i] : 0);
  }
  if (n > 1) y[n - 1] = cell(form, dim, r, n - 1, x[n - 2], r->right);
  if (form == RESIDUAL_SCALED) {
    PetscInt i = 0;
    for (; i + 8 <= n; i += 8)
      for (int l = 0; l < 8; ++l) {
        double v = fabs(y[i + l]);
        r->max[l] = v > r->max[l] ? v : r->max[l];
        r->sum[l] += v;
      }
    for (; i < n; ++i) {
      double v = fabs(y[i]);
      r->max[0] = v > r->max[0] ? v : r->max[0];
      r->sum[0] += v;
    }
  }
}

/* One instance a form and a dimension, so that the loops are compiled without branches. */
#define ROW(form)                                                                                                                \
  static void row_##form(int dim, PetscInt n, const Row *r) {                                                                    \
    if (dim == 3)                                                                                                                \
      row_of(form, 3, n, r);                                                                                                     \
    else if (dim == 2)                                                                                                           \
      row_of(form, 2, n, r);                                                                                                     \
    else                                                                                                                         \
      row_of(form, 1, n, r);                                                                                                     \
  }
ROW(PRODUCT)
ROW(RESIDUAL)
ROW(PRODUCT_SCALED)
ROW(RESIDUAL_SCALED)

static void pack(const HcFaceExchange *faces, const PetscInt n[3], const double *x) {
  for (int f = 0; f < 6; ++f) {
    if (faces->peer[f] == MPI_PROC_NULL) continue;
    double *to = faces->send[f];
    if (f < 2) {
      const double *from = x + (f ? n[0] - 1 : 0);
      for (PetscInt row = 0; row < n[1] * n[2]; ++row) to[row] = from[row * n[0]];
    } else if (f < 4) {
      const double *from = x + (f == 3 ? n[1] - 1 : 0) * n[0];
      for (PetscInt k = 0; k < n[2]; ++k) memcpy(to + k * n[0], from + k * n[0] * n[1], (size_t)n[0] * sizeof(double));
    } else {
      memcpy(to, x + (f == 5 ? n[2] - 1 : 0) * n[0] * n[1], (size_t)(n[0] * n[1]) * sizeof(double));
    }
  }
}

static void set_row(
  HcStencil A, const HcFaceExchange *faces, const double *b, const double *x, double *y, PetscInt j, PetscInt k, Row *r) {
  const HcField a = A->a;
  const PetscInt *n = A->grid->n, row = j + n[1] * k, at = row * n[0], in = j * a->stride[1] + k * a->stride[2];
  for (int c = 0; c < 1 + 2 * A->grid->dim; ++c) r->a[c] = a->c[c] + in;
  r->x = x + at;
  r->y = y + at;
  r->b = b ? b + at : NULL;
  r->left = ((const double *)faces->recv[0])[row];
  r->right = ((const double *)faces->recv[1])[row];
  if (A->grid->dim > 1) {
    r->side[2] = j > 0 ? r->x - n[0] : (const double *)faces->recv[2] + k * n[0];
    r->side[3] = j < n[1] - 1 ? r->x + n[0] : (const double *)faces->recv[3] + k * n[0];
  }
  if (A->grid->dim > 2) {
    r->side[4] = k > 0 ? r->x - n[0] * n[1] : (const double *)faces->recv[4] + j * n[0];
    r->side[5] = k < n[2] - 1 ? r->x + n[0] * n[1] : (const double *)faces->recv[5] + j * n[0];
  }
}

static PetscErrorCode product(HcStencil A, Form form, const double *b, const double *x, double *y, double *norm) {
  static void (*const kernel[])(int, PetscInt, const Row *) = {
    row_PRODUCT, row_RESIDUAL, row_PRODUCT_SCALED, row_RESIDUAL_SCALED};
  HcFaceExchange *faces = &((HcStencilStorage *)A)->faces;
  const HcGrid g = A->grid;
  const int dim = (int)g->dim;
  const PetscInt *n = g->n;
  double max[8] = {0}, sum[8] = {0};
  Row r = {.max = max, .sum = sum};

  PetscFunctionBeginUser;
  pack(faces, n, x);
  PetscCall(HcFaceExchangeBegin(faces));
  PetscCall(HcFaceExchangeEnd(faces));
  for (PetscInt k = 0; k < n[2]; ++k)
    for (PetscInt j = 0; j < n[1]; ++j) {
      set_row(A, faces, b, x, y, j, k, &r);
      kernel[form](dim, n[0], &r);
    }
  if (norm) {
    double value = 0;
    for (int l = 0; l < 8; ++l) {
      value = PetscMax(value, max[l]);
      if (!(sum[l] <= DBL_MAX)) value = INFINITY; /* comparisons with NaN are false, sums keep it */
    }
    if (g->size > 1) PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_MAX, g->comm));
    *norm = value;
  }
  PetscFunctionReturn(0);
}

PetscErrorCode HcStencilMult(HcStencil A, const double *x, double *y) {
  PetscFunctionBeginUser;
  PetscCall(product(A, PRODUCT, NULL, x, y, NULL));
  PetscFunctionReturn(0);
}

PetscErrorCode HcStencilResidual(HcStencil A, const double *b, const double *x, double *r) {
  PetscFunctionBeginUser;
  PetscCall(product(A, RESIDUAL, b, x, r, NULL));
  PetscFunctionReturn(0);
}

PetscErrorCode HcStencilMultScaled(HcStencil A, const double *x, double *y) {
  PetscFunctionBeginUser;
  PetscCall(product(A, PRODUCT_SCALED, NULL, x, y, NULL));
  PetscFunctionReturn(0);
}

PetscErrorCode HcStencilResidualScaled(HcStencil A, const double *b, const double *x, double *r, double *norm) {
  PetscFunctionBeginUser;
  PetscCall(product(A, RESIDUAL_SCALED, b, x, r, norm));
  PetscFunctionReturn(0);
}
