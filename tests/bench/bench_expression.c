/* Formulas: values, derivatives and bounds of Hamiltonians over rows of 128 cells. */
#include "bench.h"
#include <halocline/expression.h>

enum { ROW = 128, NVARS = 7 };
static double lower[NVARS][ROW], upper[NVARS][ROW], out[ROW], lo[ROW], hi[ROW];
static HcExprArg from[NVARS], to[NVARS];

static void value(void *e) {
  HcExprEval(e, ROW, from, out);
  bench_use(out);
}

static void bounds(void *e) {
  HcExprBounds(e, ROW, from, to, lo, hi);
  bench_use(lo);
}

/* The same by hand, for the ratio. */
static void compiled(void *unused) {
  for (int i = 0; i < ROW; ++i) {
    const double s = lower[4][i] + lower[5][i] + lower[6][i] + 1.;
    out[i] = 0.5 * s * s;
  }
  bench_use(out);
  (void)unused;
}

int main(void) {
  static const char *const names[NVARS] = {"x", "y", "z", "t", "px", "py", "pz"};
  static const struct {
    const char *label, *text;
    double operations;
  } formula[] = {{"burgers", "(px+py+pz+1)^2/2", 5.}, {"eikonal", "sqrt(px^2+py^2+pz^2)", 6.}, {"cosine", "-cos(px+1)", 0.},
    {"control", "sin(y)*px+(sin(x)+sign(py))*py-sin(y)^2/2-(1-cos(x))", 0.}};
  const double peak = bench_peak_flops();
  for (int v = 0; v < NVARS; ++v) {
    for (int i = 0; i < ROW; ++i) {
      lower[v][i] = sin(0.37 * i + v);
      upper[v][i] = lower[v][i] + (v < 4 ? 0. : 0.01);
    }
    from[v] = (HcExprArg){lower[v], v != 1 && v != 2 && v != 3}; /* along a row y, z and t are constant */
    to[v] = (HcExprArg){upper[v], from[v].stride};
  }
  bench_print("formula_burgers_compiled", 1e9 * bench_median(compiled, NULL, 0.1) / ROW, "ns", "what the compiler makes of it");
  for (size_t k = 0; k < sizeof formula / sizeof *formula; ++k) {
    char label[64], error[256];
    HcExpr e, d;
    if (HcExprParse(formula[k].text, NVARS, names, &e, error) || !(d = HcExprDerivative(e, 4))) return 1;
    snprintf(label, sizeof label, "formula_%s_value", formula[k].label);
    if (formula[k].operations > 0.)
      bench_print_flops(label, bench_median(value, e, 0.1) / ROW, formula[k].operations, peak);
    else
      bench_print(label, 1e9 * bench_median(value, e, 0.1) / ROW, "ns", "library functions, scalar");
    snprintf(label, sizeof label, "formula_%s_derivative", formula[k].label);
    bench_print(label, 1e9 * bench_median(value, d, 0.1) / ROW, "ns", "dH/dpx a cell");
    snprintf(label, sizeof label, "formula_%s_bounds", formula[k].label);
    bench_print(label, 1e9 * bench_median(bounds, d, 0.1) / ROW, "ns", "bounds of dH/dpx a cell");
    HcExprDestroy(&d);
    HcExprDestroy(&e);
  }
  return 0;
}
