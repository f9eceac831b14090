/* Formulas as objects: a tree compacted to the steps its value needs, with block registers assigned. */
#include "expression_tree.h"
#include <stdlib.h>
#include <string.h>

/* Registers by last use: each step takes one before its arguments give theirs back, so no result overlaps an argument. */
static int assign_registers(HcExpr e) {
  const int n = e->nsteps;
  int *last = malloc((size_t)n * sizeof *last), *spare = malloc((size_t)n * sizeof *spare), nspare = 0;
  if (!last || !spare) {
    free(last);
    free(spare);
    return 0;
  }
  for (int i = 0; i < n; ++i) {
    last[i] = i;
    for (int k = 0; k < e->step[i].nargs; ++k) last[e->step[i].arg[k]] = i;
  }
  for (int i = 0; i < n; ++i) {
    ExprStep *s = &e->step[i];
    s->reg = -1;
    if (s->op == OP_CONST || s->op == OP_VAR) continue;
    s->reg = nspare ? spare[--nspare] : e->nregs++;
    for (int k = 0; k < s->nargs; ++k) {
      const int a = s->arg[k];
      if (last[a] != i || e->step[a].reg < 0) continue;
      spare[nspare++] = e->step[a].reg;
      last[a] = n; /* an argument used twice is given back once */
    }
  }
  free(last);
  free(spare);
  return 1;
}

HcExpr hc_expr_compile(const ExprTree *t, int root) {
  int *number = t->failed ? NULL : calloc((size_t)root + 1, sizeof *number), n = 0;
  HcExpr e = NULL;
  if (!number) return NULL;
  number[root] = 1;
  for (int i = root; i >= 0; --i) {
    if (!number[i]) continue;
    ++n;
    for (int k = 0; k < t->node[i].nargs; ++k) number[t->node[i].arg[k]] = 1;
  }
  if ((e = calloc(1, sizeof *e + (size_t)n * sizeof *e->step))) {
    for (int i = 0; i <= root; ++i) {
      const ExprNode *v = &t->node[i];
      ExprStep *s = &e->step[e->nsteps];
      if (!number[i]) continue;
      *s = (ExprStep){.op = v->op, .nargs = v->nargs, .number = v->number, .value = v->value};
      for (int k = 0; k < v->nargs; ++k) s->arg[k] = number[v->arg[k]];
      if (v->op == OP_VAR) e->uses |= (uint32_t)1 << v->number;
      number[i] = e->nsteps++;
    }
    if (!assign_registers(e)) {
      free(e);
      e = NULL;
    }
  }
  free(number);
  return e;
}

int HcExprParse(const char *text, int nvars, const char *const names[], HcExpr *expr, char *error) {
  ExprTree t;
  int root;
  *expr = NULL;
  hc_expr_tree_init(&t);
  root = hc_expr_parse(&t, text, nvars, names, error);
  if (root >= 0 && !(*expr = hc_expr_compile(&t, root))) strcpy(error, "not enough memory for the formula");
  hc_expr_tree_free(&t);
  return *expr == NULL;
}

void HcExprDestroy(HcExpr *expr) {
  free(*expr);
  *expr = NULL;
}

HcExpr HcExprDerivative(HcExpr expr, int var) {
  ExprTree t;
  HcExpr d = NULL;
  int *node = malloc((size_t)expr->nsteps * sizeof *node);
  if (!node) return NULL;
  hc_expr_tree_init(&t);
  for (int i = 0; i < expr->nsteps; ++i) {
    const ExprStep *s = &expr->step[i];
    int arg[EXPR_MAX_ARGS];
    for (int k = 0; k < s->nargs; ++k) arg[k] = node[s->arg[k]];
    if (s->op == OP_CONST)
      node[i] = hc_expr_const(&t, s->value);
    else if (s->op == OP_VAR)
      node[i] = hc_expr_var(&t, s->number);
    else if (s->op == OP_IPOW)
      node[i] = hc_expr_power(&t, arg[0], s->number);
    else
      node[i] = hc_expr_make(&t, (ExprOp)s->op, s->nargs, arg);
  }
  d = hc_expr_compile(&t, hc_expr_differentiate(&t, node[expr->nsteps - 1], var));
  hc_expr_tree_free(&t);
  free(node);
  return d;
}

int HcExprUses(HcExpr expr, int var) { return var >= 0 && var < EXPR_MAX_VARS && (expr->uses >> var & 1); }

int HcExprIsConstant(HcExpr expr, double *value) {
  if (expr->step[0].op != OP_CONST || expr->nsteps != 1) return 0;
  if (value) *value = expr->step[0].value;
  return 1;
}
