/* Text to tree: recursive descent of bounded depth, the grammar as in the header. */
#include "expression_tree.h"
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ERROR_SIZE = 256, MANY = 64 };

typedef struct {
  const char *text, *at;
  int nvars, depth, failed;
  const char *const *names;
  char *error;
  ExprTree *tree;
} Parser;

static const struct {
  const char *name;
  ExprOp op;
  int least, most;
} FUNCTIONS[] = {
  {"sin", OP_SIN, 1, 1},
  {"cos", OP_COS, 1, 1},
  {"tan", OP_TAN, 1, 1},
  {"asin", OP_ASIN, 1, 1},
  {"acos", OP_ACOS, 1, 1},
  {"atan", OP_ATAN, 1, 1},
  {"atan2", OP_ATAN2, 2, 2},
  {"sinh", OP_SINH, 1, 1},
  {"cosh", OP_COSH, 1, 1},
  {"tanh", OP_TANH, 1, 1},
  {"exp", OP_EXP, 1, 1},
  {"log", OP_LOG, 1, 1},
  {"log10", OP_LOG10, 1, 1},
  {"sqrt", OP_SQRT, 1, 1},
  {"cbrt", OP_CBRT, 1, 1},
  {"abs", OP_ABS, 1, 1},
  {"sign", OP_SIGN, 1, 1},
  {"min", OP_MIN, 2, MANY},
  {"max", OP_MAX, 2, MANY},
  {"floor", OP_FLOOR, 1, 1},
  {"ceil", OP_CEIL, 1, 1},
  {"pow", OP_POW, 2, 2},
  {"erf", OP_ERF, 1, 1},
  {"step", OP_STEP, 1, 1},
  {"hypot", OP_NORM, 2, MANY},
};
enum { NFUNCTIONS = sizeof FUNCTIONS / sizeof *FUNCTIONS };

/* The first error wins; the parser then unwinds without looking further. */
__attribute__((format(printf, 3, 4))) static int fail(Parser *p, const char *where, const char *fmt, ...) {
  if (!p->failed) {
    const int n = snprintf(p->error, ERROR_SIZE, "column %d: ", (int)(where - p->text) + 1);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(p->error + n, (size_t)(ERROR_SIZE - n), fmt, ap);
    va_end(ap);
  }
  p->failed = 1;
  return 0;
}

static void skip_space(Parser *p) {
  while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r') ++p->at;
}

static char next(Parser *p) {
  skip_space(p);
  return *p->at;
}

/* Step over a symbol when it comes next. */
static int accept(Parser *p, const char *symbol) {
  const size_t n = strlen(symbol);
  skip_space(p);
  if (p->failed || strncmp(p->at, symbol, n)) return 0;
  p->at += n;
  return 1;
}

static int name_length(const char *s) {
  int n = 0;
  if (!isalpha((unsigned char)*s) && *s != '_') return 0;
  while (isalnum((unsigned char)s[n]) || s[n] == '_') ++n;
  return n;
}

/* What stands at a place, for messages. */
static const char *describe(const char *at, char buffer[48]) {
  const int n = name_length(at);
  if (*at == 0) return "the end";
  if (n)
    snprintf(buffer, 48, "'%.*s%s'", n > 30 ? 30 : n, at, n > 30 ? "..." : "");
  else if (isprint((unsigned char)*at))
    snprintf(buffer, 48, "'%c'", *at);
  else
    snprintf(buffer, 48, "the character 0x%02x", (unsigned char)*at);
  return buffer;
}

static int same_name(const char *s, int n, const char *name) { return (int)strlen(name) == n && !strncmp(s, name, (size_t)n); }

/* Edits that turn one name into the other, capped: names longer than the table are never near. */
static int distance(const char *a, int n, const char *b) {
  enum { LONGEST = 24 };
  const int m = (int)strlen(b);
  int row[LONGEST + 1];
  if (n > LONGEST || m > LONGEST) return LONGEST;
  for (int j = 0; j <= m; ++j) row[j] = j;
  for (int i = 1; i <= n; ++i) {
    int diagonal = row[0];
    row[0] = i;
    for (int j = 1; j <= m; ++j) {
      const int up = row[j], swap = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
      row[j] = swap;
      if (up + 1 < row[j]) row[j] = up + 1;
      if (row[j - 1] + 1 < row[j]) row[j] = row[j - 1] + 1;
      diagonal = up;
    }
  }
  return row[m];
}

static int fail_unknown(Parser *p, const char *at, int n, int function) {
  const char *best = NULL;
  int nearest = n < 4 ? 2 : 3; /* at most one edit in a short name, two in a longer one */
  char known[160] = "";
  size_t used = 0;
  if (!function) {
    for (int v = 0; v < p->nvars; ++v) {
      const int d = distance(at, n, p->names[v]);
      if (d < nearest) best = p->names[v], nearest = d;
      if (used < sizeof known) used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", v ? ", " : "", p->names[v]);
    }
    if (distance(at, n, "pi") < nearest) best = "pi", nearest = distance(at, n, "pi");
  }
  for (int f = 0; f < NFUNCTIONS; ++f) {
    const int d = distance(at, n, FUNCTIONS[f].name);
    if (d < nearest && (function || n > 2)) best = FUNCTIONS[f].name, nearest = d;
  }
  if (n > 40) return fail(p, at, "unknown %s '%.40s...'", function ? "function" : "name", at);
  if (best) return fail(p, at, "unknown %s '%.*s' (did you mean '%s'?)", function ? "function" : "name", n, at, best);
  if (function) return fail(p, at, "unknown function '%.*s'", n, at);
  if (!p->nvars) return fail(p, at, "unknown name '%.*s' (no variables here)", n, at);
  return fail(p, at, "unknown name '%.*s' (known here: %s)", n, at, used < sizeof known ? known : p->names[0]);
}

static int parse_choice(Parser *p);

/* Parentheses, unary signs and powers recurse; this bounds the C stack whatever the text. */
static int enter(Parser *p) {
  if (p->depth >= EXPR_MAX_DEPTH) {
    fail(p, p->at, "nested deeper than %d levels", EXPR_MAX_DEPTH);
    return 0;
  }
  ++p->depth;
  return 1;
}

static int parse_number(Parser *p) {
  const char *s = p->at;
  char digits[64];
  double value;
  while (isdigit((unsigned char)*s)) ++s;
  if (*s == '.') ++s;
  while (isdigit((unsigned char)*s)) ++s;
  if (s == p->at + 1 && *p->at == '.') return fail(p, p->at, "'.' is not a number");
  if (*s == 'e' || *s == 'E') {
    const char *x = s + 1;
    if (*x == '+' || *x == '-') ++x;
    if (isdigit((unsigned char)*x)) {
      while (isdigit((unsigned char)*x)) ++x;
      s = x;
    }
  }
  if (s - p->at >= (ptrdiff_t)sizeof digits) return fail(p, p->at, "number of more than %d characters", (int)sizeof digits - 1);
  memcpy(digits, p->at, (size_t)(s - p->at));
  digits[s - p->at] = 0;
  value = strtod(digits, NULL);
  if (isinf(value)) return fail(p, p->at, "number %s is too large", digits);
  if (*s == '.' || name_length(s)) {
    char found[48];
    return fail(p, s, "expected an operator after the number, found %s (products are written with *)", describe(s, found));
  }
  p->at = s;
  return hc_expr_const(p->tree, value);
}

static int call(Parser *p, int f, const char *at) {
  int arg[MANY], n = 0, r;
  do {
    if (n == MANY) return fail(p, at, "more than %d arguments", MANY);
    if (n == 0 && next(p) == ')') break;
    arg[n++] = parse_choice(p);
  } while (accept(p, ","));
  if (p->failed) return 0;
  if (!accept(p, ")")) {
    char found[48];
    skip_space(p);
    return fail(p, p->at, "expected ',' or ')' in the arguments of %s, found %s", FUNCTIONS[f].name, describe(p->at, found));
  }
  if (n < FUNCTIONS[f].least || n > FUNCTIONS[f].most)
    return fail(p, at, "%s takes %d%s argument%s, not %d", FUNCTIONS[f].name, FUNCTIONS[f].least,
      FUNCTIONS[f].most > FUNCTIONS[f].least ? " or more" : "", FUNCTIONS[f].least > 1 ? "s" : "", n);
  if (FUNCTIONS[f].most < MANY) return hc_expr_make(p->tree, FUNCTIONS[f].op, n, arg);
  r = arg[0];
  if (FUNCTIONS[f].op != OP_NORM) {
    for (int k = 1; k < n; ++k) r = hc_expr_2(p->tree, FUNCTIONS[f].op, r, arg[k]);
    return r;
  }
  for (int k = 1; k < n; k += EXPR_MAX_ARGS - 1) { /* |(a, b, ...)| = |(|(a, b, c, d)|, e, ...)| */
    int part[EXPR_MAX_ARGS], m = 0;
    part[m++] = r;
    for (int l = k; l < n && m < EXPR_MAX_ARGS; ++l) part[m++] = arg[l];
    r = hc_expr_make(p->tree, OP_NORM, m, part);
  }
  return r;
}

static int parse_name(Parser *p) {
  const char *at = p->at;
  const int n = name_length(at);
  int function = -1;
  for (int f = 0; f < NFUNCTIONS; ++f)
    if (same_name(at, n, FUNCTIONS[f].name)) function = f;
  p->at += n;
  if (next(p) == '(') {
    if (function < 0) {
      for (int v = 0; v < p->nvars; ++v)
        if (same_name(at, n, p->names[v]))
          return fail(p, p->at, "'%s' is a variable, not a function (products are written with *)", p->names[v]);
      return fail_unknown(p, at, n, 1);
    }
    ++p->at;
    return call(p, function, at);
  }
  for (int v = 0; v < p->nvars; ++v)
    if (same_name(at, n, p->names[v])) return hc_expr_var(p->tree, v);
  if (same_name(at, n, "pi")) return hc_expr_const(p->tree, M_PI);
  if (same_name(at, n, "e")) return hc_expr_const(p->tree, M_E);
  if (function >= 0) return fail(p, at, "the function %s needs its arguments in parentheses", FUNCTIONS[function].name);
  return fail_unknown(p, at, n, 0);
}

static int parse_primary(Parser *p) {
  char found[48];
  const char c = next(p);
  if (p->failed) return 0;
  if (isdigit((unsigned char)c) || c == '.') return parse_number(p);
  if (name_length(p->at)) return parse_name(p);
  if (c == '(') {
    const char *open = p->at++;
    const int r = parse_choice(p);
    if (p->failed || accept(p, ")")) return r;
    if (next(p) == 0) return fail(p, open, "this parenthesis is never closed");
    return fail(p, p->at, "expected ')' or an operator, found %s", describe(p->at, found));
  }
  return fail(p, p->at, "expected a number, a name or '(', found %s", describe(p->at, found));
}

/* unary = (- | + | !) unary | primary [^ unary] */
static int parse_unary(Parser *p) {
  int r = 0;
  if (!enter(p)) return 0;
  if (accept(p, "-"))
    r = hc_expr_1(p->tree, OP_NEG, parse_unary(p));
  else if (accept(p, "+"))
    r = parse_unary(p);
  else if (next(p) == '!' && p->at[1] != '=') {
    ++p->at;
    r = hc_expr_1(p->tree, OP_NOT, parse_unary(p));
  } else {
    r = parse_primary(p);
    if (!p->failed && next(p) == '*' && p->at[1] == '*') r = fail(p, p->at, "a power is written x^2");
    if (accept(p, "^")) r = hc_expr_2(p->tree, OP_POW, r, parse_unary(p));
  }
  --p->depth;
  return r;
}

static int parse_product(Parser *p) {
  int r = parse_unary(p);
  for (;;) {
    if (accept(p, "*"))
      r = hc_expr_2(p->tree, OP_MUL, r, parse_unary(p));
    else if (accept(p, "/"))
      r = hc_expr_2(p->tree, OP_DIV, r, parse_unary(p));
    else
      return r;
  }
}

static int parse_sum(Parser *p) {
  int r = parse_product(p);
  for (;;) {
    if (accept(p, "+"))
      r = hc_expr_2(p->tree, OP_ADD, r, parse_product(p));
    else if (accept(p, "-"))
      r = hc_expr_2(p->tree, OP_SUB, r, parse_product(p));
    else
      return r;
  }
}

static int parse_comparison(Parser *p) {
  static const char *const symbol[] = {"<=", ">=", "==", "!=", "<", ">"};
  const int a = parse_sum(p);
  int s = 0, b;
  while (s < 6 && !accept(p, symbol[s])) ++s;
  if (p->failed) return 0;
  if (s == 6) {
    if (next(p) == '=') return fail(p, p->at, "equality is written ==");
    return a;
  }
  b = parse_sum(p);
  if (!p->failed && (next(p) == '<' || *p->at == '>' || ((*p->at == '=' || *p->at == '!') && p->at[1] == '=')))
    return fail(p, p->at, "comparisons do not chain: write a < b && b < c");
  switch (s) {
  case 0:
    return hc_expr_2(p->tree, OP_LE, a, b);
  case 1:
    return hc_expr_2(p->tree, OP_LE, b, a);
  case 2:
    return hc_expr_2(p->tree, OP_EQ, a, b);
  case 3:
    return hc_expr_2(p->tree, OP_NE, a, b);
  case 4:
    return hc_expr_2(p->tree, OP_LT, a, b);
  default:
    return hc_expr_2(p->tree, OP_LT, b, a);
  }
}

static int parse_and(Parser *p) {
  int r = parse_comparison(p);
  while (accept(p, "&&")) r = hc_expr_2(p->tree, OP_AND, r, parse_comparison(p));
  if (!p->failed && next(p) == '&') return fail(p, p->at, "and is written &&");
  return r;
}

static int parse_or(Parser *p) {
  int r = parse_and(p);
  while (accept(p, "||")) r = hc_expr_2(p->tree, OP_OR, r, parse_and(p));
  if (!p->failed && next(p) == '|') return fail(p, p->at, "or is written ||");
  return r;
}

static int parse_choice(Parser *p) {
  int r = 0;
  if (p->failed || !enter(p)) return 0;
  r = parse_or(p);
  if (accept(p, "?")) {
    const char *mark = p->at - 1;
    const int yes = parse_choice(p);
    if (!p->failed && !accept(p, ":")) fail(p, mark, "this '?' has no ':'");
    r = hc_expr_3(p->tree, OP_SELECT, r, yes, parse_choice(p));
  }
  --p->depth;
  return r;
}

int hc_expr_parse(ExprTree *t, const char *text, int nvars, const char *const names[], char *error) {
  Parser p = {.text = text, .at = text, .nvars = nvars, .names = names, .error = error, .tree = t};
  char found[48];
  int root;
  error[0] = 0;
  if (nvars > EXPR_MAX_VARS) return snprintf(error, ERROR_SIZE, "more than %d variables", EXPR_MAX_VARS), -1;
  if (strlen(text) > EXPR_MAX_TEXT)
    return snprintf(error, ERROR_SIZE, "the formula is longer than %d characters", EXPR_MAX_TEXT), -1;
  if (next(&p) == 0) return snprintf(error, ERROR_SIZE, "column 1: the formula is empty"), -1;
  root = parse_choice(&p);
  if (!p.failed && next(&p)) {
    if (*p.at == ')')
      fail(&p, p.at, "')' without its '('");
    else if (name_length(p.at) || isdigit((unsigned char)*p.at) || *p.at == '(')
      fail(&p, p.at, "expected an operator, found %s (products are written with *)", describe(p.at, found));
    else
      fail(&p, p.at, "expected an operator, found %s", describe(p.at, found));
  }
  if (!p.failed && t->failed) fail(&p, text, "the formula is too large");
  return p.failed ? -1 : root;
}
