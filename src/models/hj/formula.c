/*
 * Hamiltonians given as a formula: speeds from bounds of the symbolic derivatives, Godunov's conditions from bounds of the
 * second ones.
 */
#include "hamiltonian.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { P = 4 }; /* index of px among HjVariables */

/* Godunov's conditions are tested for derivatives up to this size. */
#define SLOPE_MAX 1e4
#define OCTAVES 40 /* down to SLOPE_MAX 2^-40 = 1e-8 */
#define PARTS 4    /* of an octave */

static void row_args(const HjHamiltonian *H, const HjRow *row, const double *const p[3], HcExprArg args[HJ_VARIABLES]) {
  args[0] = (HcExprArg){row->x, 1};
  args[1] = (HcExprArg){&row->y, 0};
  args[2] = (HcExprArg){&row->z, 0};
  args[3] = (HcExprArg){&row->t, 0};
  for (int d = 0; d < 3; ++d) args[P + d] = (HcExprArg){d < H->dim ? p[d] : NULL, 1};
}

static void formula_value(const HjHamiltonian *H, const HjRow *row, const double *const p[3], double *out) {
  HcExprArg args[HJ_VARIABLES];
  row_args(H, row, p, args);
  HcExprEval(H->value, (size_t)row->n, args, out);
}

static void formula_slope(const HjHamiltonian *H, const HjRow *row, int d, const double *const p[3], double *out) {
  HcExprArg args[HJ_VARIABLES];
  row_args(H, row, p, args);
  HcExprEval(H->slope[d], (size_t)row->n, args, out);
}

/* Where interval arithmetic gives no bound (a quotient whose two sides vanish together), the largest |dH/dp_d| among
 * 5^dim points of the box, times 1.5. The points avoid the box's middle and are spread over at least 1e-8, so that a removable
 * singularity is not hit. */
static double sampled_speed(
  const HjHamiltonian *H, int d, const double at[HJ_VARIABLES], const double lo[3], const double hi[3]) {
  static const double where[5] = {-1, -0.43, 0.11, 0.57, 1};
  double v[HJ_VARIABLES], most = 0;
  int points = 1;
  memcpy(v, at, sizeof v);
  for (int e = 0; e < H->dim; ++e) points *= 5;
  for (int q = 0; q < points; ++q) {
    for (int e = 0, r = q; e < H->dim; ++e, r /= 5) {
      const double middle = 0.5 * (lo[e] + hi[e]), half = fmax(0.5 * (hi[e] - lo[e]), 1e-8 * (1 + fabs(middle)));
      v[P + e] = middle + where[r % 5] * half;
    }
    const double s = fabs(HcExprEvalPoint(H->slope[d], v));
    if (s > most && s < INFINITY) most = s;
  }
  return 1.5 * most;
}

static void formula_speeds(
  const HjHamiltonian *H, const HjRow *row, const double *const lo[3], const double *const hi[3], double *const a[3]) {
  HcExprArg l[HJ_VARIABLES], h[HJ_VARIABLES];
  double least[HJ_ROW], most[HJ_ROW], constant;
  row_args(H, row, lo, l);
  row_args(H, row, hi, h);
  for (int d = 0; d < H->dim; ++d) {
    if (HcExprIsConstant(H->slope[d], &constant)) {
      for (PetscInt i = 0; i < row->n; ++i) a[d][i] = fabs(constant);
      continue;
    }
    HcExprBounds(H->slope[d], (size_t)row->n, l, h, least, most);
    for (PetscInt i = 0; i < row->n; ++i) {
      const double s = -least[i] > most[i] ? -least[i] : most[i];
      if (s < INFINITY) {
        a[d][i] = s;
      } else {
        double at[HJ_VARIABLES] = {row->x[i], row->y, row->z, row->t}, pl[3] = {0}, ph[3] = {0};
        for (int e = 0; e < H->dim; ++e) pl[e] = lo[e][i], ph[e] = hi[e][i];
        a[d][i] = sampled_speed(H, d, at, pl, ph);
      }
    }
  }
}

const HjKind HjFormula = {.name = "formula", .value = formula_value, .speeds = formula_speeds, .slope = formula_slope};

/* Bounds of an expression with p_d in [from, to], the other derivatives anywhere, and all of space and time. */
static void bounds_over(
  HcExpr e, const HjHamiltonian *H, const HjRange *range, int d, double from, double to, double *lo, double *hi) {
  double l[HJ_VARIABLES], h[HJ_VARIABLES];
  HcExprArg al[HJ_VARIABLES], ah[HJ_VARIABLES];
  for (int q = 0; q < 3; ++q) {
    l[q] = range->lower[q], h[q] = range->upper[q];
    l[P + q] = q < H->dim ? -SLOPE_MAX : 0, h[P + q] = q < H->dim ? SLOPE_MAX : 0;
  }
  l[3] = 0, h[3] = range->end;
  l[P + d] = from, h[P + d] = to;
  for (int q = 0; q < HJ_VARIABLES; ++q) al[q] = (HcExprArg){&l[q], 0}, ah[q] = (HcExprArg){&h[q], 0};
  HcExprBounds(e, 1, al, ah, lo, hi);
}

/* Is sign(p_d)^mirror * e >= 0 for 1e-8 <= |p_d| <= SLOPE_MAX ? Tested on intervals short enough that the bounds are sharp. */
static int nonnegative(HcExpr e, const HjHamiltonian *H, const HjRange *range, int d, int mirror) {
  double lo, hi;
  for (int k = 0; k < OCTAVES * PARTS; ++k) {
    const double from = SLOPE_MAX * exp2(-(k + 1.0) / PARTS), to = SLOPE_MAX * exp2(-(double)k / PARTS);
    bounds_over(e, H, range, d, from, to, &lo, &hi);
    if (!(lo >= 0)) return 0;
    bounds_over(e, H, range, d, -to, -from, &lo, &hi);
    if (mirror ? !(hi <= 0) : !(lo >= 0)) return 0;
  }
  return 1;
}

/* The symbolic second derivative misses jumps of the first one (of |p|, min, max, ?:): look for downward ones at points. */
static int rises(HcExpr slope, const HjRange *range, int d) {
  for (int corner = 0; corner < 16; ++corner) {
    double v[HJ_VARIABLES] = {0}, last = -INFINITY;
    for (int q = 0; q < 3; ++q) v[q] = range->lower[q] + (corner >> q & 1 ? 0.618 : 0.271) * (range->upper[q] - range->lower[q]);
    v[3] = corner & 8 ? range->end : 0;
    for (int k = -OCTAVES * PARTS; k <= OCTAVES * PARTS; ++k) {
      v[P + d] = k == 0  ? 0
                 : k < 0 ? -SLOPE_MAX * exp2(-(k + (double)OCTAVES * PARTS) / PARTS)
                         : SLOPE_MAX * exp2((k - (double)OCTAVES * PARTS) / PARTS);
      const double s = HcExprEvalPoint(slope, v);
      if (isnan(s)) continue;
      if (s < last - 1e-12 * fabs(last)) return 0;
      last = s;
    }
  }
  return 1;
}

static void classify(HjHamiltonian *H, const HjRange *range) {
  int increasing = 1, convex = 1;
  H->godunov = HJ_GODUNOV_NONE;
  for (int d = 0; d < H->dim && increasing; ++d) increasing = nonnegative(H->slope[d], H, range, d, 1);
  if (increasing) {
    H->godunov = HJ_GODUNOV_INCREASING;
    return;
  }
  for (int d = 0; d < H->dim; ++d)
    for (int e = 0; e < H->dim; ++e)
      if (e != d && HcExprUses(H->slope[d], P + e)) {
        snprintf(H->why_not, sizeof H->why_not,
          "it cannot be shown to increase with each |p|, and it is no sum of functions of single derivatives (dH/d%s depends on "
          "%s)",
          HjVariables[P + d], HjVariables[P + e]);
        return;
      }
  for (int d = 0; d < H->dim && convex; ++d) {
    HcExpr second = HcExprDerivative(H->slope[d], P + d);
    convex = nonnegative(second, H, range, d, 0) && rises(H->slope[d], range, d);
    HcExprDestroy(&second);
    if (!convex)
      snprintf(H->why_not, sizeof H->why_not, "it cannot be shown to be convex in %s, nor to increase with each |p|",
        HjVariables[P + d]);
  }
  if (convex) H->godunov = HJ_GODUNOV_CONVEX;
}

int HjFormulaCreate(const char *text, const HjRange *range, HjHamiltonian *H, char *error) {
  H->kind = &HjFormula;
  if (HcExprParse(text, HJ_VARIABLES, HjVariables, &H->value, error)) return 1;
  for (int d = H->dim; d < 3; ++d)
    if (HcExprUses(H->value, P + d) || HcExprUses(H->value, d)) {
      snprintf(error, 256, "'%s' does not exist in %d dimension%s", HjVariables[HcExprUses(H->value, P + d) ? P + d : d], H->dim,
        H->dim > 1 ? "s" : "");
      return 1;
    }
  for (int d = 0; d < H->dim; ++d) {
    H->slope[d] = HcExprDerivative(H->value, P + d);
    for (int q = 0; q < 3; ++q)
      if (HcExprUses(H->slope[d], q)) H->uses_space = PETSC_TRUE;
    if (HcExprUses(H->slope[d], 3)) H->uses_time = PETSC_TRUE;
  }
  classify(H, range);
  return 0;
}
