/*
 * The form of a formula between its text and its programme: a table of nodes without repeats, arguments before their users.
 *
 * Because arguments come first, every pass over a formula is one loop over the table, whatever its depth, and equal
 * subexpressions are one node, so that they are computed once and derivatives stay small.
 */
#pragma once
#include <halocline/expression.h>
#include <stdint.h>

#define EXPR_MAX_ARGS 4
#define EXPR_MAX_VARS 32
#define EXPR_MAX_TEXT 8192
#define EXPR_MAX_DEPTH 200
#define EXPR_MAX_POWER 32

typedef enum {
  OP_CONST,
  OP_VAR,
  OP_NEG,
  OP_NOT,
  OP_SIN,
  OP_COS,
  OP_TAN,
  OP_ASIN,
  OP_ACOS,
  OP_ATAN,
  OP_SINH,
  OP_COSH,
  OP_TANH,
  OP_EXP,
  OP_LOG,
  OP_LOG10,
  OP_SQRT,
  OP_CBRT,
  OP_ABS,
  OP_SIGN,
  OP_FLOOR,
  OP_CEIL,
  OP_ERF,
  OP_STEP,
  OP_IPOW, /* argument to the power `number`, 2 .. EXPR_MAX_POWER */
  OP_ADD,
  OP_SUB,
  OP_MUL,
  OP_DIV,
  OP_SAFEDIV, /* a/b, but 0/0 = 0: the derivative of a root where the root and its inner derivative vanish */
  OP_POW,
  OP_ATAN2,
  OP_MIN,
  OP_MAX,
  OP_LT,
  OP_LE,
  OP_EQ,
  OP_NE,
  OP_AND,
  OP_OR,
  OP_SELECT,
  OP_NORM, /* sqrt(a^2 + b^2 + ...) of 2 .. 4 arguments */
  OP_UNIT, /* a/sqrt(a^2 + b^2 + ...), 0 at the origin */
} ExprOp;

typedef struct {
  unsigned char op, nargs;
  short number; /* power of OP_IPOW, variable of OP_VAR */
  int arg[EXPR_MAX_ARGS];
  double value; /* of OP_CONST */
} ExprNode;

typedef struct {
  ExprNode *node;
  int n, capacity;
  int *slot;  /* open hash table of node numbers, -1 = empty; twice the capacity, a power of two */
  int failed; /* out of memory or too large: results are meaningless, checked once at the end */
} ExprTree;

/** Node 0 is the constant 0, so that a number is always valid, also after a failure. */
void hc_expr_tree_init(ExprTree *t);
void hc_expr_tree_free(ExprTree *t);

/** Simplifying constructors: each returns the number of a node of the same value, which need not be of the kind asked for.
 * Constants are folded, also through products and quotients; 0*x and 0/x are 0, x-x is 0. */
int hc_expr_const(ExprTree *t, double value);
int hc_expr_var(ExprTree *t, int var);
int hc_expr_make(ExprTree *t, ExprOp op, int nargs, const int arg[]);
int hc_expr_1(ExprTree *t, ExprOp op, int a);
int hc_expr_2(ExprTree *t, ExprOp op, int a, int b);
int hc_expr_3(ExprTree *t, ExprOp op, int a, int b, int c);
int hc_expr_power(ExprTree *t, int a, int power);

/** Derivative of a node with respect to a variable, added to the tree. */
int hc_expr_differentiate(ExprTree *t, int root, int var);

/** Text to tree. @return the root, or -1 with a message of at most 255 characters */
int hc_expr_parse(ExprTree *t, const char *text, int nvars, const char *const names[], char *error);

/** The programme: the nodes that the root needs, in order; the last is the root. `reg` numbers the block registers. */
typedef struct {
  unsigned char op, nargs;
  short number;
  int arg[EXPR_MAX_ARGS];
  int reg; /* -1: constant or variable */
  double value;
} ExprStep;

struct HcExpr_ {
  int nsteps, nregs;
  uint32_t uses; /* bit per variable */
  ExprStep step[];
};

/** NULL when memory runs out or the tree has failed. */
HcExpr hc_expr_compile(const ExprTree *t, int root);

/** One operation on n elements: r[i] = op(a[i], ...). Argument k is read at a[k][i*stride[k]], stride 0 or 1; r overlaps none of
 * them. */
void hc_expr_apply(ExprOp op, int number, int nargs, size_t n, const double *const a[], const int stride[], double *r);

/** Bounds of one operation, arguments and result as pairs of arrays, all of stride 1. */
void hc_expr_apply_bounds(
  ExprOp op, int number, int nargs, size_t n, const double *const lo[], const double *const hi[], double *rlo, double *rhi);

/** Elements a block: the registers of a block fit in the first cache together. */
size_t hc_expr_block(int registers);
