/*
 * Interval arithmetic (Moore, Interval Analysis, 1966): bounds of each operation from bounds of its arguments.
 *
 * Operands are treated as independent, so a formula that uses a variable twice may be overestimated (x*(1-x) over [0,1] gives
 * [0,1], not [0,1/4]); even powers, norms a^2+b^2+..., and a/|(a,b,...)| are single operations and exact. Results are
 * widened by a few rounding errors, except that an exact 0 stays 0. Places where the formula is not a number are left out.
 */
#include "expression_tree.h"
#include <float.h>
#include <math.h>

/* One rounding of the exactly rounded operations; a few for library functions (glibc documents at most 4 ulp for these). */
#define ROUNDING (1.0 * DBL_EPSILON)
#define LIBRARY (8.0 * DBL_EPSILON)

/* An overflow to +inf is no lower bound, and neither is a NaN from inf - inf. */
static inline double below(double x, double relative) {
  const double w = x - fabs(x) * relative;
  return w <= DBL_MAX ? w : x > DBL_MAX ? DBL_MAX : -INFINITY;
}

static inline double above(double x, double relative) {
  const double w = x + fabs(x) * relative;
  return w >= -DBL_MAX ? w : x < -DBL_MAX ? -DBL_MAX : INFINITY;
}

static inline double least(double a, double b) { return a < b ? a : b; }
static inline double most(double a, double b) { return a > b ? a : b; }

typedef struct {
  double lo, hi;
} Interval;

static const Interval EVERYTHING = {-INFINITY, INFINITY};

static inline Interval widened(double lo, double hi, double relative) {
  return (Interval){below(lo, relative), above(hi, relative)};
}

static inline Interval clipped(Interval v, double lo, double hi) {
  return (Interval){v.lo > lo ? v.lo : lo, v.hi < hi ? v.hi : hi};
}

/* An infinite end stands for arbitrarily large numbers: 0 times it is 0, and any number over it comes as near to 0 as one likes.
 */
static inline double end_product(double a, double b) { return a == 0. || b == 0. ? 0. : a * b; }
static inline double end_quotient(double a, double b) { return fabs(b) > DBL_MAX ? 0. : a / b; }

static inline Interval times(Interval a, Interval b) {
  const double p = end_product(a.lo, b.lo), q = end_product(a.lo, b.hi), r = end_product(a.hi, b.lo), s = end_product(a.hi, b.hi);
  return widened(least(least(p, q), least(r, s)), most(most(p, q), most(r, s)), ROUNDING);
}

static inline Interval over(Interval a, Interval b) {
  const double p = end_quotient(a.lo, b.lo), q = end_quotient(a.lo, b.hi), r = end_quotient(a.hi, b.lo),
               s = end_quotient(a.hi, b.hi);
  double lo = least(least(p, q), least(r, s)), hi = most(most(p, q), most(r, s));
  if (b.lo <= 0. && b.hi >= 0.) { /* one-sided where the denominator touches 0 from one side only */
    const int above_zero = b.lo == 0. && b.hi > 0., below_zero = b.hi == 0. && b.lo < 0.;
    lo = above_zero && a.lo >= 0. ? q : below_zero && a.hi <= 0. ? r : -INFINITY;
    hi = above_zero && a.hi <= 0. ? s : below_zero && a.lo >= 0. ? p : INFINITY;
  }
  return widened(lo, hi, ROUNDING);
}

/* |x| over the interval */
static inline Interval magnitude(Interval a) { return (Interval){a.lo > 0. ? a.lo : a.hi < 0. ? -a.hi : 0., most(-a.lo, a.hi)}; }

static inline Interval square(Interval a) {
  a = magnitude(a);
  return widened(a.lo * a.lo, a.hi * a.hi, ROUNDING);
}

static double power_of(double x, int power) {
  double y = x;
  for (int bit = 30 - __builtin_clz((unsigned)power); bit >= 0; --bit) {
    y *= y;
    if (power >> bit & 1) y *= x;
  }
  return y;
}

static Interval integer_power(Interval a, int power) {
  const double relative = power * ROUNDING;
  if (power % 2 == 0) a = magnitude(a);
  return widened(power_of(a.lo, power), power_of(a.hi, power), relative);
}

/* Does [lo, hi] hold offset + k period? Answers yes when rounding leaves it open. */
static int holds_multiple(double lo, double hi, double offset, double period) {
  const double slack = 1e-15 * (1. + most(fabs(lo), fabs(hi)));
  return floor((hi + slack - offset) / period) >= ceil((lo - slack - offset) / period);
}

/* cosine of x - shift by its extrema; f is the function itself */
static Interval wave(Interval a, double (*f)(double), double shift) {
  Interval r = {-1., 1.};
  double p, q;
  if (!(a.hi - a.lo < 2. * M_PI) || most(fabs(a.lo), fabs(a.hi)) > 1e8) return r;
  p = f(a.lo);
  q = f(a.hi);
  if (!holds_multiple(a.lo, a.hi, shift, 2. * M_PI)) r.hi = above(most(p, q), LIBRARY);
  if (!holds_multiple(a.lo, a.hi, shift + M_PI, 2. * M_PI)) r.lo = below(least(p, q), LIBRARY);
  return clipped(r, -1., 1.);
}

static Interval tangent(Interval a) {
  if (!(a.hi - a.lo < M_PI) || most(fabs(a.lo), fabs(a.hi)) > 1e8 || holds_multiple(a.lo, a.hi, M_PI_2, M_PI)) return EVERYTHING;
  return widened(tan(a.lo), tan(a.hi), LIBRARY);
}

static Interval increasing(Interval a, double (*f)(double), double relative) { return widened(f(a.lo), f(a.hi), relative); }

/* An increasing function of the part of the interval in its domain [lo, hi]. */
static Interval increasing_on(Interval a, double lo, double hi, double (*f)(double)) {
  a = clipped(a, lo, hi);
  return a.lo <= a.hi ? increasing(a, f, LIBRARY) : EVERYTHING;
}

static Interval arc_cosine(Interval a) {
  a = clipped(a, -1., 1.);
  return a.lo <= a.hi ? widened(acos(a.hi), acos(a.lo), LIBRARY) : EVERYTHING;
}

static Interval hyperbolic_cosine(Interval a) {
  a = magnitude(a);
  return clipped(widened(cosh(a.lo), cosh(a.hi), LIBRARY), 1., INFINITY);
}

/* x^y is monotonic in each argument for x >= 0, so its extremes are at corners; for x < 0 it is a number only at integers y. */
static Interval power(Interval a, Interval b) {
  const int whole = b.lo == b.hi && b.lo == floor(b.lo);
  const Interval base = a.lo >= 0. ? a : b.lo == b.hi && !whole ? clipped(a, 0., INFINITY) : magnitude(a);
  const double p = pow(base.lo, b.lo), q = pow(base.lo, b.hi), r = pow(base.hi, b.lo), s = pow(base.hi, b.hi);
  Interval v = widened(least(least(p, q), least(r, s)), most(most(p, q), most(r, s)), LIBRARY);
  if (base.hi < base.lo) return EVERYTHING;
  if (a.lo < 0. && !(b.lo == b.hi && !whole)) v.lo = -v.hi;
  return v;
}

static Interval angle(Interval y, Interval x) {
  const double p = atan2(y.lo, x.lo), q = atan2(y.lo, x.hi), r = atan2(y.hi, x.lo), s = atan2(y.hi, x.hi);
  if (x.lo <= 0. && y.lo <= 0. && y.hi >= 0.) return (Interval){-above(M_PI, ROUNDING), above(M_PI, ROUNDING)}; /* the cut */
  return widened(least(least(p, q), least(r, s)), most(most(p, q), most(r, s)), LIBRARY);
}

/* 1, 0, or open: the interval [0, 1] */
static inline Interval truth(int yes, int no) { return (Interval){yes ? 1. : 0., no ? 0. : 1.}; }
static inline int surely(Interval a) { return a.lo > 0. || a.hi < 0.; }
static inline int never(Interval a) { return a.lo == 0. && a.hi == 0.; }

static Interval norm(int n, const Interval a[]) {
  double lo = 0., hi = 0.;
  for (int k = 0; k < n; ++k) {
    const Interval m = magnitude(a[k]);
    lo += m.lo * m.lo;
    hi += m.hi * m.hi;
  }
  return widened(sqrt(lo), sqrt(hi), (n + 2) * ROUNDING);
}

/* a/sqrt(a^2 + r^2) rises with a, falls with r for a > 0 and rises with r for a < 0 */
static inline double unit_end(double a, double r) {
  const double d = sqrt(a * a + r * r), q = fabs(a) > DBL_MAX ? (a > 0. ? 1. : -1.) : a / d;
  return a == 0. ? 0. : q > 1. ? 1. : q < -1. ? -1. : q;
}

static inline Interval unit_of_two(Interval x, Interval y) {
  const Interval r = magnitude(y);
  const double lo = unit_end(x.lo, x.lo > 0. ? r.hi : r.lo), hi = unit_end(x.hi, x.hi > 0. ? r.lo : r.hi);
  return clipped(widened(lo, hi, 8. * ROUNDING), -1., 1.);
}

static Interval unit(int n, const Interval a[]) { return unit_of_two(a[0], n == 2 ? a[1] : norm(n - 1, a + 1)); }

static double sign_of(double x) { return (x > 0.) - (x < 0.); }

#define EACH(value)                                                                                                              \
  for (size_t i = 0; i < n; ++i) {                                                                                               \
    const Interval x = {lo[0][i], hi[0][i]};                                                                                     \
    const Interval v = value;                                                                                                    \
    rlo[i] = v.lo;                                                                                                               \
    rhi[i] = v.hi;                                                                                                               \
  }                                                                                                                              \
  return

#define EACH2(value)                                                                                                             \
  for (size_t i = 0; i < n; ++i) {                                                                                               \
    const Interval x = {lo[0][i], hi[0][i]}, y = {lo[1][i], hi[1][i]};                                                           \
    const Interval v = value;                                                                                                    \
    rlo[i] = v.lo;                                                                                                               \
    rhi[i] = v.hi;                                                                                                               \
  }                                                                                                                              \
  return

#define GATHERED(function)                                                                                                       \
  for (size_t i = 0; i < n; ++i) {                                                                                               \
    Interval a[EXPR_MAX_ARGS], v;                                                                                                \
    for (int k = 0; k < nargs; ++k) a[k] = (Interval){lo[k][i], hi[k][i]};                                                       \
    v = function(nargs, a);                                                                                                      \
    rlo[i] = v.lo;                                                                                                               \
    rhi[i] = v.hi;                                                                                                               \
  }                                                                                                                              \
  return

static void select_bounds(
  size_t n, const double *const lo[], const double *const hi[], double *restrict rlo, double *restrict rhi) {
  for (size_t i = 0; i < n; ++i) {
    const int yes = lo[0][i] > 0. || hi[0][i] < 0., no = lo[0][i] == 0. && hi[0][i] == 0.;
    rlo[i] = yes ? lo[1][i] : no ? lo[2][i] : least(lo[1][i], lo[2][i]);
    rhi[i] = yes ? hi[1][i] : no ? hi[2][i] : most(hi[1][i], hi[2][i]);
  }
}

void hc_expr_apply_bounds(ExprOp op, int number, int nargs, size_t n, const double *const lo[], const double *const hi[],
  double *restrict rlo, double *restrict rhi) {
  switch (op) {
  case OP_NEG:
    EACH(((Interval){-x.hi, -x.lo}));
  case OP_NOT:
    EACH(truth(never(x), surely(x)));
  case OP_SIN:
    EACH(wave(x, sin, M_PI_2));
  case OP_COS:
    EACH(wave(x, cos, 0.));
  case OP_TAN:
    EACH(tangent(x));
  case OP_ASIN:
    EACH(increasing_on(x, -1., 1., asin));
  case OP_ACOS:
    EACH(arc_cosine(x));
  case OP_ATAN:
    EACH(increasing(x, atan, LIBRARY));
  case OP_SINH:
    EACH(increasing(x, sinh, LIBRARY));
  case OP_COSH:
    EACH(hyperbolic_cosine(x));
  case OP_TANH:
    EACH(clipped(increasing(x, tanh, LIBRARY), -1., 1.));
  case OP_EXP:
    EACH(increasing(x, exp, LIBRARY));
  case OP_LOG:
    EACH(increasing_on(x, 0., INFINITY, log));
  case OP_LOG10:
    EACH(increasing_on(x, 0., INFINITY, log10));
  case OP_SQRT:
    EACH(increasing_on(x, 0., INFINITY, sqrt));
  case OP_CBRT:
    EACH(increasing(x, cbrt, LIBRARY));
  case OP_ABS:
    EACH(magnitude(x));
  case OP_SIGN:
    EACH(((Interval){sign_of(x.lo), sign_of(x.hi)}));
  case OP_FLOOR:
    EACH(((Interval){floor(x.lo), floor(x.hi)}));
  case OP_CEIL:
    EACH(((Interval){ceil(x.lo), ceil(x.hi)}));
  case OP_ERF:
    EACH(clipped(increasing(x, erf, LIBRARY), -1., 1.));
  case OP_STEP:
    EACH(truth(x.lo >= 0., x.hi < 0.));
  case OP_IPOW:
    if (number == 2) {
      EACH(square(x));
    }
    EACH(integer_power(x, number));
  case OP_ADD:
    EACH2(widened(x.lo + y.lo, x.hi + y.hi, ROUNDING));
  case OP_SUB:
    EACH2(widened(x.lo - y.hi, x.hi - y.lo, ROUNDING));
  case OP_MUL:
    EACH2(times(x, y));
  case OP_DIV:
  case OP_SAFEDIV:
    EACH2(over(x, y));
  case OP_POW:
    EACH2(power(x, y));
  case OP_ATAN2:
    EACH2(angle(x, y));
  case OP_MIN:
    EACH2(((Interval){least(x.lo, y.lo), least(x.hi, y.hi)}));
  case OP_MAX:
    EACH2(((Interval){most(x.lo, y.lo), most(x.hi, y.hi)}));
  case OP_LT:
    EACH2(truth(x.hi < y.lo, x.lo >= y.hi));
  case OP_LE:
    EACH2(truth(x.hi <= y.lo, x.lo > y.hi));
  case OP_EQ:
    EACH2(truth(x.lo == y.hi && x.hi == y.lo, x.lo > y.hi || x.hi < y.lo));
  case OP_NE:
    EACH2(truth(x.lo > y.hi || x.hi < y.lo, x.lo == y.hi && x.hi == y.lo));
  case OP_AND:
    EACH2(truth(surely(x) && surely(y), never(x) || never(y)));
  case OP_OR:
    EACH2(truth(surely(x) || surely(y), never(x) && never(y)));
  case OP_SELECT:
    select_bounds(n, lo, hi, rlo, rhi);
    return;
  case OP_NORM:
    GATHERED(norm);
  case OP_UNIT:
    if (nargs == 2) {
      EACH2(unit_of_two(x, y));
    }
    GATHERED(unit);
  case OP_CONST:
  case OP_VAR:
    return;
  }
}

static const double *spread_out(size_t n, double value, double *r) {
  for (size_t i = 0; i < n; ++i) r[i] = value;
  return r;
}

void HcExprBounds(HcExpr expr, size_t n, const HcExprArg alo[], const HcExprArg ahi[], double *lo, double *hi) {
  const int nsteps = expr->nsteps;
  const size_t block = hc_expr_block(2 * expr->nregs + 2 * EXPR_MAX_ARGS), width = n < block ? n : block;
  double single[2 * nsteps], spread[2 * EXPR_MAX_ARGS * width + 1];
  double reg[2 * (size_t)expr->nregs * width + 1];
  const double *from[nsteps], *to[nsteps], *a[EXPR_MAX_ARGS], *b[EXPR_MAX_ARGS];
  unsigned char ls[nsteps], hs[nsteps]; /* strides of the two ends; 0: one value for all */
  if (n == 0) return;
  for (int i = 0; i < nsteps; ++i) {
    const ExprStep *e = &expr->step[i];
    double *l = &single[2 * i], *h = l + 1;
    ls[i] = hs[i] = 0;
    if (e->op == OP_CONST)
      *l = *h = e->value;
    else if (e->op == OP_VAR) {
      ls[i] = alo[e->number].stride != 0;
      hs[i] = ahi[e->number].stride != 0;
      *l = alo[e->number].v[0];
      *h = ahi[e->number].v[0];
    } else {
      for (int k = 0; k < e->nargs; ++k) {
        ls[i] |= ls[e->arg[k]] | hs[e->arg[k]];
        a[k] = &single[2 * e->arg[k]];
        b[k] = a[k] + 1;
      }
      hs[i] = ls[i];
      if (!ls[i]) hc_expr_apply_bounds((ExprOp)e->op, e->number, e->nargs, 1, a, b, l, h);
    }
    from[i] = l;
    to[i] = h;
  }
  for (size_t start = 0; start < n; start += width) {
    const size_t m = n - start < width ? n - start : width;
    for (int i = 0; i < nsteps; ++i) {
      const ExprStep *e = &expr->step[i];
      double *r = &reg[2 * (size_t)(e->reg < 0 ? 0 : e->reg) * width];
      if (e->op == OP_VAR) {
        if (ls[i]) from[i] = alo[e->number].v + start;
        if (hs[i]) to[i] = ahi[e->number].v + start;
        continue;
      }
      if (!ls[i]) continue;
      for (int k = 0; k < e->nargs; ++k) {
        double *s = &spread[2 * (size_t)k * width];
        a[k] = ls[e->arg[k]] ? from[e->arg[k]] : spread_out(m, from[e->arg[k]][0], s);
        b[k] = hs[e->arg[k]] ? to[e->arg[k]] : spread_out(m, to[e->arg[k]][0], s + width);
      }
      hc_expr_apply_bounds((ExprOp)e->op, e->number, e->nargs, m, a, b, r, r + width);
      from[i] = r;
      to[i] = r + width;
    }
    for (size_t j = 0; j < m; ++j) {
      lo[start + j] = from[nsteps - 1][ls[nsteps - 1] ? j : 0];
      hi[start + j] = to[nsteps - 1][hs[nsteps - 1] ? j : 0];
    }
  }
}
