/*
 * Inside of HcOptions. What the user gave (`given`) is kept apart from the rows of the tables (`row`), which know their
 * current value and where it came from.
 */
#pragma once
#include <halocline/options.h>

/** Where a value came from, in rising rank. */
typedef enum { HC_FROM_DEFAULT, HC_FROM_DERIVED, HC_FROM_PROBLEM, HC_FROM_FILE, HC_FROM_ARGS } HcOrigin;

/** One key = value that the user wrote. */
typedef struct {
  char *dashed;    /* "-key": PETSc's form */
  const char *key; /* points into it */
  char *value;     /* NULL: a command-line flag without one */
  char *section;   /* the joined keys above it in the file, "" at the top level */
  HcOrigin origin;
  int line, column; /* of the value in the file */
  PetscBool petsc;  /* passed on to PETSc */
} HcGiven;

/** One row of a table with its present value. */
typedef struct {
  const HcOption *opt;
  const char *value; /* NULL if the key must be given and is not */
  HcOrigin origin;
  const HcGiven *given; /* where the user gave it, or NULL */
  char *owned;          /* storage of derived values */
  PetscBool used;
} HcRow;

struct HcOptions_ {
  MPI_Comm comm;
  int rank;
  char *file, *name, *folder; /* input file as given, its base name, its folder ("" = working directory) */
  char *text;                 /* the file's text */
  HcGiven *given;
  int ngiven, room_given;
  HcRow *row;
  int nrow, room_row;
  const char *problem; /* name of the applied problem */
  int argc;
  char **argv; /* for PETSc */
  char *program;
};

/** Keys that are commands to the program, not part of a run's description: never in a resolved input. */
PetscBool HcOptionsIsAction(const char *key);

/* options_yaml.c */
/** Fill opts->given from opts->text. Not collective; every rank finds the same errors. */
PetscErrorCode HcOptionsParseYaml(HcOptions opts);

/* options_read.c */
PetscErrorCode HcOptionsAddGiven(
  HcOptions opts, const char *section, const char *key, const char *value, HcOrigin origin, int line, int column);

/* options.c */
HcRow *HcOptionsRow(HcOptions opts, const char *key);
const HcGiven *HcOptionsGiven(HcOptions opts, const char *key);

/* options_value.c: each returns 0, or 1 with a sentence in why[] */
#define HC_WHY 512
int HcValueBool(const char *text, PetscBool *value, char why[HC_WHY]);
int HcValueInt(const char *text, PetscInt *value, char why[HC_WHY]);
int HcValueReal(const char *text, PetscReal *value, char why[HC_WHY]);
int HcValueDuration(const char *text, PetscReal *value, char why[HC_WHY]);
int HcValueWord(const char *text, const char *allowed, PetscInt *index, char why[HC_WHY]);
int HcValueInRange(double value, const char *allowed, char why[HC_WHY]);
/** Check a text against its row. */
int HcValueCheck(const HcOption *opt, const char *text, char why[HC_WHY]);
/** The next item of a comma-separated list, trimmed, in item[size]; returns the rest or NULL at the end. */
const char *HcValueNext(const char *list, char *item, size_t size);

/* options_petsc.c */
/** May this key be an option of PETSc's? */
PetscBool HcOptionsIsPetsc(const char *key);
/** Name the option in the message of an error that PETSc found in one of its options; other errors pass. */
PetscErrorCode HcOptionsBlamePetsc(HcOptions opts, PetscErrorCode err);

/* nearest.c */
/** Number of insertions, deletions, substitutions and swaps of neighbours between two words. */
int HcNearestDistance(const char *a, const char *b);
/** Keeps in *best the candidate nearest to word; start with *distance = INT_MAX. */
void HcNearestOffer(const char *word, const char *candidate, const char **best, int *distance);
/** Is a word at this distance near enough to be suggested? */
PetscBool HcNearestIsNear(const char *word, int distance);
