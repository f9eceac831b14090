/* The built-in Hamiltonians. */
#include "hamiltonian.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const HjVariables[HJ_VARIABLES] = {"x", "y", "z", "t", "px", "py", "pz"};

static inline double max2(double a, double b) { return a > b ? a : b; }

/* start + the sum of the derivatives */
static void sum_row(int dim, PetscInt n, const double *const p[3], double start, double *restrict out) {
  for (PetscInt i = 0; i < n; ++i) out[i] = start + p[0][i];
  for (int d = 1; d < dim; ++d)
    for (PetscInt i = 0; i < n; ++i) out[i] += p[d][i];
}

/* ---- burgers: (sum p + 1)^2 / 2 ---- */

static void burgers_value(const HjHamiltonian *H, const HjRow *row, const double *const p[3], double *restrict out) {
  for (PetscInt i = 0; i < row->n; ++i) out[i] = p[0][i] + 1;
  for (int d = 1; d < H->dim; ++d)
    for (PetscInt i = 0; i < row->n; ++i) out[i] += p[d][i];
  for (PetscInt i = 0; i < row->n; ++i) out[i] = 0.5 * out[i] * out[i];
}

static void burgers_speeds(
  const HjHamiltonian *H, const HjRow *row, const double *const lo[3], const double *const hi[3], double *const a[3]) {
  double low[HJ_ROW], *restrict a0 = a[0];
  for (PetscInt i = 0; i < row->n; ++i) low[i] = lo[0][i] + 1, a0[i] = hi[0][i] + 1;
  for (int d = 1; d < H->dim; ++d)
    for (PetscInt i = 0; i < row->n; ++i) low[i] += lo[d][i], a0[i] += hi[d][i];
  for (PetscInt i = 0; i < row->n; ++i) a0[i] = max2(-low[i], a0[i]);
  for (int d = 1; d < H->dim; ++d) memcpy(a[d], a0, sizeof(double) * (size_t)row->n);
}

static void burgers_slope(const HjHamiltonian *H, const HjRow *row, int d, const double *const p[3], double *out) {
  (void)d;
  sum_row(H->dim, row->n, p, 1, out);
}

/* ---- Hamiltonians f(sum p + c) with f = -cos or sin; |f'| over an interval ---- */

/* max |sin| over [lo, hi]: 1 where a crest pi/2 + k pi lies inside. */
static double sine_bound(double lo, double hi) {
  const double crest = M_PI_2 + M_PI * ceil((lo - M_PI_2) / M_PI);
  /* the last digit of `crest` must not hide one at the very end of the interval: nearby, |sin| differs from 1 by less than 1e-16
   */
  return crest <= hi ? 1.0 : max2(fabs(sin(lo)), fabs(sin(hi)));
}

static void cosine_value(const HjHamiltonian *H, const HjRow *row, const double *const p[3], double *out) {
  sum_row(H->dim, row->n, p, 1, out);
  for (PetscInt i = 0; i < row->n; ++i) out[i] = -cos(out[i]);
}

static void cosine_speeds(
  const HjHamiltonian *H, const HjRow *row, const double *const lo[3], const double *const hi[3], double *const a[3]) {
  double l[HJ_ROW], h[HJ_ROW];
  sum_row(H->dim, row->n, lo, 1, l);
  sum_row(H->dim, row->n, hi, 1, h);
  for (PetscInt i = 0; i < row->n; ++i) a[0][i] = sine_bound(l[i], h[i]);
  for (int d = 1; d < H->dim; ++d) memcpy(a[d], a[0], sizeof(double) * (size_t)row->n);
}

static void cosine_slope(const HjHamiltonian *H, const HjRow *row, int d, const double *const p[3], double *out) {
  (void)d;
  sum_row(H->dim, row->n, p, 1, out);
  for (PetscInt i = 0; i < row->n; ++i) out[i] = sin(out[i]);
}

static void riemann_value(const HjHamiltonian *H, const HjRow *row, const double *const p[3], double *out) {
  sum_row(H->dim, row->n, p, 0, out);
  for (PetscInt i = 0; i < row->n; ++i) out[i] = sin(out[i]);
}

static void riemann_speeds(
  const HjHamiltonian *H, const HjRow *row, const double *const lo[3], const double *const hi[3], double *const a[3]) {
  double l[HJ_ROW], h[HJ_ROW];
  sum_row(H->dim, row->n, lo, M_PI_2, l);
  sum_row(H->dim, row->n, hi, M_PI_2, h);
  for (PetscInt i = 0; i < row->n; ++i) a[0][i] = sine_bound(l[i], h[i]);
  for (int d = 1; d < H->dim; ++d) memcpy(a[d], a[0], sizeof(double) * (size_t)row->n);
}

static void riemann_slope(const HjHamiltonian *H, const HjRow *row, int d, const double *const p[3], double *out) {
  (void)d;
  sum_row(H->dim, row->n, p, 0, out);
  for (PetscInt i = 0; i < row->n; ++i) out[i] = cos(out[i]);
}

/* ---- quadratic: |p|^2 / 2 ---- */

static void quadratic_value(const HjHamiltonian *H, const HjRow *row, const double *const p[3], double *restrict out) {
  for (PetscInt i = 0; i < row->n; ++i) out[i] = 0.5 * p[0][i] * p[0][i];
  for (int d = 1; d < H->dim; ++d)
    for (PetscInt i = 0; i < row->n; ++i) out[i] += 0.5 * p[d][i] * p[d][i];
}

static void quadratic_speeds(
  const HjHamiltonian *H, const HjRow *row, const double *const lo[3], const double *const hi[3], double *const a[3]) {
  for (int d = 0; d < H->dim; ++d) {
    double *restrict o = a[d];
    for (PetscInt i = 0; i < row->n; ++i) o[i] = max2(-lo[d][i], hi[d][i]);
  }
}

static void quadratic_slope(const HjHamiltonian *H, const HjRow *row, int d, const double *const p[3], double *out) {
  (void)H;
  memcpy(out, p[d], sizeof(double) * (size_t)row->n);
}

/* ---- eikonal: F(x,t) |p| ---- */

void HjSpeedRow(const HjHamiltonian *H, const HjRow *row, double *F) {
  const HcExprArg args[4] = {{row->x, 1}, {&row->y, 0}, {&row->z, 0}, {&row->t, 0}};
  HcExprEval(H->speed, (size_t)row->n, args, F);
}

static void eikonal_value(const HjHamiltonian *H, const HjRow *row, const double *const p[3], double *restrict out) {
  for (PetscInt i = 0; i < row->n; ++i) out[i] = p[0][i] * p[0][i];
  for (int d = 1; d < H->dim; ++d)
    for (PetscInt i = 0; i < row->n; ++i) out[i] += p[d][i] * p[d][i];
  for (PetscInt i = 0; i < row->n; ++i) out[i] = sqrt(out[i]);
  if (H->speed) {
    double F[HJ_ROW];
    HjSpeedRow(H, row, F);
    for (PetscInt i = 0; i < row->n; ++i) out[i] *= F[i];
  }
}

/* |p_d| / |p| grows with |p_d| and falls with the others. */
static void eikonal_speeds(
  const HjHamiltonian *H, const HjRow *row, const double *const lo[3], const double *const hi[3], double *const a[3]) {
  double least[3][HJ_ROW], F[HJ_ROW];
  for (int d = 0; d < H->dim; ++d)
    for (PetscInt i = 0; i < row->n; ++i) {
      const double m = max2(max2(lo[d][i], -hi[d][i]), 0);
      least[d][i] = m * m;
    }
  if (H->speed) HjSpeedRow(H, row, F);
  for (int d = 0; d < H->dim; ++d) {
    const int e = (d + 1) % H->dim, f = (d + 2) % H->dim;
    const double we = H->dim > 1 ? 1 : 0, wf = H->dim > 2 ? 1 : 0;
    for (PetscInt i = 0; i < row->n; ++i) {
      const double m = max2(hi[d][i], -lo[d][i]), others = we * least[e][i] + wf * least[f][i];
      a[d][i] = others > 0 ? m / sqrt(m * m + others) : 1;
    }
    if (H->speed)
      for (PetscInt i = 0; i < row->n; ++i) a[d][i] *= fabs(F[i]);
  }
}

/* F^2 p_d / H */
static void eikonal_slope(const HjHamiltonian *H, const HjRow *row, int d, const double *const p[3], double *out) {
  double F[HJ_ROW];
  eikonal_value(H, row, p, out);
  if (H->speed) HjSpeedRow(H, row, F);
  for (PetscInt i = 0; i < row->n; ++i) {
    const double f = H->speed ? F[i] : 1;
    out[i] = out[i] != 0 ? f * f * p[d][i] / out[i] : 0;
  }
}

/* ---- control: sin(y) px + (sin x + sign py) py - sin^2(y)/2 - (1 - cos x) (Osher & Shu 1991) ---- */

static void control_value(const HjHamiltonian *H, const HjRow *row, const double *const p[3], double *out) {
  const double s = sin(row->y);
  (void)H;
  for (PetscInt i = 0; i < row->n; ++i)
    out[i] = s * p[0][i] + sin(row->x[i]) * p[1][i] + fabs(p[1][i]) - 0.5 * s * s - (1 - cos(row->x[i]));
}

static void control_speeds(
  const HjHamiltonian *H, const HjRow *row, const double *const lo[3], const double *const hi[3], double *const a[3]) {
  const double s = fabs(sin(row->y));
  (void)H;
  for (PetscInt i = 0; i < row->n; ++i) {
    const double c = sin(row->x[i]);
    a[0][i] = s;
    a[1][i] = max2(lo[1][i] > 0 ? 0 : fabs(c - 1), hi[1][i] < 0 ? 0 : fabs(c + 1));
  }
}

static void control_slope(const HjHamiltonian *H, const HjRow *row, int d, const double *const p[3], double *out) {
  (void)H;
  for (PetscInt i = 0; i < row->n; ++i) out[i] = d == 0 ? sin(row->y) : sin(row->x[i]) + (p[1][i] > 0) - (p[1][i] < 0);
}

const HjKind HjKinds[] = {
  {"burgers", "(sum of p_i + 1)^2 / 2", {"(px+1)^2/2", "(px+py+1)^2/2", "(px+py+pz+1)^2/2"},
    {HJ_GODUNOV_CONVEX, HJ_GODUNOV_NONE, HJ_GODUNOV_NONE}, PETSC_FALSE, burgers_value, burgers_speeds, burgers_slope},
  {"cosine", "-cos(sum of p_i + 1), nonconvex", {"-cos(px+1)", "-cos(px+py+1)", "-cos(px+py+pz+1)"}, {HJ_GODUNOV_NONE},
    PETSC_FALSE, cosine_value, cosine_speeds, cosine_slope},
  {"riemann2d", "sin(px + py), nonconvex, 2D", {NULL, "sin(px+py)", NULL}, {HJ_GODUNOV_NONE}, PETSC_FALSE, riemann_value,
    riemann_speeds, riemann_slope},
  {"eikonal", "hj_speed times |p|", {"sqrt(px^2)", "sqrt(px^2+py^2)", "sqrt(px^2+py^2+pz^2)"},
    {HJ_GODUNOV_INCREASING, HJ_GODUNOV_INCREASING, HJ_GODUNOV_INCREASING}, PETSC_TRUE, eikonal_value, eikonal_speeds,
    eikonal_slope},
  {"quadratic", "|p|^2 / 2", {"px^2/2", "(px^2+py^2)/2", "(px^2+py^2+pz^2)/2"},
    {HJ_GODUNOV_CONVEX, HJ_GODUNOV_CONVEX, HJ_GODUNOV_CONVEX}, PETSC_FALSE, quadratic_value, quadratic_speeds, quadratic_slope},
  {"control", "sin(y) px + sin(x) py + |py| - sin(y)^2/2 - (1 - cos(x)), 2D",
    {NULL, "sin(y)*px + sin(x)*py + abs(py) - sin(y)^2/2 - (1-cos(x))", NULL},
    {HJ_GODUNOV_NONE, HJ_GODUNOV_CONVEX, HJ_GODUNOV_NONE}, PETSC_TRUE, control_value, control_speeds, control_slope},
  {.name = NULL},
};

const HjKind *HjKindFind(const char *name) {
  for (const HjKind *k = HjKinds; k->name; ++k)
    if (!strcmp(k->name, name)) return k;
  return NULL;
}

int HjHamiltonianCreate(const char *text, const char *speed, int dim, const HjRange *range, HjHamiltonian *H, char *error) {
  const HjKind *kind = HjKindFind(text);
  memset(H, 0, sizeof *H);
  H->dim = dim;
  error[0] = 0;
  if (!kind) return HjFormulaCreate(text, range, H, error);
  H->kind = kind;
  if (!kind->formula[dim - 1]) {
    snprintf(error, 256, "this Hamiltonian does not exist in %d dimension%s", dim, dim > 1 ? "s" : "");
    return 1;
  }
  H->godunov = kind->godunov[dim - 1];
  snprintf(H->why_not, sizeof H->why_not,
    "'%s' is neither a sum of convex functions of single derivatives nor increasing in each |p| in %dD", text, dim);
  H->uses_space = kind->uses_space;
  if (speed[0]) {
    double value;
    if (HcExprParse(speed, 4, HjVariables, &H->speed, error)) return 1;
    H->uses_time = HcExprUses(H->speed, 3) ? PETSC_TRUE : PETSC_FALSE;
    if (HcExprIsConstant(H->speed, &value)) H->uses_space = PETSC_FALSE;
    if (HcExprIsConstant(H->speed, &value) && value == 1) HcExprDestroy(&H->speed), H->speed = NULL;
  }
  return 0;
}

void HjHamiltonianDestroy(HjHamiltonian *H) {
  HcExprDestroy(&H->speed);
  HcExprDestroy(&H->value);
  for (int d = 0; d < 3; ++d) HcExprDestroy(&H->slope[d]);
  memset(H, 0, sizeof *H);
}
