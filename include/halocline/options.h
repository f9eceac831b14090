/*
 * Options: one table of keys, filled from defaults < the built-in problem's settings < the YAML file < the command line.
 *
 * Every key of the product stands in a HcOption table with type, default, unit, range and help; `-help`, the resolved
 * input.yaml, the input reference of the docs and all checks of values come from these tables. Nested YAML keys are
 * joined by '_' (grid: {cells: "64,64"} is -grid_cells 64,64). Keys are case sensitive.
 *
 * Every rank holds the same options and finds the same errors. Getters mark a key as used; HcOptionsCheckUsed() refuses
 * what the user gave and nothing read. Options of PETSc objects (known prefixes, see options.c) pass to PETSc.
 */
#pragma once
#include "error.h"

typedef enum {
  HC_OPT_BOOL,       /* true|false|yes|no|on|off|1|0 */
  HC_OPT_INT,        /* PetscInt */
  HC_OPT_REAL,       /* finite double */
  HC_OPT_INTS,       /* comma-separated */
  HC_OPT_REALS,      /* comma-separated */
  HC_OPT_WORD,       /* one of the words in `allowed` */
  HC_OPT_WORDS,      /* comma-separated words of `allowed` */
  HC_OPT_TEXT,       /* any text */
  HC_OPT_EXPRESSION, /* formula in the variables that `allowed` lists */
  HC_OPT_FIELD,      /* formula in the variables that `allowed` lists, or file.h5:/path, or file.png */
  HC_OPT_FILE,       /* path, relative to the input file */
  HC_OPT_DURATION,   /* hh:mm:ss, mm:ss or seconds; read with HcOptionsGetReal in seconds */
} HcOptionType;

typedef struct {
  const char *key; /* full key, e.g. "mfg_sigma"; a table ends with key = NULL */
  HcOptionType type;
  const char *def;     /* default as the user would write it; "" = not set; NULL = must be given */
  const char *unit;    /* "" if dimensionless */
  const char *allowed; /* numbers: interval such as "(0,inf)" or "[1,64]"; words: "a|b|c"; formulas: "x,y,z,t" */
  const char *help;    /* one sentence */
} HcOption;

/** A built-in problem: a named set of settings, between the defaults and the user's file in rank. */
typedef struct {
  const char *name;       /* a table ends with name = NULL */
  const char *summary;    /* one sentence for -list */
  const char *const *set; /* key, value, key, value, ..., NULL */
} HcProblem;

typedef struct HcOptions_ *HcOptions;

/** Read the command line and the YAML file it names, and check structure, not yet keys. Collective; works before
 * PetscInitialize (needs MPI only). Rank 0 reads the file and broadcasts its text.
 * @param[out] opts destroy with HcOptionsDestroy(); also returned with -help, -list, -version where no file is needed
 * Errors (HC_EXIT_INPUT, one line "file:line:column: ..."): no such file, malformed, empty, several documents, duplicate
 * key, sequence or nested map where a scalar is expected, tab indentation, null value, stray positional argument. */
PetscErrorCode HcOptionsCreate(MPI_Comm comm, int argc, char **argv, HcOptions *opts);

/** Add a table of keys (kept by reference). Defaults become visible. A key that an earlier table has takes the new row: so a
 * model may give a common key its own default or range. */
PetscErrorCode HcOptionsAddTable(HcOptions opts, const HcOption table[]);

/** Apply a built-in problem's settings below what the user gave. */
PetscErrorCode HcOptionsApplyProblem(HcOptions opts, const HcProblem *problem);

/** Check every key and value that the user gave against the tables: unknown key (nearest known key suggested), wrong
 * type, out of range. Errors name file:line:column or the command line, key, value and what is allowed. */
PetscErrorCode HcOptionsCheck(HcOptions opts);

/** Refuse a key that the user gave and no getter has read ("... is not used by model 'hj' with ..."). Called by the driver
 * after the model's create, so every key must be read there. */
PetscErrorCode HcOptionsCheckUsed(HcOptions opts, const char *model);

/** Refuse PETSc options that no PETSc object asked for (those of inner levels, known only later, excepted). Called by the
 * driver after the model's setup, which must call the SetFromOptions of every solver that the user may steer. */
PetscErrorCode HcOptionsCheckPetscUsed(HcOptions opts);

/** Was the key given by the user or by the problem (not by default)? Does not count as a use. */
PetscBool HcOptionsIsSet(HcOptions opts, const char *key);

/** Typed getters; the value is checked against its table row. A key in no table is a programming error. A key that is unset
 * and has the default "" leaves *value as it was (a word: -1); one whose default is NULL is an error that names it.
 * Numbers may be products, quotients and powers of numbers and pi: "2*pi", "0.5/pi^2". */
PetscErrorCode HcOptionsGetBool(HcOptions opts, const char *key, PetscBool *value);
/** Integer in its range. */
PetscErrorCode HcOptionsGetInt(HcOptions opts, const char *key, PetscInt *value);
/** Real, or a duration in seconds. */
PetscErrorCode HcOptionsGetReal(HcOptions opts, const char *key, PetscReal *value);
/** Comma-separated integers; *n in: room in value[], out: how many were given (0 if unset). */
PetscErrorCode HcOptionsGetInts(HcOptions opts, const char *key, PetscInt *n, PetscInt value[]);
/** Comma-separated reals; *n as for HcOptionsGetInts. */
PetscErrorCode HcOptionsGetReals(HcOptions opts, const char *key, PetscInt *n, PetscReal value[]);
/** Index of the word in `allowed`. */
PetscErrorCode HcOptionsGetWord(HcOptions opts, const char *key, PetscInt *index);
/** Indices of the words in `allowed`; *n as for HcOptionsGetInts. */
PetscErrorCode HcOptionsGetWords(HcOptions opts, const char *key, PetscInt *n, PetscInt index[]);
/** Text as given, owned by opts; "" if unset. Works for every type. */
PetscErrorCode HcOptionsGetText(HcOptions opts, const char *key, const char **text);
/** A path made relative to the input file's folder instead of the working directory ("" stays ""). */
PetscErrorCode HcOptionsGetPath(HcOptions opts, const char *key, char path[PETSC_MAX_PATH_LEN]);
/** Make any relative file name relative to the input file's folder, as HcOptionsGetPath does for a key. */
PetscErrorCode HcOptionsResolvePath(HcOptions opts, const char *name, char path[PETSC_MAX_PATH_LEN]);

/** Fail with HC_EXIT_INPUT about a key: "<where>: <key> = '<value>': <sentence>", where = file:line:column, the command
 * line, the problem or the default. For checks that a table cannot express. */
PetscErrorCode HcOptionsFail(HcOptions opts, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/** Give a key a value from code (derived defaults, e.g. grid_cells from a PNG); it is shown in the resolved input. What the user
 * or the problem gave stays. */
PetscErrorCode HcOptionsSetDerived(HcOptions opts, const char *key, const char *value);

/** The resolved input as YAML, every used key with defaults and PETSc's options; caller frees with PetscFree(). */
PetscErrorCode HcOptionsWriteYaml(HcOptions opts, char **text);

/** Print the tables (to stdout on rank 0): `markdown` for the reference in the docs, else as -help does. */
PetscErrorCode HcOptionsPrintHelp(HcOptions opts, PetscBool markdown);

/** argc, argv for PetscInitialize(): program name and PETSc's options only. Owned by opts. */
void HcOptionsPetscArgs(HcOptions opts, int *argc, char ***argv);

/** The input file's name as given, its base name without .yaml, "" if none. */
const char *HcOptionsInputFile(HcOptions opts);
/** The base name of the input file without .yaml, "" if none. */
const char *HcOptionsInputName(HcOptions opts);

/** Free everything; sets *opts to NULL. */
PetscErrorCode HcOptionsDestroy(HcOptions *opts);
