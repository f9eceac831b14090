/* Symbolic differentiation: one pass over the node table, arguments first. */
#include "expression_tree.h"
#include <math.h>
#include <stdlib.h>

static int product(ExprTree *t, int a, int b) { return hc_expr_2(t, OP_MUL, a, b); }

/* f'(a) of a function of one argument, node i itself being f(a). */
static int outer_derivative(ExprTree *t, ExprNode e, int i) {
  const int a = e.arg[0], one = hc_expr_const(t, 1.);
  switch (e.op) {
  case OP_SIN:
    return hc_expr_1(t, OP_COS, a);
  case OP_COS:
    return hc_expr_1(t, OP_NEG, hc_expr_1(t, OP_SIN, a));
  case OP_TAN:
    return hc_expr_2(t, OP_ADD, one, hc_expr_power(t, i, 2));
  case OP_SINH:
    return hc_expr_1(t, OP_COSH, a);
  case OP_COSH:
    return hc_expr_1(t, OP_SINH, a);
  case OP_TANH:
    return hc_expr_2(t, OP_SUB, one, hc_expr_power(t, i, 2));
  case OP_EXP:
    return i;
  case OP_ABS:
    return hc_expr_1(t, OP_SIGN, a);
  case OP_ERF:
    return product(t, hc_expr_const(t, M_2_SQRTPI), hc_expr_1(t, OP_EXP, hc_expr_1(t, OP_NEG, hc_expr_power(t, a, 2))));
  case OP_IPOW:
    return product(t, hc_expr_const(t, e.number), hc_expr_power(t, a, e.number - 1));
  default:
    return hc_expr_const(t, 0.); /* sign, floor, ceil, step, logic */
  }
}

/* The denominator g of f' = a'/g, for functions whose derivative is a quotient. -1 for others. */
static int outer_denominator(ExprTree *t, ExprNode e, int i) {
  const int a = e.arg[0], one = hc_expr_const(t, 1.);
  switch (e.op) {
  case OP_ASIN:
  case OP_ACOS: {
    const int g = hc_expr_1(t, OP_SQRT, hc_expr_2(t, OP_SUB, one, hc_expr_power(t, a, 2)));
    return e.op == OP_ASIN ? g : hc_expr_1(t, OP_NEG, g);
  }
  case OP_ATAN:
    return hc_expr_2(t, OP_ADD, one, hc_expr_power(t, a, 2));
  case OP_LOG:
    return a;
  case OP_LOG10:
    return product(t, hc_expr_const(t, M_LN10), a);
  case OP_SQRT:
    return product(t, hc_expr_const(t, 2.), i);
  case OP_CBRT:
    return product(t, hc_expr_const(t, 3.), hc_expr_power(t, i, 2));
  default:
    return -1;
  }
}

static int power_derivative(ExprTree *t, ExprNode e, int i, int da, int db) {
  const int a = e.arg[0], b = e.arg[1], one = hc_expr_const(t, 1.);
  int base, exponent;
  /* b < 1: the quotient with 0/0 = 0 in place of 0^(b-1) 0 = inf 0 */
  if (t->node[b].op == OP_CONST && t->node[b].value > 0. && t->node[b].value < 1.)
    base = hc_expr_2(t, OP_SAFEDIV, product(t, b, da), hc_expr_2(t, OP_POW, a, hc_expr_const(t, 1. - t->node[b].value)));
  else
    base = product(t, product(t, b, hc_expr_2(t, OP_POW, a, hc_expr_2(t, OP_SUB, b, one))), da);
  exponent = t->node[db].op == OP_CONST && t->node[db].value == 0. ? db : product(t, product(t, i, hc_expr_1(t, OP_LOG, a)), db);
  return hc_expr_2(t, OP_ADD, base, exponent);
}

/* a_k/norm(a) with a_k first */
static int unit(ExprTree *t, const ExprNode *e, int k) {
  int arg[EXPR_MAX_ARGS], n = 0;
  arg[n++] = e->arg[k];
  for (int l = 0; l < e->nargs; ++l)
    if (l != k) arg[n++] = e->arg[l];
  return hc_expr_make(t, OP_UNIT, n, arg);
}

/* grad |a| . da = sum_k a_k/|a| da_k */
static int norm_derivative(ExprTree *t, ExprNode e, const int d[]) {
  int sum = hc_expr_const(t, 0.);
  for (int k = 0; k < e.nargs; ++k) sum = hc_expr_2(t, OP_ADD, sum, product(t, unit(t, &e, k), d[k]));
  return sum;
}

static int node_derivative(ExprTree *t, int i, const int *of) {
  const ExprNode e = t->node[i];
  int d[EXPR_MAX_ARGS] = {0}, any = 0;
  for (int k = 0; k < e.nargs; ++k) any |= d[k] = of[e.arg[k]];
  if (!any) return 0;
  switch (e.op) {
  case OP_NEG:
    return hc_expr_1(t, OP_NEG, d[0]);
  case OP_ADD:
    return hc_expr_2(t, OP_ADD, d[0], d[1]);
  case OP_SUB:
    return hc_expr_2(t, OP_SUB, d[0], d[1]);
  case OP_MUL:
    return hc_expr_2(t, OP_ADD, product(t, d[0], e.arg[1]), product(t, e.arg[0], d[1]));
  case OP_DIV:
  case OP_SAFEDIV:
    if (d[1] == 0) return hc_expr_2(t, e.op, d[0], e.arg[1]);
    return hc_expr_2(t, OP_SAFEDIV, hc_expr_2(t, OP_SUB, d[0], product(t, i, d[1])), e.arg[1]);
  case OP_POW:
    return power_derivative(t, e, i, d[0], d[1]);
  case OP_ATAN2:
    return hc_expr_2(t, OP_SAFEDIV, hc_expr_2(t, OP_SUB, product(t, e.arg[1], d[0]), product(t, e.arg[0], d[1])),
      hc_expr_2(t, OP_ADD, hc_expr_power(t, e.arg[0], 2), hc_expr_power(t, e.arg[1], 2)));
  case OP_MIN:
    return hc_expr_3(t, OP_SELECT, hc_expr_2(t, OP_LE, e.arg[0], e.arg[1]), d[0], d[1]);
  case OP_MAX:
    return hc_expr_3(t, OP_SELECT, hc_expr_2(t, OP_LE, e.arg[1], e.arg[0]), d[0], d[1]);
  case OP_SELECT:
    return hc_expr_3(t, OP_SELECT, e.arg[0], d[1], d[2]);
  case OP_NORM:
    return norm_derivative(t, e, d);
  case OP_UNIT: {
    const int norm = hc_expr_make(t, OP_NORM, e.nargs, e.arg);
    return hc_expr_2(t, OP_SAFEDIV, hc_expr_2(t, OP_SUB, d[0], product(t, i, norm_derivative(t, e, d))), norm);
  }
  case OP_LT:
  case OP_LE:
  case OP_EQ:
  case OP_NE:
  case OP_AND:
  case OP_OR:
    return 0;
  default: {
    const int g = outer_denominator(t, e, i);
    return g >= 0 ? hc_expr_2(t, OP_SAFEDIV, d[0], g) : product(t, outer_derivative(t, e, i), d[0]);
  }
  }
}

int hc_expr_differentiate(ExprTree *t, int root, int var) {
  int result, *of = t->failed ? NULL : malloc((size_t)(root + 1) * sizeof *of);
  if (!of) {
    t->failed = 1;
    return 0;
  }
  for (int i = 0; i <= root && !t->failed; ++i)
    of[i] = t->node[i].op == OP_VAR && t->node[i].number == var ? hc_expr_const(t, 1.) : node_derivative(t, i, of);
  result = t->failed ? 0 : of[root];
  free(of);
  return result;
}
