/* Formulas: values, messages, derivatives against differences, bounds against samples, independence of position. */
#include "tap.h"
#include <float.h>
#include <halocline/expression.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char *const NAMES[] = {"x", "y", "z", "t", "px", "py"};
enum { NVARS = 6, MAXN = 700 };

static HcExpr parse(const char *text) {
  char error[256];
  HcExpr e;
  if (HcExprParse(text, NVARS, NAMES, &e, error)) fprintf(stderr, "# '%s': %s\n", text, error);
  return e;
}

/* xorshift: the same sequence everywhere */
static uint64_t state = 88172645463325252u;
static double uniform(double lo, double hi) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return lo + (hi - lo) * (double)(state >> 11) / 9007199254740992.;
}
static int choose(int n) { return (int)uniform(0., n); }

static void test_values(void) {
  const double x = 0.7, y = -1.3, z = 2.5, t = 0.25, px = -0.4, py = 1.1, v[] = {x, y, z, t, px, py};
  const struct {
    const char *text;
    double value;
  } c[] = {{"1", 1}, {".5e1", 5}, {"1.e-2", 0.01}, {" x ", x}, {"x+y*z", x + y * z}, {"(x+y)*z", (x + y) * z},
    {"x-y-z", x - y - z}, {"x/y/z", x / y / z}, {"2^3^2", 512}, {"-2^2", -4}, {"2^-1", 0.5}, {"-x^2", -x * x},
    {"(-x)^3", -x * x * x}, {"x^-2", 1 / (x * x)}, {"z^2.5", pow(z, 2.5)}, {"z^0.5", sqrt(z)}, {"x^40", pow(x, 40)},
    {"x^13", pow(x, 13)}, {"--x", x}, {"+x", x}, {"!x", 0}, {"!0", 1}, {"x<y", 0}, {"x>y", 1}, {"x<=x", 1}, {"x>=z", 0},
    {"x==x", 1}, {"x!=y", 1}, {"x>0 && y>0", 0}, {"x>0 || y>0", 1}, {"x>0 ? 3 : 4", 3}, {"x<0 ? 3 : y<0 ? 5 : 6", 5},
    {"x>0&&y<0?1:2", 1}, {"sin(x)", sin(x)}, {"cos(x)", cos(x)}, {"tan(x)", tan(x)}, {"asin(x)", asin(x)}, {"acos(x)", acos(x)},
    {"atan(x)", atan(x)}, {"atan2(x,y)", atan2(x, y)}, {"sinh(x)", sinh(x)}, {"cosh(x)", cosh(x)}, {"tanh(x)", tanh(x)},
    {"exp(x)", exp(x)}, {"log(x)", log(x)}, {"log10(x)", log10(x)}, {"sqrt(x)", sqrt(x)}, {"cbrt(y)", cbrt(y)}, {"abs(y)", -y},
    {"sign(y)", -1}, {"sign(0*x)", 0}, {"min(x,y,z)", y}, {"max(x,y,z)", z}, {"floor(y)", -2}, {"ceil(y)", -1},
    {"pow(z,y)", pow(z, y)}, {"erf(x)", erf(x)}, {"step(0)", 1}, {"step(y)", 0}, {"hypot(px,py)", hypot(px, py)},
    {"hypot(x,y,z,t,px,py)", sqrt(x * x + y * y + z * z + t * t + px * px + py * py)}, {"pi", M_PI}, {"e", M_E},
    {"sqrt(px^2+4*py^2+1)", sqrt(px * px + 4 * py * py + 1)}, {"px/sqrt(px^2+py^2)", px / hypot(px, py)},
    {"(px+1)^2/2", (px + 1) * (px + 1) / 2}, {"-cos(pi*x)", -cos(M_PI * x)},
    {"sin(y)*px+(sin(x)+sign(py))*py-sin(y)^2/2-(1-cos(x))",
      sin(y) * px + (sin(x) + 1) * py - sin(y) * sin(y) / 2 - (1 - cos(x))},
    {"x*2*3*y/6", x * y}, {"2-(3-x)", x - 1}, {"x-x+1", 1}, {"1e-300*1e-10*0+x", x}};
  for (size_t k = 0; k < sizeof c / sizeof *c; ++k) {
    HcExpr e = parse(c[k].text);
    const double r = e ? HcExprEvalPoint(e, v) : NAN;
    /* reordered products and the last digit of pow against repeated multiplication */
    tap_near(r, c[k].value, 64 * DBL_EPSILON * fabs(c[k].value), c[k].text);
    HcExprDestroy(&e);
  }
}

static void test_errors(void) {
  const struct {
    const char *text, *error;
  } c[] = {{"", "column 1: the formula is empty"}, {"  \t ", "column 1: the formula is empty"},
    {"x+xx", "column 3: unknown name 'xx' (did you mean 'x'?)"},
    {"sine(x)", "column 1: unknown function 'sine' (did you mean 'sin'?)"},
    {"sqrtt(x)", "column 1: unknown function 'sqrtt' (did you mean 'sqrt'?)"},
    {"foobar", "column 1: unknown name 'foobar' (known here: x, y, z, t, px, py)"},
    {"sin", "column 1: the function sin needs its arguments in parentheses"}, {"sin()", "column 1: sin takes 1 argument, not 0"},
    {"sin(x,y)", "column 1: sin takes 1 argument, not 2"}, {"1+max(x)", "column 3: max takes 2 or more arguments, not 1"},
    {"atan2(x)", "column 1: atan2 takes 2 arguments, not 1"}, {"(x", "column 1: this parenthesis is never closed"},
    {"x)", "column 2: ')' without its '('"}, {"sin(x", "column 6: expected ',' or ')' in the arguments of sin, found the end"},
    {"(x y)", "column 4: expected ')' or an operator, found 'y'"},
    {"x y", "column 3: expected an operator, found 'y' (products are written with *)"},
    {"2x", "column 2: expected an operator after the number, found 'x' (products are written with *)"},
    {"1.2.3", "column 4: expected an operator after the number, found '.' (products are written with *)"},
    {"x(y)", "column 2: 'x' is a variable, not a function (products are written with *)"},
    {"x+", "column 3: expected a number, a name or '(', found the end"},
    {"*x", "column 1: expected a number, a name or '(', found '*'"}, {"x**2", "column 2: a power is written x^2"},
    {"x=1", "column 2: equality is written =="}, {"0<x<1", "column 4: comparisons do not chain: write a < b && b < c"},
    {"x&y", "column 2: and is written &&"}, {"x|y", "column 2: or is written ||"}, {"x?1", "column 2: this '?' has no ':'"},
    {"x # y", "column 3: expected an operator, found '#'"},
    {"\xc3\xa9", "column 1: expected a number, a name or '(', found the character 0xc3"}, {".", "column 1: '.' is not a number"},
    {"1e999", "column 1: number 1e999 is too large"},
    {"0x10", "column 2: expected an operator after the number, found 'x10' (products are written with *)"},
    {"nan", "column 1: unknown name 'nan' (did you mean 'tan'?)"}};
  char error[256], *deep = malloc(20001);
  HcExpr e;
  for (size_t k = 0; k < sizeof c / sizeof *c; ++k) {
    const int bad = HcExprParse(c[k].text, NVARS, NAMES, &e, error);
    if (!bad || e || strcmp(error, c[k].error)) fprintf(stderr, "# got: %s\n# not: %s\n", bad ? error : "(accepted)", c[k].error);
    tap_ok(bad && !e && !strcmp(error, c[k].error), "message for '%s'", c[k].text);
    HcExprDestroy(&e);
  }
  memset(deep, '(', 20000);
  deep[20000] = 0;
  tap_ok(HcExprParse(deep, NVARS, NAMES, &e, error) && strstr(error, "longer than"), "text of 20000 characters is refused");
  for (const char *s = "(-!"; *s; ++s) {
    memset(deep, *s, 5000);
    deep[5000] = 0;
    tap_ok(
      HcExprParse(deep, NVARS, NAMES, &e, error) && strstr(error, "nested deeper"), "5000 times '%c' is refused: %s", *s, error);
  }
  for (int k = 0; k < 4999; ++k) deep[k] = k % 2 ? '+' : 'x';
  deep[4999] = 0;
  tap_ok(!HcExprParse(deep, NVARS, NAMES, &e, error) && HcExprEvalPoint(e, (double[]){1, 0, 0, 0, 0, 0}) == 2500,
    "a sum of 2500 terms");
  HcExprDestroy(&e);
  free(deep);
}

/* A random formula of numbers, variables, operators and functions that are smooth, or all of them. */
static void random_formula(char *text, size_t size, int depth, int smooth) {
  static const char *const f1[] = {
    "sin", "cos", "exp", "tanh", "atan", "erf", "sinh", "cosh", "sqrt", "log", "abs", "sign", "floor", "step", "cbrt", "tan"};
  static const char *const f2[] = {"atan2", "hypot", "min", "max", "pow"}, *const op[] = {"+", "-", "*", "/", "<", ">=", "&&"};
  char a[600], b[600], c[600];
  if (depth == 0 || choose(6) == 0) {
    if (choose(3))
      snprintf(text, size, "%s", NAMES[choose(NVARS)]);
    else
      snprintf(text, size, "%.3g", uniform(0., 3.));
    return;
  }
  random_formula(a, sizeof a / 4, depth - 1, smooth);
  random_formula(b, sizeof b / 4, depth - 1, smooth);
  random_formula(c, sizeof c / 4, depth - 1, smooth);
  switch (choose(smooth ? 4 : 6)) {
  case 0:
    snprintf(text, size, "%s(%s)", f1[choose(smooth ? 8 : 16)], a);
    break;
  case 1:
    snprintf(text, size, "(%s)^%d", a, 2 + choose(3));
    break;
  case 2:
  case 3:
    snprintf(text, size, "(%s) %s (%s)", a, op[choose(smooth ? 3 : 7)], b);
    break;
  case 4:
    snprintf(text, size, "%s(%s,%s)", f2[choose(5)], a, b);
    break;
  default:
    snprintf(text, size, "(%s) ? (%s) : -(%s)", a, b, c);
  }
}

/* 6th-order central difference: error h^6 f^(7)/140 plus rounding eps |f|/h */
static double difference(HcExpr e, const double at[], int var, double h, double *scale) {
  static const double w[] = {0.75, -0.15, 1. / 60.};
  double d = 0., v[NVARS];
  *scale = 0.;
  for (int k = 1; k <= 3; ++k) {
    double p, m;
    memcpy(v, at, sizeof v);
    v[var] = at[var] + k * h;
    p = HcExprEvalPoint(e, v);
    v[var] = at[var] - k * h;
    m = HcExprEvalPoint(e, v);
    d += w[k - 1] * (p - m) / h;
    *scale += fabs(p) + fabs(m);
  }
  return d;
}

static void test_derivatives(void) {
  const double at[] = {0.7, 1.3, 2.5, 0.25, 0.4, 1.1};
  const char *fixed[] = {"(px+1)^2/2", "sqrt(px^2+py^2)", "hypot(px,py,x,y,z)", "px/sqrt(px^2+py^2)", "x^y", "2^x", "x^1.5",
    "x^0.3", "abs(px)^1.5/1.5", "atan2(y,x)", "asin(x)", "acos(x)", "log10(x)", "log(x*y)/z", "tan(x)", "cbrt(x)", "exp(-x^2)",
    "erf(x*y)", "min(x,y)*max(x,z)", "x>0.5 ? x^2 : x^3", "x*floor(z)", "sinh(x)*cosh(y)", "1/(1+x^2)", "sqrt(1-x^2)", "-x/(-y)",
    "cos(px+py)", "sin(y)*px+(sin(x)+sign(py))*py", "abs(-3*px)", "sqrt(x+y)", "x^-3", "(2*x)^4*x"};
  int good = 0, tried = 0;
  for (size_t k = 0; k < sizeof fixed / sizeof *fixed; ++k)
    for (int var = 0; var < NVARS; ++var) {
      HcExpr e = parse(fixed[k]), d = HcExprDerivative(e, var);
      double scale, h = 1e-3, fd = difference(e, at, var, h, &scale), exact = HcExprEvalPoint(d, at),
                    coarse = difference(e, at, var, 2 * h, &scale);
      if (HcExprUses(e, var) || fd != exact)
        tap_near(exact, fd, 2 * fabs(fd - coarse) + 16 * DBL_EPSILON * (scale + 1) / h, fixed[k]);
      HcExprDestroy(&d);
      HcExprDestroy(&e);
    }
  for (int k = 0; k < 400; ++k) {
    char text[2048];
    double v[NVARS], scale, h = 1e-4;
    HcExpr e, d;
    int var = choose(NVARS);
    random_formula(text, sizeof text, 3, 1);
    for (int i = 0; i < NVARS; ++i) v[i] = uniform(-1., 1.);
    if (!(e = parse(text))) continue;
    d = HcExprDerivative(e, var);
    const double fd = difference(e, v, var, h, &scale), coarse = difference(e, v, var, 2 * h, &scale),
                 exact = HcExprEvalPoint(d, v);
    if (isfinite(fd) && isfinite(coarse) && fabs(fd - coarse) < 1e-3 * (1 + fabs(fd))) {
      const int ok = fabs(fd - exact) <= 4 * fabs(fd - coarse) + 64 * DBL_EPSILON * (scale + 1) / h;
      ++tried;
      good += ok;
      if (!ok) fprintf(stderr, "# d/d%s %s: %g against %g\n", NAMES[var], text, exact, fd);
    }
    HcExprDestroy(&d);
    HcExprDestroy(&e);
  }
  tap_ok(good == tried && tried > 200, "derivatives of %d random formulas agree with differences", tried);

  HcExpr e = parse("sqrt(px^2+py^2)"), d = HcExprDerivative(e, 4), dd = HcExprDerivative(d, 5);
  tap_near(HcExprEvalPoint(d, (double[]){0, 0, 0, 0, 0, 0}), 0, 0, "gradient of |p| is 0 at p = 0");
  tap_near(HcExprEvalPoint(d, (double[]){0, 0, 0, 0, -2, 0}), -1, 0, "and -1 along -px");
  tap_near(HcExprEvalPoint(dd, (double[]){0, 0, 0, 0, 3, 4}), -12. / 125., 1e-16, "second derivative of |p|");
  HcExprDestroy(&dd);
  HcExprDestroy(&d);
  HcExprDestroy(&e);
  e = parse("sqrt(x)");
  d = HcExprDerivative(e, 0);
  tap_ok(isinf(HcExprEvalPoint(d, (double[]){0, 0, 0, 0, 0, 0})), "the derivative of sqrt(x) at 0 is infinite");
  HcExprDestroy(&d);
  HcExprDestroy(&e);
}

static void test_uses(void) {
  double value;
  HcExpr e = parse("0*x + y*(2-1) + (z - z)"), d;
  tap_ok(!HcExprUses(e, 0) && HcExprUses(e, 1) && !HcExprUses(e, 2) && !HcExprUses(e, 77),
    "dependence is that of the simplified formula");
  d = HcExprDerivative(e, 1);
  tap_ok(HcExprIsConstant(d, &value) && value == 1., "d(y)/dy is the constant 1");
  HcExprDestroy(&d);
  HcExprDestroy(&e);
  e = parse("(px+1)^2/2");
  d = HcExprDerivative(e, 4);
  HcExpr dd = HcExprDerivative(d, 4);
  tap_ok(HcExprIsConstant(dd, &value) && value == 1. && !HcExprIsConstant(d, NULL),
    "the second derivative of (px+1)^2/2 is the constant 1");
  HcExprDestroy(&dd);
  HcExprDestroy(&d);
  HcExprDestroy(&e);
  e = parse("floor(x)+step(y)+(x<y)");
  d = HcExprDerivative(e, 0);
  tap_ok(HcExprIsConstant(d, &value) && value == 0., "piecewise constants have derivative 0");
  HcExprDestroy(&d);
  HcExprDestroy(&e);
}

static void bounds_of(const char *text, const double lo[], const double hi[], double *l, double *h) {
  HcExprArg a[NVARS], b[NVARS];
  HcExpr e = parse(text);
  for (int v = 0; v < NVARS; ++v) a[v] = (HcExprArg){&lo[v], 0}, b[v] = (HcExprArg){&hi[v], 0};
  HcExprBounds(e, 1, a, b, l, h);
  HcExprDestroy(&e);
}

static void test_bounds(void) {
  const double lo[] = {-1, 0.5, 2, 0, -1, -2}, hi[] = {2, 1.5, 3, 4, 1, 3};
  const struct {
    const char *text;
    double lo, hi;
  } c[] = {{"x", -1, 2}, {"-x", -2, 1}, {"x+z", 1, 5}, {"x-z", -4, 0}, {"x*z", -3, 6}, {"x/z", -0.5, 1},
    {"1/x", -INFINITY, INFINITY}, {"1/t", 0.25, INFINITY}, {"-1/t", -INFINITY, -0.25}, {"x^2", 0, 4}, {"x^3", -1, 8},
    {"z^-2", 1. / 9, 0.25}, {"x^-2", 0.25, INFINITY}, {"abs(x)", 0, 2}, {"sign(x)", -1, 1}, {"sign(z)", 1, 1}, {"step(x)", 0, 1},
    {"min(x,y)", -1, 1.5}, {"max(x,y)", 0.5, 2}, {"x<z", 0, 1}, {"y<z", 1, 1}, {"y>z", 0, 0}, {"y<z ? x : t", -1, 2},
    {"x>0 ? z : t", 0, 4}, {"sin(t)", -0.75680249530792825, 1}, {"cos(t)", -1, 1}, {"cos(y)", cos(1.5), cos(0.5)},
    {"sin(z)", sin(3), sin(2)}, {"sin(100*t)", -1, 1}, {"tan(y)", tan(0.5), tan(1.5)}, {"tan(z/2+0.5)", -INFINITY, INFINITY},
    {"tanh(x)", tanh(-1), tanh(2)}, {"cosh(x)", 1, cosh(2)}, {"exp(x)", exp(-1), exp(2)}, {"log(t)", -INFINITY, log(4)},
    {"sqrt(x)", 0, sqrt(2)}, {"acos(px)", 0, M_PI}, {"hypot(px,py)", 0, sqrt(10)}, {"hypot(y,z)", sqrt(4.25), sqrt(11.25)},
    {"px/sqrt(px^2+py^2)", -1, 1}, {"y/hypot(y,z)", 0.5 / sqrt(9.25), 1.5 / sqrt(6.25)}, {"pow(z,x)", 1. / 3, 9},
    {"z^2.5", pow(2, 2.5), pow(3, 2.5)}, {"x^2.5", 0, pow(2, 2.5)}, {"atan2(y,z)", atan2(0.5, 3), atan2(1.5, 2)},
    {"atan2(x,px)", -M_PI, M_PI}, {"floor(z/2+0.25)", 1, 1}, {"x>0 && z>0", 0, 1}, {"!z", 0, 0}, {"x==x+9", 0, 0}, {"x*0", 0, 0},
    {"0.5*t*(x>5)", 0, 0}};
  int good = 0, tried = 0;
  for (size_t k = 0; k < sizeof c / sizeof *c; ++k) {
    const double tight = 1e-13;
    double l, h;
    bounds_of(c[k].text, lo, hi, &l, &h);
    const int ok =
      l <= c[k].lo && h >= c[k].hi && (l == c[k].lo || l >= c[k].lo - tight) && (h == c[k].hi || h <= c[k].hi + tight);
    if (!ok) fprintf(stderr, "# [%.17g, %.17g], expected [%.17g, %.17g]\n", l, h, c[k].lo, c[k].hi);
    tap_ok(ok, "bounds of %s", c[k].text);
  }
  for (int k = 0; k < 3000; ++k) {
    char text[2048];
    double l[NVARS], h[NVARS];
    HcExpr e, d;
    random_formula(text, sizeof text, 1 + choose(3), k % 2);
    for (int v = 0; v < NVARS; ++v) {
      l[v] = uniform(-3., 3.);
      h[v] = l[v] + (choose(4) ? uniform(0., choose(2) ? 0.1 : 3.) : 0.);
    }
    if (!(e = parse(text))) continue;
    d = HcExprDerivative(e, choose(NVARS));
    for (int which = 0; which < 2; ++which) {
      HcExprArg a[NVARS], b[NVARS];
      double bl, bh;
      for (int v = 0; v < NVARS; ++v) a[v] = (HcExprArg){&l[v], 0}, b[v] = (HcExprArg){&h[v], 0};
      HcExprBounds(which ? d : e, 1, a, b, &bl, &bh);
      for (int s = 0; s < 20; ++s) {
        double v[NVARS], value;
        for (int i = 0; i < NVARS; ++i)
          v[i] = s == 0 ? l[i] : s == 1 ? h[i] : choose(4) ? fmin(h[i], uniform(l[i], h[i])) : choose(2) ? l[i] : h[i];
        value = HcExprEvalPoint(which ? d : e, v);
        if (value != value) continue;
        ++tried;
        good += bl <= value && value <= bh;
        if (!(bl <= value && value <= bh))
          fprintf(stderr, "# %s of %s: %.17g outside [%.17g, %.17g]\n", which ? "derivative" : "value", text, value, bl, bh);
      }
    }
    HcExprDestroy(&d);
    HcExprDestroy(&e);
  }
  tap_ok(good == tried && tried > 60000, "%d samples of random formulas and derivatives lie within their bounds", tried);
}

/* The value of an element must not depend on n, on its place, or on whether a constant argument comes as a row. */
static void test_rows(void) {
  static double row[NVARS][MAXN], lo[MAXN], hi[MAXN], out[MAXN];
  const char *formulas[] = {"x", "3", "t*2", "(px+1)^2/2", "sqrt(px^2+py^2)", "px/hypot(px,py,t)", "x>t ? sin(y) : min(px,py)",
    "x^5+y^7*t-exp(t)", "atan2(x,t)*max(t,py)", "t<x&&y>t", "t?x:y", "sin(x)*t+y/px-abs(py)*sign(z)+pow(abs(x),t)+x*y*z*px*py"};
  for (int v = 0; v < NVARS; ++v)
    for (int i = 0; i < MAXN; ++i) row[v][i] = v == 3 ? 0.37 : uniform(-2., 2.);
  for (size_t k = 0; k < sizeof formulas / sizeof *formulas; ++k) {
    HcExpr e = parse(formulas[k]);
    int same = 1, bounded = 1, alias;
    for (int trial = 0; trial < 60; ++trial) {
      const int n = trial < 41 ? trial : 41 + choose(MAXN - 60), from = choose(16);
      HcExprArg a[NVARS];
      for (int v = 0; v < NVARS; ++v) a[v] = (HcExprArg){&row[v][from], v != 3 || trial % 2};
      HcExprEval(e, (size_t)n, a, out);
      HcExprBounds(e, (size_t)n, a, a, lo, hi);
      for (int i = 0; i < n; ++i) {
        double v[NVARS], one;
        for (int j = 0; j < NVARS; ++j) v[j] = row[j][from + i];
        one = HcExprEvalPoint(e, v);
        same &= !memcmp(&one, &out[i], sizeof one);
        bounded &= lo[i] <= one && one <= hi[i] && hi[i] - lo[i] <= 1e-12 * (1. + fabs(one)) * 10.;
      }
    }
    tap_ok(same, "%s: the same bits in any row", formulas[k]);
    tap_ok(bounded, "%s: bounds of a point are its value, to rounding", formulas[k]);
    HcExprArg a[NVARS];
    for (int v = 0; v < NVARS; ++v) a[v] = (HcExprArg){row[v], v != 3};
    HcExprEval(e, MAXN, a, out);
    memcpy(hi, row[0], sizeof hi);
    a[0].v = hi;
    HcExprEval(e, MAXN, a, hi);
    alias = !memcmp(hi, out, sizeof hi);
    tap_ok(alias, "%s: the result may replace an argument", formulas[k]);
    HcExprDestroy(&e);
  }
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  test_values();
  test_errors();
  test_uses();
  test_derivatives();
  test_bounds();
  test_rows();
  return tap_done();
}
