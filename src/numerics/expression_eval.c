/*
 * Evaluation over blocks of elements: each step is one loop over registers that stay in the first cache, and gcc vectorises
 * all but the library functions. Steps whose arguments are single values run once a call, not once an element.
 *
 * Every operation is IEEE arithmetic or one libm call, so an element's result is the same in a vector and in a remainder.
 */
#include "expression_tree.h"
#include <math.h>
#include <string.h>

#define MAP1(value)                                                                                                              \
  for (size_t i = 0; i < n; ++i) {                                                                                               \
    const double x = a[0][i];                                                                                                    \
    r[i] = value;                                                                                                                \
  }                                                                                                                              \
  return

/* Either argument may be one value for all. */
#define MAP2(value)                                                                                                              \
  do {                                                                                                                           \
    const double *restrict p = a[0], *restrict q = a[1];                                                                         \
    if (stride[0] && stride[1])                                                                                                  \
      for (size_t i = 0; i < n; ++i) {                                                                                           \
        const double x = p[i], y = q[i];                                                                                         \
        r[i] = value;                                                                                                            \
      }                                                                                                                          \
    else if (stride[0]) {                                                                                                        \
      const double y = q[0];                                                                                                     \
      for (size_t i = 0; i < n; ++i) {                                                                                           \
        const double x = p[i];                                                                                                   \
        r[i] = value;                                                                                                            \
      }                                                                                                                          \
    } else {                                                                                                                     \
      const double x = p[0];                                                                                                     \
      for (size_t i = 0; i < n; ++i) {                                                                                           \
        const double y = q[i * (size_t)stride[1]];                                                                               \
        r[i] = value;                                                                                                            \
      }                                                                                                                          \
    }                                                                                                                            \
    return;                                                                                                                      \
  } while (0)

static void integer_power(int power, size_t n, const double *restrict a, double *restrict r) {
  switch (power) {
  case 2:
    for (size_t i = 0; i < n; ++i) r[i] = a[i] * a[i];
    return;
  case 3:
    for (size_t i = 0; i < n; ++i) r[i] = a[i] * a[i] * a[i];
    return;
  case 4:
    for (size_t i = 0; i < n; ++i) r[i] = (a[i] * a[i]) * (a[i] * a[i]);
    return;
  default: /* by squaring, the bits of the power from the top */
    for (size_t i = 0; i < n; ++i) {
      double x = a[i];
      for (int bit = 30 - __builtin_clz((unsigned)power); bit >= 0; --bit) {
        x *= x;
        if (power >> bit & 1) x *= a[i];
      }
      r[i] = x;
    }
  }
}

static void select_branch(size_t n, const double *const a[], const int stride[], double *restrict r) {
  const double *restrict c = a[0], *restrict x = a[1], *restrict y = a[2];
  if (stride[0] && stride[1] && stride[2])
    for (size_t i = 0; i < n; ++i) r[i] = c[i] != 0. ? x[i] : y[i];
  else if (stride[0] && !stride[1] && !stride[2]) {
    const double u = x[0], v = y[0];
    for (size_t i = 0; i < n; ++i) r[i] = c[i] != 0. ? u : v;
  } else
    for (size_t i = 0; i < n; ++i) {
      const double u = x[i * (size_t)stride[1]], v = y[i * (size_t)stride[2]];
      r[i] = c[i * (size_t)stride[0]] != 0. ? u : v;
    }
}

static void norm(int nargs, size_t n, const double *const a[], const int stride[], double *restrict r) {
  for (int k = 0; k < nargs; ++k) {
    const double *restrict x = a[k];
    if (!stride[k]) {
      const double s = x[0] * x[0];
      for (size_t i = 0; i < n; ++i) r[i] = (k ? r[i] : 0.) + s;
    } else if (k)
      for (size_t i = 0; i < n; ++i) r[i] += x[i] * x[i];
    else
      for (size_t i = 0; i < n; ++i) r[i] = x[i] * x[i];
  }
  for (size_t i = 0; i < n; ++i) r[i] = sqrt(r[i]);
}

/* Clamped, because a sum of squares that underflows can be smaller than its largest term. */
static void unit(int nargs, size_t n, const double *const a[], const int stride[], double *restrict r) {
  const double *restrict x = a[0];
  const size_t s = (size_t)stride[0];
  norm(nargs, n, a, stride, r);
  if (s)
    for (size_t i = 0; i < n; ++i) {
      const double q = x[i] / r[i], c = q > 1. ? 1. : q < -1. ? -1. : q;
      r[i] = x[i] == 0. ? 0. : c;
    }
  else {
    const double y = x[0];
    for (size_t i = 0; i < n; ++i) {
      const double q = y / r[i], c = q > 1. ? 1. : q < -1. ? -1. : q;
      r[i] = y == 0. ? 0. : c;
    }
  }
}

void hc_expr_apply(ExprOp op, int number, int nargs, size_t n, const double *const a[], const int stride[], double *restrict r) {
  switch (op) {
  case OP_NEG:
    MAP1(-x);
  case OP_NOT:
    MAP1(x == 0. ? 1. : 0.);
  case OP_SIN:
    MAP1(sin(x));
  case OP_COS:
    MAP1(cos(x));
  case OP_TAN:
    MAP1(tan(x));
  case OP_ASIN:
    MAP1(asin(x));
  case OP_ACOS:
    MAP1(acos(x));
  case OP_ATAN:
    MAP1(atan(x));
  case OP_SINH:
    MAP1(sinh(x));
  case OP_COSH:
    MAP1(cosh(x));
  case OP_TANH:
    MAP1(tanh(x));
  case OP_EXP:
    MAP1(exp(x));
  case OP_LOG:
    MAP1(log(x));
  case OP_LOG10:
    MAP1(log10(x));
  case OP_SQRT:
    MAP1(sqrt(x));
  case OP_CBRT:
    MAP1(cbrt(x));
  case OP_ABS:
    MAP1(fabs(x));
  case OP_SIGN:
    MAP1(x > 0. ? 1. : x < 0. ? -1. : x);
  case OP_FLOOR:
    MAP1(floor(x));
  case OP_CEIL:
    MAP1(ceil(x));
  case OP_ERF:
    MAP1(erf(x));
  case OP_STEP:
    MAP1(x >= 0. ? 1. : 0.);
  case OP_IPOW:
    integer_power(number, n, a[0], r);
    return;
  case OP_ADD:
    MAP2(x + y);
  case OP_SUB:
    MAP2(x - y);
  case OP_MUL:
    MAP2(x * y);
  case OP_DIV:
    MAP2(x / y);
  case OP_SAFEDIV:
    MAP2(x == 0. && y == 0. ? 0. : x / y);
  case OP_POW:
    MAP2(pow(x, y));
  case OP_ATAN2:
    MAP2(atan2(x, y));
  case OP_MIN:
    MAP2(x < y || x != x ? x : y); /* a NaN is not lost */
  case OP_MAX:
    MAP2(x > y || x != x ? x : y);
  case OP_LT:
    MAP2(x < y ? 1. : 0.);
  case OP_LE:
    MAP2(x <= y ? 1. : 0.);
  case OP_EQ:
    MAP2(x == y ? 1. : 0.);
  case OP_NE:
    MAP2(x != y ? 1. : 0.);
  case OP_AND:
    MAP2(x != 0. && y != 0. ? 1. : 0.);
  case OP_OR:
    MAP2(x != 0. || y != 0. ? 1. : 0.);
  case OP_SELECT:
    select_branch(n, a, stride, r);
    return;
  case OP_NORM:
    norm(nargs, n, a, stride, r);
    return;
  case OP_UNIT:
    unit(nargs, n, a, stride, r);
    return;
  case OP_CONST:
  case OP_VAR:
    return;
  }
}

size_t hc_expr_block(int registers) {
  const size_t bytes = 24 * 1024, most = bytes / (sizeof(double) * (size_t)(registers > 0 ? registers : 1)) / 8 * 8;
  return most > 256 ? 256 : most < 8 ? 8 : most;
}

void HcExprEval(HcExpr expr, size_t n, const HcExprArg args[], double *out) {
  const int nsteps = expr->nsteps;
  const size_t block = hc_expr_block(expr->nregs), width = n < block ? n : block;
  double single[nsteps], reg[expr->nregs ? (size_t)expr->nregs * width + 8 : 1] __attribute__((aligned(64)));
  const double *at[nsteps], *a[EXPR_MAX_ARGS];
  int stride[nsteps], s[EXPR_MAX_ARGS];
  if (n == 0 || nsteps < 1) return;
  for (int i = 0; i < nsteps; ++i) { /* what is one value for all */
    const ExprStep *e = &expr->step[i];
    at[i] = &single[i];
    stride[i] = 0;
    if (e->op == OP_CONST)
      single[i] = e->value;
    else if (e->op == OP_VAR) {
      stride[i] = args[e->number].stride != 0;
      single[i] = args[e->number].v[0];
    } else {
      for (int k = 0; k < e->nargs; ++k) {
        stride[i] |= stride[e->arg[k]];
        a[k] = &single[e->arg[k]];
        s[k] = 0;
      }
      if (!stride[i]) hc_expr_apply((ExprOp)e->op, e->number, e->nargs, 1, a, s, &single[i]);
    }
  }
  if (!stride[nsteps - 1]) {
    const double value = single[nsteps - 1];
    for (size_t i = 0; i < n; ++i) out[i] = value;
    return;
  }
  for (size_t start = 0; start < n; start += width) {
    const size_t m = n - start < width ? n - start : width;
    for (int i = 0; i < nsteps; ++i) {
      const ExprStep *e = &expr->step[i];
      if (!stride[i]) continue;
      if (e->op == OP_VAR) {
        at[i] = args[e->number].v + start;
        continue;
      }
      for (int k = 0; k < e->nargs; ++k) {
        a[k] = at[e->arg[k]];
        s[k] = stride[e->arg[k]];
      }
      hc_expr_apply((ExprOp)e->op, e->number, e->nargs, m, a, s, &reg[(size_t)e->reg * width]);
      at[i] = &reg[(size_t)e->reg * width];
    }
    memmove(out + start, at[nsteps - 1], m * sizeof *out);
  }
}

double HcExprEvalPoint(HcExpr expr, const double args[]) {
  HcExprArg a[EXPR_MAX_VARS];
  double value;
  for (int v = 0; v < EXPR_MAX_VARS; ++v) a[v] = expr->uses >> v & 1 ? (HcExprArg){&args[v], 0} : (HcExprArg){NULL, 0};
  HcExprEval(expr, 1, a, &value);
  return value;
}
