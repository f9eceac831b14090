/*
 * Formulas: parsed once, evaluated over whole rows, differentiated, and bounded over intervals.
 *
 * Grammar: numbers, the given variables, pi, e; + - * / ^ (right associative, binds tighter than unary minus), unary -,
 * comparisons < <= > >= == != and && || ! (1 or 0), a ? b : c, parentheses, functions sin cos tan asin acos atan atan2
 * sinh cosh tanh exp log log10 sqrt cbrt abs sign min max (two or more arguments) floor ceil pow erf step (0 below 0, 1 from 0
 * on) hypot.
 *
 * Pure: no MPI, no PETSc. Why not muParser: Lax-Friedrichs and Godunov fluxes need derivatives and rigorous bounds of
 * dH/dp, and a kernel needs whole-row evaluation; a parser library gives point values only.
 */
#pragma once
#include <stddef.h>

typedef struct HcExpr_ *HcExpr;

/** Parse.
 * @param nvars,names the variables, in the order of HcExprEval's arguments (at most 32)
 * @param[out] expr   destroy with HcExprDestroy(); NULL on error
 * @param[out] error  at least 256 chars: "column 7: unknown name 'xx' (did you mean 'x'?)"
 * @return 0, or 1 on error */
int HcExprParse(const char *text, int nvars, const char *const names[], HcExpr *expr, char *error);
/** Free everything and set the handle to NULL; NULL is allowed. */
void HcExprDestroy(HcExpr *expr);

/** An argument: v[i*stride], stride 0 (one value for all) or 1. v may be NULL for a variable that the formula does not use. */
typedef struct {
  const double *v;
  int stride;
} HcExprArg;

/** out[i] = value for i < n. No allocation; thread safe; out may alias an argument. The result for an element does not depend on
 * n or on its position. */
void HcExprEval(HcExpr expr, size_t n, const HcExprArg args[], double *out);
/** One point. */
double HcExprEvalPoint(HcExpr expr, const double args[]);

/** Bounds: lo[i] <= value <= hi[i] for all arguments within [alo, ahi] elementwise (interval arithmetic, outward to rounding;
 * may overestimate; +-inf where unbounded). Where the formula is not a number it is left out. A variable that occurs twice is
 * taken as two independent ones: x*(1-x) over [0,1] gives [0,1], not [0,1/4]. Even powers, sqrt of a sum of squares,
 * px/sqrt(px^2+py^2), sin, cos and the other functions are exact to rounding for independent arguments. */
void HcExprBounds(HcExpr expr, size_t n, const HcExprArg alo[], const HcExprArg ahi[], double *lo, double *hi);

/** Symbolic derivative with respect to variable `var` (sign, floor, step and comparisons have derivative 0; abs has sign; min,
 * max and ?: that of the branch taken), simplified. A quotient 0/0 that comes from differentiation is 0: the gradient of
 * sqrt(px^2+py^2) at p = 0 is 0. Destroy the result. NULL when memory runs out or the derivative would be larger than a million
 * operations. */
HcExpr HcExprDerivative(HcExpr expr, int var);

/** Does the value depend on the variable? Is it a constant (and which)? */
int HcExprUses(HcExpr expr, int var);
/** Is the value the same for all arguments? Then 1, and *value is it. */
int HcExprIsConstant(HcExpr expr, double *value);
