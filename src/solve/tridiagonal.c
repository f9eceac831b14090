/*
 * Direct solution in one dimension. M-matrices need no pivoting: every Schur complement is one again.
 *
 * One block without wrap: elimination from both ends at once, two independent chains of divisions, meeting in the middle.
 * Otherwise the partition method (Wang, ACM TOMS 7 (1981) 170): every rank eliminates the cells between its first and
 * its last, both of which then couple only to one another and to the neighbouring blocks; this system of at most two
 * unknowns a rank, tridiagonal and cyclic when the domain is, is gathered and solved by every rank.
 */
#include "stencil_private.h"
#include <math.h>
#include <string.h>

struct HcTridiagonal_ {
  HcGrid grid;
  double *left, *right, *value; /* x_i = value_i - left_i x_first - right_i x_{i+1} */
  double *gathered;             /* 8 a rank: the rows of its first and last cell: left, diagonal, right, value */
  double *reduced;              /* 6 an unknown: such rows, and the solution's two parts */
};

double HcTridiagonalBytes(HcGrid grid) {
  return 3.0 * sizeof(double) * (double)grid->n[0] + 20.0 * sizeof(double) * (double)grid->size +
         (double)sizeof(struct HcTridiagonal_);
}

PetscErrorCode HcTridiagonalCreate(HcGrid grid, HcTridiagonal *out) {
  HcTridiagonal t;
  const PetscInt n = grid->n[0];

  PetscFunctionBeginUser;
  PetscCall(PetscNew(&t));
  t->grid = grid;
  PetscCall(PetscMalloc3(n, &t->left, n, &t->right, n, &t->value));
  PetscCall(PetscMalloc2(8 * grid->size, &t->gathered, 12 * grid->size, &t->reduced));
  *out = t;
  PetscFunctionReturn(0);
}

PetscErrorCode HcTridiagonalDestroy(HcTridiagonal *t) {
  PetscFunctionBeginUser;
  if (!*t) PetscFunctionReturn(0);
  PetscCall(PetscFree3((*t)->left, (*t)->right, (*t)->value));
  PetscCall(PetscFree2((*t)->gathered, (*t)->reduced));
  PetscCall(PetscFree(*t));
  PetscFunctionReturn(0);
}

/* Elimination from both ends; c and y are work. False when a pivot is not positive or the middle is not finite. */
static PetscBool solve_twisted(PetscInt n, const double *restrict l, const double *restrict d, const double *restrict r,
  const double *restrict b, double *restrict c, double *restrict y, double *restrict x) {
  /* cells 0..m-1 from the left, n-1..n-m from the right, one cell left over when n is odd */
  const PetscInt m = (n - 1) / 2;
  double cl = 0, yl = 0, cr = 0, yr = 0, least = INFINITY;
  for (PetscInt i = 0; i < m; ++i) {
    const PetscInt k = n - 1 - i;
    const double pl = d[i] - l[i] * cl, pr = d[k] - r[k] * cr;
    const double il = 1 / pl, ir = 1 / pr;
    least = pl < least ? pl : least;
    least = pr < least ? pr : least;
    yl = (b[i] - l[i] * yl) * il;
    yr = (b[k] - r[k] * yr) * ir;
    cl = r[i] * il;
    cr = l[k] * ir;
    c[i] = cl;
    y[i] = yl;
    c[k] = cr;
    y[k] = yr;
  }
  if (n % 2) {
    const double p = d[m] - l[m] * cl - r[m] * cr;
    least = p < least ? p : least;
    x[m] = (b[m] - l[m] * yl - r[m] * yr) / p;
  } else {
    const PetscInt k = m + 1;
    const double pl = d[m] - l[m] * cl, pr = d[k] - r[k] * cr, vl = b[m] - l[m] * yl, vr = b[k] - r[k] * yr;
    const double p = pl * pr - r[m] * l[k];
    least = pl < least ? pl : least;
    least = p < least ? p : least;
    x[m] = (vl * pr - r[m] * vr) / p;
    x[k] = (pl * vr - l[k] * vl) / p;
  }
  double xl = x[m], xr = x[n - 1 - m];
  const PetscBool good = least > 0 && isfinite(xl) && isfinite(xr) ? PETSC_TRUE : PETSC_FALSE;
  for (PetscInt i = m - 1; i >= 0; --i) {
    const PetscInt k = n - 1 - i;
    xl = y[i] - c[i] * xl;
    xr = y[k] - c[k] * xr;
    x[i] = xl;
    x[k] = xr;
  }
  return good;
}

/* Eliminate cells 1..n-2. row[0..3]: left, diagonal, right and value of the first cell's row, whose right neighbour is
 * then the last cell; row[4..7] those of the last cell's row. */
static PetscBool eliminate(HcTridiagonal t, const double *restrict l, const double *restrict d, const double *restrict r,
  const double *restrict b, double row[8]) {
  const PetscInt n = t->grid->n[0];
  double *restrict left = t->left, *restrict right = t->right, *restrict value = t->value;
  double d0 = d[0], r0 = r[0], b0 = b[0], L = -1, R = 0, V = 0, least = INFINITY; /* x_first = 0 - (-1) x_first - 0 */
  for (PetscInt i = 1; i < n - 1; ++i) {
    const double p = d[i] - l[i] * R, inverse = 1 / p;
    least = p < least ? p : least;
    V = (b[i] - l[i] * V) * inverse;
    L = -l[i] * L * inverse;
    R = r[i] * inverse;
    left[i] = L;
    right[i] = R;
    value[i] = V;
    d0 -= r0 * L;
    b0 -= r0 * V;
    r0 = -r0 * R;
  }
  row[0] = l[0];
  row[1] = d0;
  row[2] = r0;
  row[3] = b0;
  if (n > 1) {
    row[4] = -l[n - 1] * L;
    row[5] = d[n - 1] - l[n - 1] * R;
    row[6] = r[n - 1];
    row[7] = b[n - 1] - l[n - 1] * V;
  } else {
    for (int c = 4; c < 8; ++c) row[c] = 0;
  }
  return least > 0 ? PETSC_TRUE : PETSC_FALSE;
}

/* Solve m rows of four (left, diagonal, right, value), the last coupled to the first and back; u and v are work. The
 * solution replaces the values. */
static PetscBool solve_cyclic(PetscInt m, double *a, double *u, double *v) {
  double L = -1, R = 0, V = 0, least = INFINITY, first;
  if (m == 1) {
    first = a[0] + a[1] + a[2];
    a[3] /= first;
    return first > 0 && isfinite(a[3]) ? PETSC_TRUE : PETSC_FALSE;
  }
  for (PetscInt i = 1; i < m; ++i) {
    double *row = a + 4 * i;
    const double p = row[1] - row[0] * R, inverse = 1 / p;
    least = p < least ? p : least;
    V = (row[3] - row[0] * V) * inverse;
    L = -row[0] * L * inverse;
    R = row[2] * inverse;
    row[0] = L;
    row[2] = R;
    row[3] = V;
  }
  /* x_i = u_i + v_i x_first */
  for (PetscInt i = m - 1; i > 0; --i) {
    const double *row = a + 4 * i, un = i == m - 1 ? 0 : u[i + 1], vn = i == m - 1 ? 1 : v[i + 1];
    u[i] = row[3] - row[2] * un;
    v[i] = -row[0] - row[2] * vn;
  }
  const double p = a[1] + a[0] * v[m - 1] + a[2] * v[1];
  least = p < least ? p : least;
  first = (a[3] - a[0] * u[m - 1] - a[2] * u[1]) / p;
  a[3] = first;
  for (PetscInt i = 1; i < m; ++i) a[4 * i + 3] = u[i] + v[i] * first;
  return least > 0 && isfinite(first) && isfinite(a[4 * m - 1]) ? PETSC_TRUE : PETSC_FALSE;
}

PetscErrorCode HcTridiagonalSolve(HcTridiagonal t, HcStencil A, const double *b, double *x, PetscBool *healthy) {
  const HcGrid g = t->grid;
  const PetscInt n = g->n[0];
  const double *d = A->a->c[0], *l = A->a->c[1], *r = A->a->c[2];
  double row[8];

  PetscFunctionBeginUser;
  if (g->size == 1 && g->boundary[0] != HC_PERIODIC) {
    *healthy = solve_twisted(n, l, d, r, b, t->right, t->value, x);
    PetscFunctionReturn(0);
  }
  if (!eliminate(t, l, d, r, b, row)) row[3] = NAN; /* known to all through the gathered rows */
  if (g->size > 1)
    PetscCallMPI(MPI_Allgather(row, 8, MPI_DOUBLE, t->gathered, 8, MPI_DOUBLE, g->comm));
  else
    memcpy(t->gathered, row, sizeof row);
  PetscInt m = 0, mine = 0;
  double *a = t->reduced, *u = a + 8 * g->size, *v = u + 2 * g->size;
  for (int p = 0; p < g->size; ++p) { /* in one dimension ranks are numbered along the axis */
    const PetscInt rows = g->split[0][p + 1] - g->split[0][p] > 1 ? 2 : 1;
    memcpy(a + 4 * m, t->gathered + 8 * p, (size_t)(4 * rows) * sizeof(double));
    if (p == g->rank) mine = m;
    m += rows;
  }
  *healthy = solve_cyclic(m, a, u, v);
  const double first = a[4 * mine + 3];
  x[0] = first;
  if (n > 1) {
    double next = a[4 * (mine + 1) + 3];
    x[n - 1] = next;
    for (PetscInt i = n - 2; i > 0; --i) {
      next = t->value[i] - t->left[i] * first - t->right[i] * next;
      x[i] = next;
    }
  }
  PetscFunctionReturn(0);
}
