/* A field of space given by the user: a formula, or data of a file brought to our cells once (source_file.c). */
#include "source.h"
#include "base/options_private.h"
#include "source_file.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SPACE_TIME = 4, MOST_NAMES = 32 };

struct HcSource_ {
  HcGrid grid;
  HcExpr formula; /* NULL for a file */
  int names;      /* beyond x,y,z,t */
  double *centre; /* of x, from local index -HC_MAX_WIDTH on */
  double *values; /* of a file: [n2][n1][n0] */
  PetscBool picture;
};

/* Is the name in a comma-separated list? */
static PetscBool listed(const char *list, const char *name) {
  const size_t n = strlen(name);
  for (const char *p = list; p && *p; p += strcspn(p, ","), p += *p == ',') {
    p += strspn(p, " ");
    if (!strncmp(p, name, n) && (p[n] == ',' || p[n] == ' ' || !p[n])) return PETSC_TRUE;
  }
  return PETSC_FALSE;
}

/* A formula sees x,y,z,t and the caller's names; what the option's row does not list is refused by name. */
static PetscErrorCode make_formula(
  HcOptions opts, const char *key, const HcOption *row, const char *text, int nnames, const char *const names[], HcSource src) {
  const char *all[MOST_NAMES] = {"x", "y", "z", "t"};
  char error[256];
  HcGrid g = src->grid;
  PetscFunctionBeginUser;
  PetscCheck(SPACE_TIME + nnames <= MOST_NAMES, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "%d names are too many", nnames);
  for (int i = 0; i < nnames; ++i) all[SPACE_TIME + i] = names[i];
  src->names = nnames;
  if (HcExprParse(text, SPACE_TIME + nnames, all, &src->formula, error)) PetscCall(HcOptionsFail(opts, key, "%s", error));
  for (int v = 0; v < SPACE_TIME + nnames; ++v)
    if (*row->allowed && HcExprUses(src->formula, v) && !listed(row->allowed, all[v]))
      PetscCall(HcOptionsFail(opts, key, "cannot depend on '%s'; it is a formula in %s", all[v], row->allowed));
  PetscCall(PetscMalloc1(g->n[0] + 2 * HC_MAX_WIDTH, &src->centre));
  for (PetscInt i = 0; i < g->n[0] + 2 * HC_MAX_WIDTH; ++i) src->centre[i] = HcGridCentre(g, 0, i - HC_MAX_WIDTH);
  PetscFunctionReturn(0);
}

static PetscBool ends_with(const char *text, const char *end) {
  const size_t n = strlen(text), m = strlen(end);
  return n > m && !strcasecmp(text + n - m, end) ? PETSC_TRUE : PETSC_FALSE;
}

static PetscErrorCode make(
  HcOptions opts, const char *key, const char *text, int nnames, const char *const names[], HcSource src) {
  const HcOption *row = HcOptionsRow(opts, key)->opt;
  const PetscBool picture = ends_with(text, ".png"), data = hc_inner_path(text) ? PETSC_TRUE : PETSC_FALSE;
  PetscFunctionBeginUser;
  if (ends_with(text, ".h5") || ends_with(text, ".hdf5"))
    PetscCall(HcOptionsFail(opts, key, "name the data set in the file too, as in '%s:/density'", text));
  if ((picture || data) && row->type == HC_OPT_EXPRESSION) PetscCall(HcOptionsFail(opts, key, "must be a formula, not a file"));
  if (picture)
    PetscCall(hc_sample_picture(opts, key, text, src->grid, &src->values));
  else if (data)
    PetscCall(hc_sample_hdf5(opts, key, text, src->grid, &src->values));
  else
    PetscCall(make_formula(opts, key, row, text, nnames, names, src));
  src->picture = picture;
  PetscFunctionReturn(0);
}

PetscErrorCode HcSourceCreate(
  HcOptions opts, const char *key, HcGrid grid, int nnames, const char *const names[], HcSource *src) {
  const char *text;
  HcSource s;
  PetscFunctionBeginUser;
  *src = NULL;
  PetscCall(HcOptionsGetText(opts, key, &text));
  if (!*text) PetscFunctionReturn(0);
  PetscCall(PetscNew(&s));
  s->grid = grid;
  PetscErrorCode code = make(opts, key, text, nnames, names, s);
  if (code) {
    PetscCall(HcSourceDestroy(&s));
    PetscFunctionReturn(code);
  }
  *src = s;
  PetscFunctionReturn(0);
}

PetscErrorCode HcSourceDestroy(HcSource *src) {
  HcSource s = *src;
  PetscFunctionBeginUser;
  if (!s) PetscFunctionReturn(0);
  HcExprDestroy(&s->formula);
  PetscCall(PetscFree(s->centre));
  PetscCall(PetscFree(s->values));
  PetscCall(PetscFree(*src));
  PetscFunctionReturn(0);
}

PetscBool HcSourceUsesTime(HcSource src) { return src->formula && HcExprUses(src->formula, 3) ? PETSC_TRUE : PETSC_FALSE; }

PetscBool HcSourceUses(HcSource src, int k) {
  return src->formula && k < src->names && HcExprUses(src->formula, SPACE_TIME + k) ? PETSC_TRUE : PETSC_FALSE;
}

HcExpr hc_source_formula(HcSource src) { return src->formula; }

PetscBool hc_source_is_picture(HcSource src) { return src->picture; }

PetscErrorCode HcSourceEvalRow(
  HcSource src, PetscInt i0, PetscInt n, PetscInt j, PetscInt k, double t, const double *const extra[], double *out) {
  HcGrid g = src->grid;
  PetscFunctionBeginUser;
  if (src->formula) {
    const double y = HcGridCentre(g, 1, j), z = HcGridCentre(g, 2, k);
    HcExprArg args[MOST_NAMES] = {{src->centre + i0 + HC_MAX_WIDTH, 1}, {&y, 0}, {&z, 0}, {&t, 0}};
    for (int q = 0; q < src->names; ++q) args[SPACE_TIME + q] = (HcExprArg){extra ? extra[q] : NULL, 1};
    HcExprEval(src->formula, (size_t)n, args, out);
    PetscFunctionReturn(0);
  }
  PetscCheck(i0 >= 0 && i0 + n <= g->n[0] && j >= 0 && j < g->n[1] && k >= 0 && k < g->n[2], PETSC_COMM_SELF,
    PETSC_ERR_ARG_OUTOFRANGE, "data of a file are known at owned cells only");
  memcpy(out, src->values + ((size_t)k * (size_t)g->n[1] + (size_t)j) * (size_t)g->n[0] + i0, (size_t)n * sizeof *out);
  PetscFunctionReturn(0);
}

PetscErrorCode HcSourceEvalField(HcSource src, double t, HcField f, int c) {
  HcGrid g = src->grid;
  PetscFunctionBeginUser;
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      PetscCall(HcSourceEvalRow(src, 0, g->n[0], j, k, t, NULL, f->c[c] + j * f->stride[1] + k * f->stride[2]));
  PetscFunctionReturn(0);
}
