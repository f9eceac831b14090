/*
 * A model: the table of functions through which the driver runs it. Add one by filling a HcModel and naming it in
 * src/app/registry.c (or by handing it to HcMain from your own main).
 *
 * Life of a run: create (read and check every option, decide sizes, allocate nothing large) -> plan -> setup (allocate,
 * initial state) -> or load (a checkpoint) -> { advance, diagnose, [write], [save] } ... -> results -> destroy.
 * A model that marches in time fills `advance`; one that iterates to a solution fills `iterate` instead.
 * All functions are collective.
 */
#pragma once
#include "io.h"
#include "run.h"

/** A column of history.csv after step, time, dt. */
typedef struct {
  const char *name, *unit; /* a table ends with name = NULL */
} HcColumn;

/** What a run needs, for -dry_run, the start block, and the refusal of what cannot fit. */
typedef struct {
  PetscInt dim, cells[3];  /* of the grid; dim 0 if there is none */
  double bytes_per_rank;   /* arrays of the model at their peak, largest rank */
  double bytes_per_output; /* one fields file, all ranks */
  double bytes_per_checkpoint;
  double cell_updates;     /* estimated total number of cell updates, 0 if unknown: for the progress line */
  double updates_per_step; /* cell updates in one step or iteration (cells x time levels x sweeps); 0: the number of cells */
  HcGrid grid;             /* borrowed, for the fields files; NULL if there is none */
} HcPlan;

/** State of the march or iteration, owned by the driver, read and advanced by the model. */
typedef struct {
  PetscInt step; /* steps or iterations done */
  double time;   /* simulated time (marching), 0 for iterating models */
  double dt;     /* last step */
  double end;    /* final time */
} HcClock;

/** Iterating models call this after every iteration (clock->step already counted up, diagnose() ready): the driver
 * writes the history row, progress, checkpoints. *stop is set when the run must end early: return promptly. */
typedef PetscErrorCode (*HcIterationDone)(void *driver, HcClock *clock, PetscBool *stop);

typedef struct {
  const char *name, *title;
  const HcOption *options;   /* beyond the common ones */
  const HcProblem *problems; /* may be NULL */
  const HcColumn *columns;
  const char *figure; /* the column that the progress line shows, e.g. "mass" */
  const char *fields; /* every name that `write` may write, "u|m|drift_x": what output_fields allows; NULL: not checked */

  /** Read and check all options; create the grid; no large allocation. */
  PetscErrorCode (*create)(HcRun run, void **ctx);
  /** Fill *plan. */
  PetscErrorCode (*plan)(void *ctx, HcPlan *plan);
  /** Allocate and set the initial state. clock->end is set here (or in create) by the model. */
  PetscErrorCode (*setup)(void *ctx, HcClock *clock);
  /** One time step, not beyond t_limit; sets clock->step, time, dt. Must land on t_limit exactly when it is reached. */
  PetscErrorCode (*advance)(void *ctx, HcClock *clock, double t_limit);
  /** Iterate to the end, calling done(driver, clock, &stop) after each iteration. */
  PetscErrorCode (*iterate)(void *ctx, HcClock *clock, HcIterationDone done, void *driver);
  /** Values of `columns`. Bitwise the same on any number of ranks where DESIGN section 5 says so. NaN in any column of
   * a marching model ends the run with exit code 3. */
  PetscErrorCode (*diagnose)(void *ctx, const HcClock *clock, double row[]);
  /** Add the fields asked for to an output file. Iterating models are asked for several times t after convergence. */
  PetscErrorCode (*write)(void *ctx, double t, HcOutput out);
  /** Save / load everything a continuation needs beyond the clock. */
  PetscErrorCode (*save)(void *ctx, HcCheckpoint ck);
  PetscErrorCode (*load)(void *ctx, HcCheckpoint ck);
  /** Set entries of `results`. Called at the end, also of failed and stopped runs once setup has succeeded. */
  PetscErrorCode (*results)(void *ctx, const HcClock *clock);
  PetscErrorCode (*destroy)(void **ctx);
} HcModel;

/** Run the program with a NULL-terminated list of models; returns the exit code for main(). */
int HcMain(int argc, char **argv, const HcModel *const models[]);
