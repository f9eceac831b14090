/*
 * The progress line: on a terminal one line that rewrites itself, in a file a line every few seconds. Rank 0 only.
 */
#pragma once
#include <petscsys.h>

typedef struct HcProgress_ *HcProgress;

typedef enum { HC_PROGRESS_AUTO, HC_PROGRESS_ON, HC_PROGRESS_OFF } HcProgressMode;

/** What a line shows. */
typedef struct {
  const char *count_name; /* "step" or "iteration" */
  PetscInt count;
  PetscBool has_time; /* simulated time, dt */
  double time, dt;
  double fraction;    /* 0..1, negative if unknown */
  const char *figure; /* name of the model's key figure, NULL if it has none */
  double value;
  double rate; /* cell updates a second, 0 if unknown */
  double left; /* seconds, negative if unknown */
} HcProgressLine;

PetscErrorCode HcProgressCreate(int rank, HcProgressMode mode, HcProgress *progress);
PetscErrorCode HcProgressDestroy(HcProgress *progress);
/** Is it time for the next line? Costs a clock read at most; false where nothing is shown. */
PetscBool HcProgressDue(HcProgress progress, double now);
void HcProgressShow(HcProgress progress, double now, const HcProgressLine *line);
/** Wipe the rewriting line so that other text can be printed; the next Show draws it again. Safe with NULL. */
void HcProgressClear(HcProgress progress);
