/* The tables: their rows' present values, the checks, and the getters. */
#include "options_private.h"
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

HcRow *HcOptionsRow(HcOptions opts, const char *key) {
  for (int i = 0; i < opts->nrow; ++i)
    if (!strcmp(opts->row[i].opt->key, key)) return &opts->row[i];
  return NULL;
}

const HcGiven *HcOptionsGiven(HcOptions opts, const char *key) {
  for (int i = 0; i < opts->ngiven; ++i)
    if (!strcmp(opts->given[i].key, key)) return &opts->given[i];
  return NULL;
}

static void take_given(HcOptions opts, HcRow *row) {
  const HcGiven *g = HcOptionsGiven(opts, row->opt->key);
  if (!g) return;
  row->given = g;
  row->origin = g->origin;
  row->value = g->value ? g->value : row->opt->type == HC_OPT_BOOL ? "true" : "";
}

PetscErrorCode HcOptionsAddTable(HcOptions opts, const HcOption table[]) {
  PetscFunctionBeginUser;
  for (const HcOption *o = table; o->key; ++o) {
    HcRow *row = HcOptionsRow(opts, o->key);
    if (!row) {
      if (opts->nrow == opts->room_row) {
        opts->room_row = 2 * opts->room_row + 64;
        opts->row = realloc(opts->row, (size_t)opts->room_row * sizeof *opts->row);
        if (!opts->row) abort();
      }
      row = &opts->row[opts->nrow++];
    }
    *row = (HcRow){.opt = o, .value = o->def, .origin = HC_FROM_DEFAULT};
    take_given(opts, row);
  }
  PetscFunctionReturn(0);
}

PetscErrorCode HcOptionsApplyProblem(HcOptions opts, const HcProblem *problem) {
  PetscFunctionBeginUser;
  opts->problem = problem->name;
  for (const char *const *s = problem->set; s && s[0]; s += 2) {
    HcRow *row = HcOptionsRow(opts, s[0]);
    PetscCheck(row, PETSC_COMM_SELF, PETSC_ERR_PLIB, "problem %s sets %s, which is in no table", problem->name, s[0]);
    if (row->origin > HC_FROM_PROBLEM) continue;
    row->value = s[1];
    row->origin = HC_FROM_PROBLEM;
  }
  PetscFunctionReturn(0);
}

/* "<where>: <key> = '<value>'" */
static void describe(HcOptions opts, const char *key, char *out, size_t size) {
  const HcRow *row = HcOptionsRow(opts, key);
  const HcGiven *g = HcOptionsGiven(opts, key);
  const char *value = row ? row->value : g ? g->value : NULL;
  int n;
  if (g && g->origin == HC_FROM_FILE)
    n = snprintf(out, size, "%s:%d:%d: ", opts->file, g->line, g->column);
  else if (g)
    n = snprintf(out, size, "command line: ");
  else if (row && row->origin == HC_FROM_PROBLEM)
    n = snprintf(out, size, "problem '%s': ", opts->problem);
  else
    n = opts->file ? snprintf(out, size, "%s: ", opts->file) : snprintf(out, size, "command line: ");
  if (value && *value)
    snprintf(out + n, size - (size_t)n, "%s = '%.80s%s'", key, value, strlen(value) > 80 ? "..." : "");
  else
    snprintf(out + n, size - (size_t)n, "%s", key);
}

PetscErrorCode HcOptionsFail(HcOptions opts, const char *key, const char *fmt, ...) {
  char what[PETSC_MAX_PATH_LEN], sentence[1024];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(sentence, sizeof sentence, fmt, ap);
  va_end(ap);
  describe(opts, key, what, sizeof what);
  return HcFail(HC_EXIT_INPUT, "%s: %s", what, sentence);
}

/* A section where a value belongs, a value where a section belongs, or a slip of the pen. */
static PetscErrorCode unknown_key(HcOptions opts, const HcGiven *g) {
  const char *best = NULL, *model = "";
  int distance = INT_MAX;
  const size_t n = strlen(g->key);
  const HcRow *row = HcOptionsRow(opts, "model");
  PetscFunctionBeginUser;
  if (row && row->value) model = row->value;
  if (*g->section && HcOptionsRow(opts, g->section))
    PetscCall(HcOptionsFail(opts, g->key, "%s is a single value, not a section", g->section));
  for (int i = 0; i < opts->nrow; ++i) {
    const char *key = opts->row[i].opt->key;
    if (!strncmp(key, g->key, n) && key[n] == '_' && !strchr(g->key, '_'))
      PetscCall(HcOptionsFail(opts, g->key, "%s is a section (%s: {%s: ...}), not a value", g->key, g->key, key + n + 1));
    if (!HcOptionsIsAction(key) || g->origin == HC_FROM_ARGS) HcNearestOffer(g->key, key, &best, &distance);
  }
  if (best && HcNearestIsNear(g->key, distance)) PetscCall(HcOptionsFail(opts, g->key, "unknown key (did you mean '%s'?)", best));
  if (*model) PetscCall(HcOptionsFail(opts, g->key, "unknown key for model '%s' (nearest: '%s'; -help lists all)", model, best));
  PetscCall(HcOptionsFail(opts, g->key, "unknown key (nearest: '%s'; -help lists all)", best));
  PetscFunctionReturn(0);
}

static PetscErrorCode check_row(HcOptions opts, const HcRow *row) {
  char why[HC_WHY];
  PetscFunctionBeginUser;
  if (HcValueCheck(row->opt, row->value, why)) PetscCall(HcOptionsFail(opts, row->opt->key, "%s", why));
  PetscFunctionReturn(0);
}

PetscErrorCode HcOptionsCheck(HcOptions opts) {
  PetscFunctionBeginUser;
  for (int i = 0; i < opts->ngiven; ++i) {
    HcGiven *g = &opts->given[i];
    const HcRow *row = HcOptionsRow(opts, g->key);
    if (!row) {
      g->petsc = HcOptionsIsPetsc(g->key);
      if (!g->petsc) PetscCall(unknown_key(opts, g));
      continue;
    }
    if (!g->value && row->opt->type != HC_OPT_BOOL && !HcOptionsIsAction(g->key))
      PetscCall(HcOptionsFail(opts, g->key, "needs a value (%s)", row->opt->help));
    if (*row->value)
      PetscCall(check_row(opts, row));
    else if (!HcOptionsIsAction(g->key))
      PetscCall(HcOptionsFail(opts, g->key, "is empty"));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode HcOptionsCheckUsed(HcOptions opts, const char *model) {
  PetscFunctionBeginUser;
  for (int i = 0; i < opts->nrow; ++i) {
    const HcRow *row = &opts->row[i];
    if (!row->given || row->used) continue;
    if (opts->problem)
      PetscCall(HcOptionsFail(
        opts, row->opt->key, "is not used by model '%s' with problem '%s' and these settings", model, opts->problem));
    PetscCall(HcOptionsFail(opts, row->opt->key, "is not used by model '%s' with these settings", model));
  }
  PetscFunctionReturn(0);
}

PetscBool HcOptionsIsSet(HcOptions opts, const char *key) {
  const HcRow *row = HcOptionsRow(opts, key);
  return row && row->origin >= HC_FROM_PROBLEM ? PETSC_TRUE : PETSC_FALSE;
}

PetscErrorCode HcOptionsSetDerived(HcOptions opts, const char *key, const char *value) {
  PetscFunctionBeginUser;
  HcRow *row = HcOptionsRow(opts, key);
  PetscCheck(row, PETSC_COMM_SELF, PETSC_ERR_PLIB, "option %s is in no table", key);
  if (row->origin > HC_FROM_DERIVED) PetscFunctionReturn(0);
  free(row->owned);
  row->owned = strdup(value);
  if (!row->owned) abort();
  row->value = row->owned;
  row->origin = HC_FROM_DERIVED;
  PetscFunctionReturn(0);
}
