#include "expression_tree.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64, MOST_NODES = 1 << 20 };

static uint64_t mix(uint64_t h, uint64_t v) {
  h ^= v + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
  return h * 0xff51afd7ed558ccdu;
}

static uint64_t node_hash(const ExprNode *e) {
  uint64_t bits, h;
  memcpy(&bits, &e->value, sizeof bits);
  h = mix(mix(e->op, (uint64_t)e->number), bits);
  for (int k = 0; k < e->nargs; ++k) h = mix(h, (uint64_t)e->arg[k]);
  return h ^ (h >> 29);
}

static int node_same(const ExprNode *a, const ExprNode *b) {
  if (a->op != b->op || a->nargs != b->nargs || a->number != b->number || memcmp(&a->value, &b->value, sizeof a->value)) return 0;
  for (int k = 0; k < a->nargs; ++k)
    if (a->arg[k] != b->arg[k]) return 0;
  return 1;
}

static void rehash(ExprTree *t) {
  const uint64_t mask = 2 * (uint64_t)t->capacity - 1;
  memset(t->slot, 0xff, 2 * (size_t)t->capacity * sizeof *t->slot);
  for (int i = 0; i < t->n; ++i) {
    uint64_t s = node_hash(&t->node[i]) & mask;
    while (t->slot[s] >= 0) s = (s + 1) & mask;
    t->slot[s] = i;
  }
}

static int grow(ExprTree *t) {
  const int capacity = t->capacity ? 2 * t->capacity : FIRST_CAPACITY;
  ExprNode *node;
  int *slot;
  if (capacity > MOST_NODES) return 0;
  if (!(node = realloc(t->node, (size_t)capacity * sizeof *node))) return 0;
  t->node = node;
  if (!(slot = realloc(t->slot, 2 * (size_t)capacity * sizeof *slot))) return 0;
  t->slot = slot;
  t->capacity = capacity;
  rehash(t);
  return 1;
}

/* The number of this very node, added when it is new. */
static int intern(ExprTree *t, ExprNode e) {
  uint64_t mask, s;
  if (t->failed) return 0;
  if (t->n == t->capacity && !grow(t)) {
    t->failed = 1;
    return 0;
  }
  mask = 2 * (uint64_t)t->capacity - 1;
  for (s = node_hash(&e) & mask; t->slot[s] >= 0; s = (s + 1) & mask)
    if (node_same(&t->node[t->slot[s]], &e)) return t->slot[s];
  t->slot[s] = t->n;
  t->node[t->n] = e;
  return t->n++;
}

void hc_expr_tree_init(ExprTree *t) {
  memset(t, 0, sizeof *t);
  hc_expr_const(t, 0.);
}

void hc_expr_tree_free(ExprTree *t) {
  free(t->node);
  free(t->slot);
  memset(t, 0, sizeof *t);
}

int hc_expr_const(ExprTree *t, double value) { return intern(t, (ExprNode){.op = OP_CONST, .value = value == 0. ? 0. : value}); }

int hc_expr_var(ExprTree *t, int var) { return intern(t, (ExprNode){.op = OP_VAR, .number = (short)var}); }

static int is_const(const ExprTree *t, int i) { return !t->failed && t->node[i].op == OP_CONST; }
static int is_value(const ExprTree *t, int i, double v) { return is_const(t, i) && t->node[i].value == v; }
static int is_op(const ExprTree *t, int i, ExprOp op) { return !t->failed && t->node[i].op == op; }
static double value_of(const ExprTree *t, int i) { return t->failed ? 0. : t->node[i].value; }
static int argument(const ExprTree *t, int i, int k) { return t->failed ? 0 : t->node[i].arg[k]; }
static int negative_const(const ExprTree *t, int i) { return is_const(t, i) && t->node[i].value < 0.; }
static int even_power(const ExprTree *t, int i) { return is_op(t, i, OP_IPOW) && t->node[i].number % 2 == 0; }

/* The node as asked for, or its value when all arguments are constants. */
static int fold(ExprTree *t, ExprOp op, int number, int nargs, const int arg[]) {
  ExprNode e = {.op = (unsigned char)op, .nargs = (unsigned char)nargs, .number = (short)number};
  double value[EXPR_MAX_ARGS], r;
  const double *a[EXPR_MAX_ARGS];
  int stride[EXPR_MAX_ARGS] = {0}, constant = 1;
  for (int k = 0; k < nargs; ++k) {
    e.arg[k] = arg[k];
    constant = constant && is_const(t, arg[k]);
    value[k] = value_of(t, arg[k]);
    a[k] = &value[k];
  }
  if (!constant) return intern(t, e);
  hc_expr_apply(op, number, nargs, 1, a, stride, &r);
  return hc_expr_const(t, r);
}

/* IEEE sums and products commute, so one order serves both: (a, b) and (b, a) are one node. */
static int fold_commuting(ExprTree *t, ExprOp op, int a, int b) {
  return fold(t, op, 0, 2, a < b ? (int[]){a, b} : (int[]){b, a});
}

static int make_neg(ExprTree *t, int a) {
  if (is_op(t, a, OP_NEG)) return argument(t, a, 0);
  if (is_op(t, a, OP_SUB)) return hc_expr_2(t, OP_SUB, argument(t, a, 1), argument(t, a, 0));
  if (is_op(t, a, OP_MUL) && is_const(t, argument(t, a, 0)))
    return hc_expr_2(t, OP_MUL, hc_expr_const(t, -value_of(t, argument(t, a, 0))), argument(t, a, 1));
  if (is_op(t, a, OP_MUL) && is_const(t, argument(t, a, 1)))
    return hc_expr_2(t, OP_MUL, hc_expr_const(t, -value_of(t, argument(t, a, 1))), argument(t, a, 0));
  return fold(t, OP_NEG, 0, 1, &a);
}

static int make_add(ExprTree *t, int a, int b) {
  if (is_value(t, a, 0.)) return b;
  if (is_value(t, b, 0.)) return a;
  if (is_op(t, b, OP_NEG)) return hc_expr_2(t, OP_SUB, a, argument(t, b, 0));
  if (is_op(t, a, OP_NEG)) return hc_expr_2(t, OP_SUB, b, argument(t, a, 0));
  if (a == b) return hc_expr_2(t, OP_MUL, hc_expr_const(t, 2.), a);
  return fold_commuting(t, OP_ADD, a, b);
}

static int make_sub(ExprTree *t, int a, int b) {
  if (a == b) return hc_expr_const(t, 0.);
  if (is_value(t, b, 0.)) return a;
  if (is_value(t, a, 0.)) return make_neg(t, b);
  if (is_op(t, b, OP_NEG)) return make_add(t, a, argument(t, b, 0));
  return fold(t, OP_SUB, 0, 2, (int[]){a, b});
}

static int make_mul(ExprTree *t, int a, int b) {
  if (is_const(t, b)) {
    const int swap = a;
    a = b;
    b = swap;
  }
  if (is_value(t, a, 0.)) return a;
  if (is_value(t, a, 1.)) return b;
  if (is_value(t, a, -1.)) return make_neg(t, b);
  if (is_op(t, a, OP_NEG)) return make_neg(t, make_mul(t, argument(t, a, 0), b));
  if (is_op(t, b, OP_NEG)) {
    if (is_const(t, a)) return make_mul(t, hc_expr_const(t, -value_of(t, a)), argument(t, b, 0));
    return make_neg(t, make_mul(t, a, argument(t, b, 0)));
  }
  if (is_const(t, a) && is_op(t, b, OP_MUL))
    for (int k = 0; k < 2; ++k)
      if (is_const(t, argument(t, b, k)))
        return make_mul(t, hc_expr_const(t, value_of(t, a) * value_of(t, argument(t, b, k))), argument(t, b, 1 - k));
  if (is_const(t, a) && is_op(t, b, OP_DIV)) {
    if (is_const(t, argument(t, b, 1)))
      return make_mul(t, hc_expr_const(t, value_of(t, a) / value_of(t, argument(t, b, 1))), argument(t, b, 0));
    if (is_const(t, argument(t, b, 0)))
      return hc_expr_2(t, OP_DIV, hc_expr_const(t, value_of(t, a) * value_of(t, argument(t, b, 0))), argument(t, b, 1));
  }
  if (a == b) return hc_expr_power(t, a, 2);
  return fold_commuting(t, OP_MUL, a, b);
}

static int make_div(ExprTree *t, ExprOp op, int a, int b) {
  if (is_value(t, a, 0.) && !is_value(t, b, 0.)) return a;
  if (is_value(t, b, 1.)) return a;
  if (is_op(t, a, OP_NEG)) return make_neg(t, make_div(t, op, argument(t, a, 0), b));
  if (is_op(t, b, OP_NEG)) return make_neg(t, make_div(t, op, a, argument(t, b, 0)));
  if (is_const(t, b) && !is_value(t, b, 0.) && !is_const(t, a)) {
    int e;
    /* a power of two is multiplied by its inverse without an error */
    if (fabs(frexp(value_of(t, b), &e)) == 0.5 && abs(e) < 1000) return make_mul(t, hc_expr_const(t, 1. / value_of(t, b)), a);
    if (is_op(t, a, OP_MUL))
      for (int k = 0; k < 2; ++k)
        if (is_const(t, argument(t, a, k)))
          return make_mul(t, hc_expr_const(t, value_of(t, argument(t, a, k)) / value_of(t, b)), argument(t, a, 1 - k));
  }
  if (is_op(t, b, OP_NORM))
    for (int k = 0; k < t->node[b].nargs; ++k)
      if (t->node[b].arg[k] == a) {
        int arg[EXPR_MAX_ARGS], n = 0;
        arg[n++] = a;
        for (int l = 0; l < t->node[b].nargs; ++l)
          if (l != k) arg[n++] = t->node[b].arg[l];
        return fold(t, OP_UNIT, 0, n, arg);
      }
  return fold(t, op, 0, 2, (int[]){a, b});
}

int hc_expr_power(ExprTree *t, int a, int power) {
  if (power == 0) return hc_expr_const(t, 1.);
  if (power == 1) return a;
  if (power < 0) return make_div(t, OP_DIV, hc_expr_const(t, 1.), hc_expr_power(t, a, -power));
  if (is_op(t, a, OP_SQRT) && power == 2) return argument(t, a, 0);
  if (power % 2 == 0 && (is_op(t, a, OP_ABS) || is_op(t, a, OP_NEG))) return hc_expr_power(t, argument(t, a, 0), power);
  if (power % 2 && is_op(t, a, OP_NEG)) return make_neg(t, hc_expr_power(t, argument(t, a, 0), power));
  if (is_op(t, a, OP_IPOW) && t->node[a].number * power <= EXPR_MAX_POWER)
    return hc_expr_power(t, argument(t, a, 0), t->node[a].number * power);
  return fold(t, OP_IPOW, power, 1, &a);
}

static int make_pow(ExprTree *t, int a, int b) {
  if (is_const(t, b)) {
    const double p = value_of(t, b);
    if (p == floor(p) && fabs(p) <= EXPR_MAX_POWER) return hc_expr_power(t, a, (int)p);
    if (p == 0.5) return hc_expr_1(t, OP_SQRT, a);
  }
  return fold(t, OP_POW, 0, 2, (int[]){a, b});
}

/* Collect the terms of a sum of squares q_1^2 + q_2^2 + ... with positive constants and constant factors taken into the q.
 * Returns their number, or 0 when the sum is none or has more than `most` terms. */
static int squares(ExprTree *t, int a, int most, int q[]) {
  if (most < 1) return 0;
  if (is_op(t, a, OP_ADD)) {
    const int left = argument(t, a, 0), right = argument(t, a, 1);
    const int n = squares(t, left, most - 1, q), m = n ? squares(t, right, most - n, q + n) : 0;
    return m ? n + m : 0;
  }
  if (is_const(t, a) && value_of(t, a) >= 0.) {
    q[0] = hc_expr_const(t, sqrt(value_of(t, a)));
    return 1;
  }
  if (even_power(t, a)) {
    q[0] = hc_expr_power(t, argument(t, a, 0), t->node[a].number / 2);
    return 1;
  }
  if (is_op(t, a, OP_MUL)) {
    int x[2];
    for (int k = 0; k < 2; ++k)
      if (!squares(t, argument(t, a, k), 1, &x[k])) return 0;
    q[0] = make_mul(t, x[0], x[1]);
    return 1;
  }
  return 0;
}

static int make_norm(ExprTree *t, int n, const int arg[]) {
  int q[EXPR_MAX_ARGS], m = 0;
  for (int k = 0; k < n; ++k)
    if (!is_value(t, arg[k], 0.)) q[m++] = is_op(t, arg[k], OP_ABS) || is_op(t, arg[k], OP_NEG) ? argument(t, arg[k], 0) : arg[k];
  if (m == 0) return hc_expr_const(t, 0.);
  if (m == 1) return hc_expr_1(t, OP_ABS, q[0]);
  return fold(t, OP_NORM, 0, m, q);
}

static int make_sqrt(ExprTree *t, int a) {
  int q[EXPR_MAX_ARGS];
  const int n = is_const(t, a) ? 0 : squares(t, a, EXPR_MAX_ARGS, q);
  if (n) return make_norm(t, n, q);
  return fold(t, OP_SQRT, 0, 1, &a);
}

static int make_abs(ExprTree *t, int a) {
  if (is_op(t, a, OP_NEG)) return make_abs(t, argument(t, a, 0));
  if (is_op(t, a, OP_ABS) || is_op(t, a, OP_SQRT) || is_op(t, a, OP_EXP) || is_op(t, a, OP_NORM) || even_power(t, a)) return a;
  if (is_op(t, a, OP_MUL) && is_const(t, argument(t, a, 0)) && !negative_const(t, argument(t, a, 0)))
    return make_mul(t, argument(t, a, 0), make_abs(t, argument(t, a, 1)));
  return fold(t, OP_ABS, 0, 1, &a);
}

int hc_expr_make(ExprTree *t, ExprOp op, int n, const int arg[]) {
  const int a = arg[0], b = n > 1 ? arg[1] : 0;
  switch (op) {
  case OP_NEG:
    return make_neg(t, a);
  case OP_ADD:
    return make_add(t, a, b);
  case OP_SUB:
    return make_sub(t, a, b);
  case OP_MUL:
    return make_mul(t, a, b);
  case OP_DIV:
  case OP_SAFEDIV:
    return make_div(t, op, a, b);
  case OP_POW:
    return make_pow(t, a, b);
  case OP_SQRT:
    return make_sqrt(t, a);
  case OP_ABS:
    return make_abs(t, a);
  case OP_NORM:
    return make_norm(t, n, arg);
  case OP_MIN:
  case OP_MAX:
    return a == b ? a : fold(t, op, 0, n, arg);
  case OP_SELECT:
    if (arg[1] == arg[2]) return arg[1];
    if (is_const(t, a)) return value_of(t, a) != 0. ? arg[1] : arg[2];
    return fold(t, op, 0, n, arg);
  case OP_AND:
    if (is_value(t, a, 0.) || is_value(t, b, 0.)) return hc_expr_const(t, 0.);
    return fold(t, op, 0, n, arg);
  case OP_OR:
    if ((is_const(t, a) && !is_value(t, a, 0.)) || (is_const(t, b) && !is_value(t, b, 0.))) return hc_expr_const(t, 1.);
    return fold(t, op, 0, n, arg);
  default:
    return fold(t, op, 0, n, arg);
  }
}

int hc_expr_1(ExprTree *t, ExprOp op, int a) { return hc_expr_make(t, op, 1, &a); }
int hc_expr_2(ExprTree *t, ExprOp op, int a, int b) { return hc_expr_make(t, op, 2, (int[]){a, b}); }
int hc_expr_3(ExprTree *t, ExprOp op, int a, int b, int c) { return hc_expr_make(t, op, 3, (int[]){a, b, c}); }
