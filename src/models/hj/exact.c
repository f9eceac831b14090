/*
 * Reference solutions: a formula in x,y,z,t, or made from phi0 and H,
 *
 * characteristics (H = H(p), any dimension, while no two of them meet): with p0 = grad phi0(q) and x = q + t H_p(p0),
 *   phi(x,t) = phi0(q) + t (p0 . H_p(p0) - H(p0));
 * Hopf-Lax (H convex, along a line of direction e; also after kinks), the viscosity solution
 *   phi(x,t) = min over a of phi0(x - t a e) + t L(a),
 * with L(a) = a^2/2 - a, e = (1,..,1) for `burgers`; L = a^2/2 for `quadratic` and L = 0, |a| <= 1 for `eikonal` in 1D.
 */
#include "hj.h"
#include <math.h>
#include <string.h>

enum { SAMPLES = 129, ROUNDS = 60, CANDIDATES = 2, TIME_PARTS = 8, NEWTON = 40 };

/* phi0 or a derivative of it. */
static double of_point(HcExpr e, const double x[3]) {
  const double v[4] = {x[0], x[1], x[2], 0};
  return HcExprEvalPoint(e, v);
}

static double of_slope(HcExpr e, const double p[3]) {
  const double v[HJ_VARIABLES] = {0, 0, 0, 0, p[0], p[1], p[2]};
  return HcExprEvalPoint(e, v);
}

/* Solve A y = b for dim <= 3 by Gauss with pivoting; returns det A. */
static double solve_small(int n, double A[3][3], double b[3]) {
  double det = 1;
  for (int c = 0; c < n; ++c) {
    int best = c;
    for (int r = c + 1; r < n; ++r)
      if (fabs(A[r][c]) > fabs(A[best][c])) best = r;
    if (A[best][c] == 0) return 0;
    if (best != c) {
      double row[3];
      memcpy(row, A[c], sizeof row), memcpy(A[c], A[best], sizeof row), memcpy(A[best], row, sizeof row);
      const double s = b[c];
      b[c] = b[best], b[best] = s, det = -det;
    }
    det *= A[c][c];
    for (int r = c + 1; r < n; ++r) {
      const double f = A[r][c] / A[c][c];
      for (int q = c; q < n; ++q) A[r][q] -= f * A[c][q];
      b[r] -= f * b[c];
    }
  }
  for (int r = n - 1; r >= 0; --r) {
    for (int q = r + 1; q < n; ++q) b[r] -= A[r][q] * b[q];
    b[r] /= A[r][r];
  }
  return det;
}

/* The map from feet to places, q -> q + s H_p(grad phi0(q)), has the Jacobian I + s H_pp Hess phi0 = I + s M. */
static void jacobian(const HjExact *E, int dim, const double q[3], const double p[3], double M[3][3]) {
  double C[3][3], D[3][3];
  for (int d = 0; d < dim; ++d)
    for (int e = 0; e < dim; ++e) C[d][e] = of_slope(E->curvature[d][e], p), D[d][e] = of_point(E->hessian[d][e], q);
  for (int d = 0; d < dim; ++d)
    for (int e = 0; e < dim; ++e) {
      M[d][e] = 0;
      for (int m = 0; m < dim; ++m) M[d][e] += C[d][m] * D[m][e];
    }
}

static double solve_step(int dim, double s, double M[3][3], double r[3]) {
  double A[3][3];
  for (int d = 0; d < dim; ++d)
    for (int e = 0; e < dim; ++e) A[d][e] = (d == e) + s * M[d][e];
  return solve_small(dim, A, r);
}

/* Has the map folded at the foot q by time t? */
static int folded(const HjExact *E, int dim, const double q[3], double t) {
  double M[3][3], p[3] = {0};
  for (int d = 0; d < dim; ++d) p[d] = of_point(E->gradient[d], q);
  jacobian(E, dim, q, p, M);
  for (int part = 1; part <= TIME_PARTS; ++part) {
    double r[3] = {0};
    if (!(solve_step(dim, t * part / TIME_PARTS, M, r) > 0)) return 1;
  }
  return 0;
}

/* Newton for the foot q of the characteristic that is at x at time t. */
static int find_foot(const HjExact *E, int dim, const double x[3], double t, double q[3]) {
  for (int it = 0; it < NEWTON; ++it) {
    double M[3][3], p[3] = {0}, r[3] = {0}, moved = 0;
    for (int d = 0; d < dim; ++d) p[d] = of_point(E->gradient[d], q);
    for (int d = 0; d < dim; ++d) r[d] = x[d] - q[d] - t * of_slope(E->slope[d], p);
    jacobian(E, dim, q, p, M);
    if (!(solve_step(dim, t, M, r) > 0)) return 0;
    for (int d = 0; d < dim; ++d) q[d] += r[d], moved = fmax(moved, fabs(r[d]) / (1 + fabs(q[d])));
    if (moved < 1e-12) return 1;
  }
  return 0;
}

/* NaN where characteristics have met: tested at each cell as a foot, so that no branch is taken for the solution. */
static double characteristic(const HjExact *E, int dim, const double x[3], double t) {
  double q[3] = {x[0], x[1], x[2]}, p[3] = {0};
  if (folded(E, dim, x, t)) return NAN;
  if (!find_foot(E, dim, x, t, q)) {
    memcpy(q, x, sizeof q);
    for (int part = 1; part <= TIME_PARTS; ++part)
      if (!find_foot(E, dim, x, t * part / TIME_PARTS, q)) return NAN;
  }
  for (int d = 0; d < dim; ++d) p[d] = of_point(E->gradient[d], q);
  double phi = of_point(E->formula, q) - t * of_slope(E->hamiltonian, p);
  for (int d = 0; d < dim; ++d) phi += t * p[d] * of_slope(E->slope[d], p);
  return phi;
}

/* ---- Hopf-Lax ---- */

typedef struct {
  const HjExact *E;
  int dim;
  double t, linear, square, least, most; /* L(a) = square a^2 + linear a on [least, most] */
} Line;

static Line line_of(Hj hj, double t) {
  Line l = {.E = &hj->exact, .dim = (int)hj->grid->dim, .t = t, .square = 0.5};
  const char *name = hj->H.kind->name;
  /* Below the minimum of L by more than spread / t, phi0 cannot win it back. */
  const double reach = sqrt(2 * hj->exact.spread / t) + 1e-3;
  l.least = -reach, l.most = reach;
  if (!strcmp(name, "burgers")) l.linear = -1, l.least += 1, l.most += 1;
  if (!strcmp(name, "eikonal")) l.square = 0, l.least = -1, l.most = 1;
  return l;
}

/* The function to be minimised at n values a0 + i da. */
static void along(const Line *l, const double x[3], int n, double a0, double da, double *out) {
  double at[3][SAMPLES], zero = 0;
  HcExprArg args[4] = {{&x[0], 0}, {&x[1], 0}, {&x[2], 0}, {&zero, 0}};
  for (int d = 0; d < l->dim; ++d) {
    for (int i = 0; i < n; ++i) at[d][i] = x[d] - l->t * (a0 + i * da);
    args[d] = (HcExprArg){at[d], 1};
  }
  HcExprEval(l->E->formula, (size_t)n, args, out);
  for (int i = 0; i < n; ++i) {
    const double a = a0 + i * da;
    out[i] += l->t * a * (l->square * a + l->linear);
  }
}

static int lowest(int n, const double *v) {
  int k = 0;
  for (int i = 1; i < n; ++i)
    if (v[i] < v[k]) k = i;
  return k;
}

static double along_point(const Line *l, const double x[3], double a) {
  const double at[3] = {x[0] - l->t * a, l->dim > 1 ? x[1] - l->t * a : x[1], l->dim > 2 ? x[2] - l->t * a : x[2]};
  return of_point(l->E->formula, at) + l->t * a * (l->square * a + l->linear);
}

/* The least value between lo and hi about the lower point a with value v: parabolas, and golden sections where these do
 * not help (Brent, Algorithms for Minimization without Derivatives, 1973, ch. 5). */
static double minimum_between(const Line *l, const double x[3], double lo, double hi, double a, double v) {
  const double golden = 0.3819660112501051;
  double w = a, u = a, vw = v, vu = v, step = 0, last = hi - lo;
  for (int it = 0; it < ROUNDS; ++it) {
    const double middle = 0.5 * (lo + hi), tol = 1e-9 * (1 + fabs(a));
    if (fabs(a - middle) <= 2 * tol - 0.5 * (hi - lo)) break;
    double r = (a - w) * (v - vu), q = (a - u) * (v - vw), p = (a - u) * q - (a - w) * r;
    q = 2 * (q - r);
    if (q > 0) p = -p;
    q = fabs(q);
    if (fabs(last) > tol && fabs(p) < fabs(0.5 * q * last) && p > q * (lo - a) && p < q * (hi - a)) {
      last = step;
      step = p / q;
    } else {
      last = a < middle ? hi - a : lo - a;
      step = golden * last;
    }
    const double b = a + (fabs(step) >= tol ? step : step > 0 ? tol : -tol), vb = along_point(l, x, b);
    if (vb <= v) {
      if (b < a)
        hi = a;
      else
        lo = a;
      u = w, vu = vw, w = a, vw = v, a = b, v = vb;
    } else {
      if (b < a)
        lo = b;
      else
        hi = b;
      if (vb <= vw || w == a)
        u = w, vu = vw, w = b, vw = vb;
      else if (vb <= vu || u == a || u == w)
        u = b, vu = vb;
    }
  }
  return v;
}

/* Samples, then the minimum in the lowest few valleys. Within 1e-9 of its place the value is as exact as phi0. */
static double hopf_lax(const Line *l, const double x[3]) {
  const double da = (l->most - l->least) / (SAMPLES - 1);
  double v[SAMPLES], best = INFINITY;
  along(l, x, SAMPLES, l->least, da, v);
  for (int c = 0; c < CANDIDATES; ++c) {
    const int k = lowest(SAMPLES, v);
    const double a = l->least + da * k;
    if (v[k] == INFINITY) break;
    best = fmin(best, minimum_between(l, x, fmax(a - da, l->least), fmin(a + da, l->most), a, v[k]));
    int left = k, right = k;
    while (left > 0 && v[left - 1] >= v[left]) --left;
    while (right < SAMPLES - 1 && v[right + 1] >= v[right]) ++right;
    for (int i = left; i <= right; ++i) v[i] = INFINITY;
  }
  return best;
}

PetscErrorCode HjExactError(Hj hj, double t, HcField phi, HcField error) {
  HcGrid g = hj->grid;
  const HjExact *E = &hj->exact;
  PetscFunctionBeginUser;
  const Line line = t > 0 && E->kind == HJ_EXACT_HOPF_LAX ? line_of(hj, t) : (Line){0};
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j) {
      double *out = error->c[0] + j * error->stride[1] + k * error->stride[2];
      const double *f = phi->c[0] + j * phi->stride[1] + k * phi->stride[2];
      const double y = HcGridCentre(g, 1, j), z = HcGridCentre(g, 2, k);
      const HcExprArg args[4] = {{hj->x, 1}, {&y, 0}, {&z, 0}, {&t, 0}};
      if (E->kind == HJ_EXACT_FORMULA || t == 0) {
        HcExprEval(E->formula, (size_t)g->n[0], args, out);
      } else {
        for (PetscInt i = 0; i < g->n[0]; ++i) {
          const double x[3] = {hj->x[i], y, z};
          out[i] = E->kind == HJ_EXACT_HOPF_LAX ? hopf_lax(&line, x) : characteristic(E, (int)g->dim, x, t);
        }
      }
      for (PetscInt i = 0; i < g->n[0]; ++i) out[i] = fabs(out[i] - f[i]);
    }
  PetscFunctionReturn(0);
}

/* phi0 as a formula, which both constructions need. */
static PetscErrorCode read_initial(Hj hj, HcExpr *initial) {
  HcOptions opts = HcRunOptions(hj->run);
  const char *text;
  char error[256];
  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetText(opts, "hj_initial", &text));
  if (HcExprParse(text, 4, HjVariables, initial, error))
    PetscCall(HcOptionsFail(opts, "hj_exact", "hj_initial must be a formula for this"));
  PetscFunctionReturn(0);
}

static PetscErrorCode prepare_characteristics(Hj hj) {
  HcOptions opts = HcRunOptions(hj->run);
  HjExact *E = &hj->exact;
  const char *text;
  char error[256];
  const int dim = (int)hj->grid->dim;
  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetText(opts, "hj_hamiltonian", &text));
  if (hj->H.kind != &HjFormula) text = hj->H.kind->formula[dim - 1];
  if (HcExprParse(text, HJ_VARIABLES, HjVariables, &E->hamiltonian, error))
    PetscCall(HcOptionsFail(opts, "hj_hamiltonian", "%s", error));
  for (int q = 0; q < 4; ++q)
    if (HcExprUses(E->hamiltonian, q) || hj->H.speed || hj->viscosity > 0)
      PetscCall(HcOptionsFail(
        opts, "hj_exact", "characteristics are straight only where H depends on the derivatives alone and hj_viscosity is 0"));
  for (int d = 0; d < dim; ++d) {
    E->gradient[d] = HcExprDerivative(E->formula, d);
    E->slope[d] = HcExprDerivative(E->hamiltonian, 4 + d);
    for (int e = 0; e < dim; ++e) {
      E->hessian[d][e] = HcExprDerivative(E->gradient[d], e);
      E->curvature[d][e] = HcExprDerivative(E->slope[d], 4 + e);
    }
  }
  PetscFunctionReturn(0);
}

PetscErrorCode HjExactCreate(Hj hj) {
  HcOptions opts = HcRunOptions(hj->run);
  HjExact *E = &hj->exact;
  const char *text;
  char error[256];
  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetText(opts, "hj_exact", &text));
  if (!text[0] || !strcmp(text, "none")) PetscFunctionReturn(0);
  if (!strcmp(text, "characteristics")) {
    E->kind = HJ_EXACT_CHARACTERISTICS;
    PetscCall(read_initial(hj, &E->formula));
    PetscCall(prepare_characteristics(hj));
  } else if (!strcmp(text, "hopf_lax")) {
    const char *name = hj->H.kind->name;
    E->kind = HJ_EXACT_HOPF_LAX;
    if (hj->H.speed || hj->viscosity > 0 ||
        !(!strcmp(name, "burgers") || (hj->grid->dim == 1 && (!strcmp(name, "quadratic") || !strcmp(name, "eikonal")))))
      PetscCall(HcOptionsFail(
        opts, "hj_exact", "hopf_lax is for `burgers`, and in 1D for `quadratic` and `eikonal` with speed 1, without viscosity"));
    PetscCall(read_initial(hj, &E->formula));
  } else {
    E->kind = HJ_EXACT_FORMULA;
    if (HcExprParse(text, 4, HjVariables, &E->formula, error))
      PetscCall(HcOptionsFail(opts, "hj_exact", "%s (nor is it `hopf_lax`, `characteristics` or `none`)", error));
  }
  PetscFunctionReturn(0);
}

void HjExactDestroy(HjExact *E) {
  HcExprDestroy(&E->formula);
  HcExprDestroy(&E->hamiltonian);
  for (int d = 0; d < 3; ++d) {
    HcExprDestroy(&E->gradient[d]);
    HcExprDestroy(&E->slope[d]);
    for (int e = 0; e < 3; ++e) HcExprDestroy(&E->hessian[d][e]), HcExprDestroy(&E->curvature[d][e]);
  }
}
