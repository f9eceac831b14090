/* Where the options come from: the command line and the text of the input file. */
#include "options_private.h"
#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* An input is written by hand: whatever is larger is some other file. */
enum { MAX_FILE = 1 << 20 };

static const struct {
  const char *key;
  PetscBool in_file; /* may also stand in an input file */
} actions[] = {{"help", PETSC_FALSE}, {"list", PETSC_FALSE}, {"version", PETSC_FALSE}, {"dry_run", PETSC_FALSE},
  {"restart", PETSC_FALSE}, {"restart_auto", PETSC_FALSE}, {"run_overwrite", PETSC_TRUE}, {NULL, PETSC_FALSE}};

PetscBool HcOptionsIsAction(const char *key) {
  for (int i = 0; actions[i].key; ++i)
    if (!strcmp(key, actions[i].key)) return PETSC_TRUE;
  return PETSC_FALSE;
}

static PetscBool only_on_command_line(const char *key) {
  for (int i = 0; actions[i].key; ++i)
    if (!strcmp(key, actions[i].key)) return actions[i].in_file ? PETSC_FALSE : PETSC_TRUE;
  return PETSC_FALSE;
}

static char *copy(const char *text) {
  char *c = strdup(text);
  if (!c) abort(); /* a few bytes at the very start */
  return c;
}

PetscErrorCode HcOptionsAddGiven(
  HcOptions opts, const char *section, const char *key, const char *value, HcOrigin origin, int line, int column) {
  HcGiven *g = NULL;
  PetscFunctionBeginUser;
  for (int i = 0; i < opts->ngiven; ++i)
    if (!strcmp(opts->given[i].key, key)) g = &opts->given[i];
  if (origin == HC_FROM_FILE) {
    if (only_on_command_line(key))
      PetscCall(HcFail(HC_EXIT_INPUT, "%s:%d:%d: %s belongs on the command line (-%s)", opts->file, line, column, key, key));
    if (g && g->origin == HC_FROM_FILE)
      PetscCall(HcFail(HC_EXIT_INPUT, "%s:%d:%d: %s is given twice (first in line %d)", opts->file, line, column, key, g->line));
    if (g) PetscFunctionReturn(0); /* the command line, read before, wins */
  }
  if (!g) {
    if (opts->ngiven == opts->room_given) {
      opts->room_given = 2 * opts->room_given + 32;
      opts->given = realloc(opts->given, (size_t)opts->room_given * sizeof *opts->given);
      if (!opts->given) abort();
    }
    g = &opts->given[opts->ngiven++];
    memset(g, 0, sizeof *g);
    g->dashed = malloc(strlen(key) + 2);
    if (!g->dashed) abort();
    sprintf(g->dashed, "-%s", key);
    g->key = g->dashed + 1;
  }
  free(g->value);
  free(g->section);
  g->value = value ? copy(value) : NULL;
  g->section = copy(section);
  g->origin = origin;
  g->line = line;
  g->column = column;
  PetscFunctionReturn(0);
}

/* -name or --name, where the name is a word: so -1,-1 and -cos(x) are values. */
static const char *key_of(const char *arg) {
  if (*arg != '-') return NULL;
  const char *key = arg + (arg[1] == '-' ? 2 : 1);
  if (!isalpha((unsigned char)*key)) return NULL;
  for (const char *p = key; *p; ++p)
    if (!isalnum((unsigned char)*p) && *p != '_') return NULL;
  return key;
}

static PetscBool is_yaml_name(const char *arg) {
  const char *dot = strrchr(arg, '.');
  return dot && (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml")) ? PETSC_TRUE : PETSC_FALSE;
}

/* Does this word follow the key as its value? Commands take only what can be meant for them, so that the input file may
 * stand behind them. */
static PetscBool takes(const char *key, const char *next) {
  PetscBool b;
  char why[HC_WHY];
  if (!next || key_of(next)) return PETSC_FALSE;
  if (!HcOptionsIsAction(key)) return PETSC_TRUE;
  if (!strcmp(key, "restart")) return is_yaml_name(next) ? PETSC_FALSE : PETSC_TRUE;
  if (!strcmp(key, "help")) return !strcmp(next, "markdown") ? PETSC_TRUE : PETSC_FALSE;
  return HcValueBool(next, &b, why) ? PETSC_FALSE : PETSC_TRUE;
}

static PetscErrorCode read_arguments(HcOptions opts, int argc, char **argv) {
  PetscFunctionBeginUser;
  for (int i = 1; i < argc; ++i) {
    const char *key = key_of(argv[i]), *value = NULL;
    if (!key) {
      if (argv[i][0] == '-')
        PetscCall(HcFail(HC_EXIT_INPUT, "command line: '%s' is neither an option nor an input file", argv[i]));
      if (opts->file)
        PetscCall(
          HcFail(HC_EXIT_INPUT, "command line: '%s' is one argument too many (the input file is '%s')", argv[i], opts->file));
      opts->file = copy(argv[i]);
      continue;
    }
    if (takes(key, i + 1 < argc ? argv[i + 1] : NULL)) value = argv[++i];
    /* a flag of some solver swallowed the input file */
    if (value && !opts->file && is_yaml_name(value) && i == argc - 1) {
      opts->file = copy(value);
      value = NULL;
    }
    PetscCall(HcOptionsAddGiven(opts, "", key, value, HC_FROM_ARGS, 0, 0));
  }
  PetscFunctionReturn(0);
}

/* Rank 0 only: the whole file in opts->text. */
static PetscErrorCode read_file(HcOptions opts) {
  struct stat st;
  PetscFunctionBeginUser;
  FILE *f = fopen(opts->file, "rb");
  if (!f) PetscCall(HcFail(HC_EXIT_INPUT, "%s: cannot open the input file: %s", opts->file, strerror(errno)));
  PetscErrorCode err = 0;
  size_t n = 0;
  opts->text = malloc(MAX_FILE + 1);
  if (!opts->text) abort();
  if (!fstat(fileno(f), &st) && S_ISDIR(st.st_mode))
    err = HcFail(HC_EXIT_INPUT, "%s: is a directory, not an input file", opts->file);
  else {
    n = fread(opts->text, 1, MAX_FILE + 1, f);
    if (ferror(f))
      err = HcFail(HC_EXIT_INPUT, "%s: cannot read the input file: %s", opts->file, strerror(errno));
    else if (n > MAX_FILE)
      err = HcFail(HC_EXIT_INPUT, "%s: larger than 1 MiB: not an input file", opts->file);
    else if (memchr(opts->text, 0, n))
      err = HcFail(HC_EXIT_INPUT, "%s: holds zero bytes: not a text file", opts->file);
    else
      opts->text[n] = 0;
  }
  fclose(f);
  PetscCall(err);
  PetscFunctionReturn(0);
}

static PetscErrorCode share_file(HcOptions opts) {
  PetscFunctionBeginUser;
  const PetscErrorCode err = opts->rank ? 0 : read_file(opts);
  PetscCall(HcAgree(opts->comm, err));
  int n = opts->rank ? 0 : (int)strlen(opts->text);
  PetscCallMPI(MPI_Bcast(&n, 1, MPI_INT, 0, opts->comm));
  if (opts->rank) opts->text = calloc((size_t)n + 1, 1);
  if (!opts->text) abort();
  PetscCallMPI(MPI_Bcast(opts->text, n + 1, MPI_CHAR, 0, opts->comm));
  PetscFunctionReturn(0);
}

static void name_parts(HcOptions opts) {
  char *path = copy(opts->file ? opts->file : "");
  const char *base = basename(path);
  opts->name = copy(strcmp(base, ".") ? base : "");
  if (is_yaml_name(opts->name)) *strrchr(opts->name, '.') = 0;
  free(path);
  const char *slash = opts->file ? strrchr(opts->file, '/') : NULL;
  opts->folder = copy("");
  if (slash) {
    const size_t n = slash == opts->file ? 1 : (size_t)(slash - opts->file);
    free(opts->folder);
    opts->folder = strndup(opts->file, n);
    if (!opts->folder) abort();
  }
}

PetscErrorCode HcOptionsCreate(MPI_Comm comm, int argc, char **argv, HcOptions *options) {
  PetscFunctionBeginUser;
  HcOptions opts = calloc(1, sizeof *opts);
  if (!opts) abort();
  *options = opts;
  opts->comm = comm;
  PetscCallMPI(MPI_Comm_rank(comm, &opts->rank));
  opts->program = copy(argc > 0 ? argv[0] : "halocline");
  PetscCall(read_arguments(opts, argc, argv));
  name_parts(opts);
  if (opts->file) {
    PetscCall(share_file(opts));
    PetscCall(HcOptionsParseYaml(opts));
  } else if (!HcOptionsGiven(opts, "help") && !HcOptionsGiven(opts, "list") && !HcOptionsGiven(opts, "version"))
    PetscCall(HcFail(
      HC_EXIT_INPUT, "no input file; usage: mpirun -n N halocline INPUT.yaml [-key value ...] (or -help, -list, -version)"));
  PetscFunctionReturn(0);
}

PetscErrorCode HcOptionsDestroy(HcOptions *options) {
  HcOptions opts = *options;
  PetscFunctionBeginUser;
  if (!opts) PetscFunctionReturn(0);
  for (int i = 0; i < opts->ngiven; ++i) {
    free(opts->given[i].dashed);
    free(opts->given[i].value);
    free(opts->given[i].section);
  }
  for (int i = 0; i < opts->nrow; ++i) free(opts->row[i].owned);
  free(opts->given);
  free(opts->row);
  free(opts->file);
  free(opts->name);
  free(opts->folder);
  free(opts->text);
  free(opts->program);
  free(opts->argv);
  free(opts);
  *options = NULL;
  PetscFunctionReturn(0);
}

const char *HcOptionsInputFile(HcOptions opts) { return opts->file ? opts->file : ""; }

const char *HcOptionsInputName(HcOptions opts) { return opts->name; }
