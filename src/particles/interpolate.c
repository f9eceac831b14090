/* Fields at particles, and particles onto fields. */
#include "particles_private.h"
#include <string.h>

enum { N = HC_SCAN_BLOCK };

#define ROW static inline __attribute__((always_inline))

/* ---- places and weights ---- */

/* Centres lie at whole numbers of t: base[q] = the local index of the centre at or below, w[q] = the way to the next. */
static void locate(
  HcGrid g, int d, const HcProbe *p, PetscInt n, const double *restrict x, int *restrict base, double *restrict w) {
  const double lower = p->lower[d], per_h = p->per_h[d];
  const int start = (int)g->start[d];
  for (PetscInt q = 0; q < n; ++q) {
    const double t = (x[q] - lower) * per_h - 0.5, whole = floor(t);
    w[q] = t - whole;
    base[q] = (int)whole - start;
  }
}

/* Bring bases to this block's image of a periodic direction, and note those whose points are beyond the ghosts; they are given a
 * base that may be read. */
static void reach(HcProbe const *p, int d, PetscInt n, int *restrict base, uint8_t *restrict missing) {
  HcGrid g = p->f->grid;
  const int below = p->rule == HC_CUBIC ? 1 : 0, above = below + 1;
  const int lo = below - (int)p->f->width, hi = (int)(g->n[d] + p->f->width) - 1 - above;
  const int period = g->boundary[2 * d] == HC_PERIODIC ? (int)g->cells[d] : 0;
  for (PetscInt q = 0; q < n; ++q) {
    int b = base[q];
    b += b < lo ? period : 0;
    b -= b > hi ? period : 0;
    const int out = (b < lo) | (b > hi);
    missing[q] |= (uint8_t)out;
    base[q] = out ? 0 : b;
  }
}

ROW void linear(const int dim, PetscInt n, const double *restrict v, const int *restrict at, PetscInt sy, PetscInt sz,
  double (*restrict w)[N], double *restrict out) {
  for (PetscInt q = 0; q < n; ++q) {
    const double *a = v + at[q];
    const double x1 = w[0][q], x0 = 1. - x1;
    double r = x0 * a[0] + x1 * a[1];
    if (dim > 1) {
      const double y1 = w[1][q], y0 = 1. - y1, s = x0 * a[sy] + x1 * a[sy + 1];
      r = y0 * r + y1 * s;
      if (dim > 2) {
        const double z1 = w[2][q], z0 = 1. - z1;
        const double b = x0 * a[sz] + x1 * a[sz + 1], c = x0 * a[sz + sy] + x1 * a[sz + sy + 1];
        r = z0 * r + z1 * (y0 * b + y1 * c);
      }
    }
    out[q] = r;
  }
}

/* Lagrange's weights of the points -1, 0, 1, 2 at w. */
ROW void cubic_weights(double w, double c[4]) {
  const double a = w + 1., b = w - 1., e = w - 2.;
  c[0] = w * b * e * (-1. / 6.);
  c[1] = a * b * e * 0.5;
  c[2] = a * w * e * -0.5;
  c[3] = a * w * b * (1. / 6.);
}

ROW double cubic_line(const double *a, const double c[4]) { return (c[0] * a[-1] + c[1] * a[0]) + (c[2] * a[1] + c[3] * a[2]); }

ROW double cubic_plane(const double *a, PetscInt sy, const double cx[4], const double cy[4]) {
  return (cy[0] * cubic_line(a - sy, cx) + cy[1] * cubic_line(a, cx)) +
         (cy[2] * cubic_line(a + sy, cx) + cy[3] * cubic_line(a + 2 * sy, cx));
}

ROW void cubic(const int dim, PetscInt n, const double *restrict v, const int *restrict at, PetscInt sy, PetscInt sz,
  double (*restrict w)[N], double *restrict out) {
  for (PetscInt q = 0; q < n; ++q) {
    const double *a = v + at[q];
    double cx[4], cy[4], cz[4];
    cubic_weights(w[0][q], cx);
    if (dim > 1) cubic_weights(w[1][q], cy);
    if (dim > 2) cubic_weights(w[2][q], cz);
    out[q] = dim == 1   ? cubic_line(a, cx)
             : dim == 2 ? cubic_plane(a, sy, cx, cy)
                        : (cz[0] * cubic_plane(a - sz, sy, cx, cy) + cz[1] * cubic_plane(a, sy, cx, cy)) +
                            (cz[2] * cubic_plane(a + sz, sy, cx, cy) + cz[3] * cubic_plane(a + 2 * sz, sy, cx, cy));
  }
}

void hc_probe_values(
  const HcProbe *p, int c0, int nc, PetscInt n, const double *const x[], double *const out[], uint8_t *missing) {
  HcField f = p->f;
  HcGrid g = f->grid;
  const PetscInt sy = f->stride[1], sz = f->stride[2];
  double w[3][N] __attribute__((aligned(64)));
  int at[N] __attribute__((aligned(64))), base[N] __attribute__((aligned(64)));
  for (int d = 0; d < g->dim; ++d) {
    const int stride = (int)f->stride[d];
    locate(g, d, p, n, x[d], base, w[d]);
    if (missing) reach(p, d, n, base, missing);
    if (d == 0)
      memcpy(at, base, (size_t)n * sizeof *at);
    else
      for (PetscInt q = 0; q < n; ++q) at[q] += stride * base[q];
  }
  for (int k = 0; k < nc; ++k) {
    const double *v = f->c[c0 + k];
    if (p->rule == HC_CUBIC) switch (g->dim) {
      case 1:
        cubic(1, n, v, at, sy, sz, w, out[k]);
        break;
      case 2:
        cubic(2, n, v, at, sy, sz, w, out[k]);
        break;
      default:
        cubic(3, n, v, at, sy, sz, w, out[k]);
      }
    else
      switch (g->dim) {
      case 1:
        linear(1, n, v, at, sy, sz, w, out[k]);
        break;
      case 2:
        linear(2, n, v, at, sy, sz, w, out[k]);
        break;
      default:
        linear(3, n, v, at, sy, sz, w, out[k]);
      }
  }
}

PetscErrorCode HcParticlesInterpolate(HcParticles p, HcField f, int c, HcInterpolation rule, double *out) {
  const HcProbe probe = hc_probe(f, rule);
  PetscFunctionBeginUser;
  PetscCheck(
    f->width >= HcInterpolationWidth(rule), PETSC_COMM_SELF, PETSC_ERR_ARG_WRONG, "%d ghost layers are too few", (int)f->width);
  for (PetscInt q = 0; q < p->n; q += N) {
    const double *x[3];
    for (int d = 0; d < 3; ++d) x[d] = d < p->grid->dim ? p->x[d] + q : NULL;
    hc_probe_values(&probe, c, 1, PetscMin(N, p->n - q), x, (double *[]){out + q}, NULL);
  }
  PetscFunctionReturn(0);
}

/* ---- deposition ---- */

typedef int64_t __attribute__((may_alias)) Units; /* whole multiples kept in a field's memory */

enum { UNIT_BITS = 62, LOW_BITS = 31 };

/* Corners of the particle's cell of centres, beyond closed faces moved to the cell at the face, and their weights. */
static void corners(const HcProbe *p, int d, double x, PetscInt at[2], double w[2]) {
  HcGrid g = p->f->grid;
  const double t = (x - p->lower[d]) * p->per_h[d] - 0.5, whole = floor(t);
  PetscInt lo = (PetscInt)whole, hi = lo + 1;
  if (g->boundary[2 * d] != HC_PERIODIC) {
    lo = PetscMin(PetscMax(lo, 0), g->cells[d] - 1);
    hi = PetscMin(PetscMax(hi, 0), g->cells[d] - 1);
  }
  at[0] = (lo - g->start[d]) * p->f->stride[d];
  at[1] = (hi - g->start[d]) * p->f->stride[d];
  w[1] = t - whole;
  w[0] = 1. - w[1];
}

/* The last corner gets the rest, so that the particle's units are not changed by rounding. */
static void deposit_one(const HcProbe *p, const double x[3], double weight, double scale, Units *v) {
  const int dim = (int)p->f->grid->dim;
  PetscInt at[3][2] = {{0}};
  double w[3][2] = {{1, 0}, {1, 0}, {1, 0}};
  int64_t rest = (int64_t)rint(weight * scale);
  for (int d = 0; d < dim; ++d) corners(p, d, x[d], at[d], w[d]);
  for (int k = 0; k < 1 << dim; ++k) {
    const int a = k & 1, b = k >> 1 & 1, c = k >> 2;
    const int64_t part = k == (1 << dim) - 1 ? rest : (int64_t)rint(w[0][a] * w[1][b] * w[2][c] * (weight * scale));
    v[at[0][a] + at[1][b] + at[2][c]] += part;
    rest -= part;
  }
}

/* Units of all cells and ghosts into two components that doubles hold exactly, sums over ranks too. */
static void split_units(HcField t) {
  const Units *v = (const Units *)t->c[0];
  double *high = t->c[0], *low = t->c[1];
  HcGrid g = t->grid;
  const PetscInt wy = g->dim > 1, wz = g->dim > 2;
  for (PetscInt k = -wz; k < g->n[2] + wz; ++k)
    for (PetscInt j = -wy; j < g->n[1] + wy; ++j)
      for (PetscInt i = -1; i <= g->n[0]; ++i) {
        const PetscInt q = i + j * t->stride[1] + k * t->stride[2];
        const int64_t u = v[q];
        low[q] = (double)(u & (((int64_t)1 << LOW_BITS) - 1));
        high[q] = (double)(u >> LOW_BITS);
      }
}

PetscErrorCode HcParticlesDeposit(HcParticles p, HcField f, int c) {
  HcGrid g = p->grid;
  HcField t;
  double most = 0, count;
  PetscFunctionBeginUser;
  PetscCheck(f->width >= 1, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONG, "deposition needs a ghost layer");
  PetscCall(HcParticlesCount(p, &count));
  for (PetscInt q = 0; q < p->n; ++q) most = fmax(most, fabs(p->weight[q]));
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_DOUBLE, MPI_MAX, g->comm));
  PetscCall(HcFieldCreate(g, 2, 1, &t));
  if (most > 0) {
    const double scale = hc_fixed_scale(most, count, UNIT_BITS);
    const HcProbe probe = hc_probe(t, HC_LINEAR);
    for (PetscInt q = 0; q < p->n; ++q) {
      double x[3] = {0, 0, 0};
      for (int d = 0; d < g->dim; ++d) x[d] = p->x[d][q];
      deposit_one(&probe, x, p->weight[q], scale, (Units *)t->c[0]);
    }
    split_units(t);
    PetscCall(HcFieldExchangeAdd(t, 0, 2, 1, HC_BOX));
    for (PetscInt k = 0; k < g->n[2]; ++k)
      for (PetscInt j = 0; j < g->n[1]; ++j)
        for (PetscInt i = 0; i < g->n[0]; ++i) {
          const PetscInt a = i + j * t->stride[1] + k * t->stride[2], b = i + j * f->stride[1] + k * f->stride[2];
          f->c[c][b] += ((t->c[0][a] * 0x1p31 + t->c[1][a]) / scale) / g->volume;
        }
  }
  PetscCall(HcFieldDestroy(&t));
  PetscFunctionReturn(0);
}
