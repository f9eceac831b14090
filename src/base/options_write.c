/* What the options look like written out: the resolved input, -help, and the reference of the docs. */
#include "options_private.h"
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The length of the section's name in a key: "grid" of grid_cells; 0 if the key stands at the top level. */
static int section_length(const char *key) {
  const char *bar = strchr(key, '_');
  return bar ? (int)(bar - key) : 0;
}

/* A scalar that any YAML reader takes for the same text. */
static void write_scalar(FILE *f, const char *v) {
  PetscBool plain = *v ? PETSC_TRUE : PETSC_FALSE, control = PETSC_FALSE;
  char *end;
  strtod(v, &end);
  if (*v && *end) { /* not a number: words of letters, digits, _ and / only */
    plain = isalpha((unsigned char)*v) ? PETSC_TRUE : PETSC_FALSE;
    for (const char *p = v; *p; ++p)
      plain = plain && (isalnum((unsigned char)*p) || strchr("_/.-", *p)) ? PETSC_TRUE : PETSC_FALSE;
    if (!strcasecmp(v, "null")) plain = PETSC_FALSE;
  }
  for (const char *p = v; *p; ++p) control = control || (unsigned char)*p < 0x20 || *p == 0x7f ? PETSC_TRUE : PETSC_FALSE;
  if (control) {
    fputc('"', f);
    for (const char *p = v; *p; ++p) {
      if ((unsigned char)*p < 0x20 || *p == 0x7f)
        fprintf(f, "\\x%02x", (unsigned char)*p);
      else if (*p == '"' || *p == '\\')
        fprintf(f, "\\%c", *p);
      else
        fputc(*p, f);
    }
    fputc('"', f);
  } else if (plain)
    fputs(v, f);
  else {
    fputc('\'', f);
    for (const char *p = v; *p; ++p) fputs(*p == '\'' ? "''" : (char[2]){*p, 0}, f);
    fputc('\'', f);
  }
}

static PetscBool names_file(const HcOption *opt, const char *value) {
  if (opt->type == HC_OPT_FILE) return PETSC_TRUE;
  if (opt->type != HC_OPT_FIELD) return PETSC_FALSE;
  const size_t n = strlen(value);
  return strstr(value, ".h5:") || strstr(value, ".hdf5:") || (n > 4 && !strcasecmp(value + n - 4, ".png")) ? PETSC_TRUE
                                                                                                           : PETSC_FALSE;
}

/* The resolved input lies in the run directory: names of files become absolute. */
static PetscErrorCode portable_value(HcOptions opts, const HcRow *row, char **value) {
  char path[PETSC_MAX_PATH_LEN], folder[PATH_MAX];
  PetscFunctionBeginUser;
  *value = NULL;
  if (!names_file(row->opt, row->value) || row->value[0] == '/') {
    *value = strdup(row->value);
  } else if (realpath(*opts->folder ? opts->folder : ".", folder)) {
    snprintf(path, sizeof path, "%.*s/%s", (int)sizeof path / 2, folder, row->value);
    *value = strdup(path);
  } else {
    *value = strdup(row->value);
  }
  if (!*value) abort();
  PetscFunctionReturn(0);
}

static PetscErrorCode write_row(HcOptions opts, FILE *f, const HcRow *row, int indent, const char *name) {
  char *value;
  PetscFunctionBeginUser;
  PetscCall(portable_value(opts, row, &value));
  fprintf(f, "%*s%s: ", indent, "", name);
  write_scalar(f, value);
  fputc('\n', f);
  free(value);
  PetscFunctionReturn(0);
}

static PetscBool is_written(const HcRow *row) {
  return row->used && row->value && *row->value && !HcOptionsIsAction(row->opt->key) ? PETSC_TRUE : PETSC_FALSE;
}

PetscErrorCode HcOptionsWriteYaml(HcOptions opts, char **text) {
  char *buffer = NULL;
  size_t size = 0;
  PetscBool *done;
  PetscFunctionBeginUser;
  PetscCall(PetscCalloc1(opts->nrow + 1, &done));
  FILE *f = open_memstream(&buffer, &size);
  if (!f) abort();
  for (int i = 0; i < opts->nrow; ++i) {
    const HcRow *row = &opts->row[i];
    if (done[i] || !is_written(row)) continue;
    const int n = section_length(row->opt->key);
    if (!n) {
      PetscCall(write_row(opts, f, row, 0, row->opt->key));
      continue;
    }
    fprintf(f, "%.*s:\n", n, row->opt->key);
    for (int k = i; k < opts->nrow; ++k) {
      const HcRow *other = &opts->row[k];
      if (done[k] || !is_written(other) || section_length(other->opt->key) != n ||
          strncmp(other->opt->key, row->opt->key, (size_t)n))
        continue;
      PetscCall(write_row(opts, f, other, 2, other->opt->key + n + 1));
      done[k] = PETSC_TRUE;
    }
  }
  for (int i = 0; i < opts->ngiven; ++i) {
    if (!opts->given[i].petsc) continue;
    fprintf(f, "%s: ", opts->given[i].key);
    write_scalar(f, opts->given[i].value ? opts->given[i].value : "true");
    fputc('\n', f);
  }
  fclose(f);
  PetscCall(PetscFree(done));
  PetscCall(PetscStrallocpy(buffer, text));
  free(buffer);
  PetscFunctionReturn(0);
}

static const char *type_name(HcOptionType type) {
  switch (type) {
  case HC_OPT_BOOL:
    return "true or false";
  case HC_OPT_INT:
    return "integer";
  case HC_OPT_REAL:
    return "real";
  case HC_OPT_INTS:
    return "integers";
  case HC_OPT_REALS:
    return "reals";
  case HC_OPT_WORD:
    return "one of";
  case HC_OPT_WORDS:
    return "words of";
  case HC_OPT_TEXT:
    return "text";
  case HC_OPT_EXPRESSION:
    return "formula in";
  case HC_OPT_FIELD:
    return "formula or file.h5:/path or file.png; in";
  case HC_OPT_FILE:
    return "file";
  case HC_OPT_DURATION:
    return "hh:mm:ss or seconds";
  }
  return "";
}

static void print_allowed(FILE *f, const HcOption *o, const char *bar) {
  fputs(type_name(o->type), f);
  if (!o->allowed || !*o->allowed) return;
  fputc(' ', f);
  for (const char *p = o->allowed; *p; ++p) {
    if (*p == '|')
      fputs(bar, f);
    else
      fputc(*p, f);
  }
}

static void print_row(FILE *f, const HcOption *o) {
  fprintf(f, "  -%s  ", o->key);
  print_allowed(f, o, " | ");
  if (o->unit && *o->unit) fprintf(f, " [%s]", o->unit);
  if (!o->def)
    fprintf(f, " (must be given)");
  else if (*o->def)
    fprintf(f, " (default: %s)", o->def);
  fprintf(f, "\n      %s\n", o->help);
}

static void print_cell(FILE *f, const char *text) {
  for (const char *p = text; *p; ++p) fputs(*p == '|' ? "\\|" : (char[2]){*p, 0}, f);
}

static void print_markdown_row(FILE *f, const HcOption *o) {
  fprintf(f, "| `%s` | ", o->key);
  print_allowed(f, o, ", ");
  fprintf(f, " | %s | ", o->unit ? o->unit : "");
  if (!o->def)
    fputs("must be given", f);
  else if (*o->def)
    fputc('`', f), print_cell(f, o->def), fputc('`', f);
  fputs(" | ", f);
  print_cell(f, o->help);
  fputs(" |\n", f);
}

/* One heading a section, in the order in which the tables were added. */
PetscErrorCode HcOptionsPrintHelp(HcOptions opts, PetscBool markdown) {
  PetscBool *done;
  PetscFunctionBeginUser;
  if (opts->rank) PetscFunctionReturn(0);
  done = calloc((size_t)opts->nrow + 1, sizeof *done);
  if (!done) abort();
  for (int i = 0; i < opts->nrow; ++i) {
    if (done[i]) continue;
    const char *key = opts->row[i].opt->key;
    const PetscBool action = HcOptionsIsAction(key);
    const int n = action ? 0 : section_length(key);
    const char *heading = action ? "Command line" : n ? NULL : "What is run";
    if (heading)
      printf(markdown ? "\n## %s\n\n" : "\n%s\n", heading);
    else
      printf(markdown ? "\n## `%.*s:`\n\n" : "\n%.*s:\n", n, key);
    if (markdown) printf("| key | value | unit | default | meaning |\n|---|---|---|---|---|\n");
    for (int k = i; k < opts->nrow; ++k) {
      const HcOption *o = opts->row[k].opt;
      const PetscBool same = HcOptionsIsAction(o->key) == action;
      if (done[k] || !same || (!action && section_length(o->key) != n) || (n && strncmp(o->key, key, (size_t)n))) continue;
      done[k] = PETSC_TRUE;
      if (markdown)
        print_markdown_row(stdout, o);
      else
        print_row(stdout, o);
    }
  }
  free(done);
  if (!markdown)
    printf("\nKeys of the input file are the same without the dash, nested at the first _ (grid: {cells: \"64,64\"} is "
           "-grid_cells 64,64).\n"
           "Options of PETSc pass through: -log_view, -hjb_ksp_type gmres, ...\n");
  fflush(stdout);
  PetscFunctionReturn(0);
}
