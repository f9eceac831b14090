/* Typed getters. */
#include "options_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The row of a key, marked as used; *text is "" when the key is unset. */
static PetscErrorCode look_up(HcOptions opts, const char *key, const char **text, const HcOption **opt) {
  char why[HC_WHY];
  PetscFunctionBeginUser;
  HcRow *row = HcOptionsRow(opts, key);
  PetscCheck(row, PETSC_COMM_SELF, PETSC_ERR_PLIB, "option %s is in no table", key);
  row->used = PETSC_TRUE;
  if (!row->value) PetscCall(HcOptionsFail(opts, key, "is missing (%s)", row->opt->help));
  if (*row->value && HcValueCheck(row->opt, row->value, why)) PetscCall(HcOptionsFail(opts, key, "%s", why));
  *text = row->value;
  *opt = row->opt;
  PetscFunctionReturn(0);
}

PetscErrorCode HcOptionsGetText(HcOptions opts, const char *key, const char **text) {
  const HcOption *opt = NULL;
  PetscFunctionBeginUser;
  PetscCall(look_up(opts, key, text, &opt));
  PetscFunctionReturn(0);
}

PetscErrorCode HcOptionsGetBool(HcOptions opts, const char *key, PetscBool *value) {
  const HcOption *opt = NULL;
  const char *text = "";
  char why[HC_WHY];
  PetscFunctionBeginUser;
  PetscCall(look_up(opts, key, &text, &opt));
  if (*text) HcValueBool(text, value, why);
  PetscFunctionReturn(0);
}

PetscErrorCode HcOptionsGetInt(HcOptions opts, const char *key, PetscInt *value) {
  const HcOption *opt = NULL;
  const char *text = "";
  char why[HC_WHY];
  PetscFunctionBeginUser;
  PetscCall(look_up(opts, key, &text, &opt));
  if (*text) HcValueInt(text, value, why);
  PetscFunctionReturn(0);
}

PetscErrorCode HcOptionsGetReal(HcOptions opts, const char *key, PetscReal *value) {
  const HcOption *opt = NULL;
  const char *text = "";
  char why[HC_WHY];
  PetscFunctionBeginUser;
  PetscCall(look_up(opts, key, &text, &opt));
  if (*text && opt->type == HC_OPT_DURATION)
    HcValueDuration(text, value, why);
  else if (*text)
    HcValueReal(text, value, why);
  PetscFunctionReturn(0);
}

PetscErrorCode HcOptionsGetWord(HcOptions opts, const char *key, PetscInt *index) {
  const HcOption *opt = NULL;
  const char *text = "";
  char why[HC_WHY];
  PetscFunctionBeginUser;
  PetscCall(look_up(opts, key, &text, &opt));
  *index = -1;
  if (*text) HcValueWord(text, opt->allowed, index, why);
  PetscFunctionReturn(0);
}

typedef enum { LIST_INTS, LIST_REALS, LIST_WORDS } ListKind;

static PetscErrorCode get_list(HcOptions opts, const char *key, ListKind kind, PetscInt *n, PetscInt *ints, PetscReal *reals) {
  const HcOption *opt = NULL;
  const char *text = "";
  char item[256], why[HC_WHY];
  PetscInt count = 0;
  PetscFunctionBeginUser;
  PetscCall(look_up(opts, key, &text, &opt));
  for (const char *rest = text; *rest;) {
    rest = HcValueNext(rest, item, sizeof item);
    if (count == *n) PetscCall(HcOptionsFail(opts, key, "has more than %d value%s", (int)*n, *n == 1 ? "" : "s"));
    if (kind == LIST_INTS) HcValueInt(item, &ints[count], why);
    if (kind == LIST_REALS) HcValueReal(item, &reals[count], why);
    if (kind == LIST_WORDS) HcValueWord(item, opt->allowed, &ints[count], why);
    ++count;
  }
  *n = count;
  PetscFunctionReturn(0);
}

PetscErrorCode HcOptionsGetInts(HcOptions opts, const char *key, PetscInt *n, PetscInt value[]) {
  PetscFunctionBeginUser;
  PetscCall(get_list(opts, key, LIST_INTS, n, value, NULL));
  PetscFunctionReturn(0);
}

PetscErrorCode HcOptionsGetReals(HcOptions opts, const char *key, PetscInt *n, PetscReal value[]) {
  PetscFunctionBeginUser;
  PetscCall(get_list(opts, key, LIST_REALS, n, NULL, value));
  PetscFunctionReturn(0);
}

PetscErrorCode HcOptionsGetWords(HcOptions opts, const char *key, PetscInt *n, PetscInt index[]) {
  PetscFunctionBeginUser;
  PetscCall(get_list(opts, key, LIST_WORDS, n, index, NULL));
  PetscFunctionReturn(0);
}

PetscErrorCode HcOptionsResolvePath(HcOptions opts, const char *name, char path[PETSC_MAX_PATH_LEN]) {
  int n;
  PetscFunctionBeginUser;
  if (!*name || *name == '/' || !*opts->folder)
    n = snprintf(path, PETSC_MAX_PATH_LEN, "%s", name);
  else
    n = snprintf(path, PETSC_MAX_PATH_LEN, "%s/%s", opts->folder, name);
  if (n >= PETSC_MAX_PATH_LEN)
    PetscCall(HcFail(HC_EXIT_INPUT, "the path '%.60s...' is longer than %d characters", name, PETSC_MAX_PATH_LEN));
  PetscFunctionReturn(0);
}

PetscErrorCode HcOptionsGetPath(HcOptions opts, const char *key, char path[PETSC_MAX_PATH_LEN]) {
  const char *text = "";
  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetText(opts, key, &text));
  PetscCall(HcOptionsResolvePath(opts, text, path));
  PetscFunctionReturn(0);
}
