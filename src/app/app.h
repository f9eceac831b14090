/* Inside of the application: the state of a run as the driver keeps it, and the parts of the driver. */
#pragma once
#include "base/history.h"
#include "base/run_private.h"
#include <halocline/model.h>

/** When fields are written: at t0 + k*interval, or `count` times equally spaced after t0; always at t0 and at the end. */
typedef struct {
  double t0, end, interval; /* interval 0: count */
  PetscInt count;
} HcSchedule;

/** The first output time after t; the end at the latest. */
double HcScheduleNext(const HcSchedule *schedule, double t);
/** How many outputs a whole run has. */
double HcScheduleTotal(const HcSchedule *schedule);

/** When a run is interrupted: signals, walltime, checkpoints that are due. All ranks agree every few steps, as many as fit
 * into a twentieth of a second. */
typedef struct {
  double started, walltime;                   /* clock at the start of the process; seconds, 0 = none */
  double every_seconds;                       /* between checkpoints, 0 = never */
  PetscInt every_steps;                       /* between checkpoints, 0 = never */
  double last_checkpoint, checkpoint_seconds; /* clock; cost of the last one (or an estimate) */
  double last_look, longest_step;
  PetscInt stride, since;
} HcWatch;

typedef struct {
  PetscBool stop, checkpoint, history_failed;
} HcVerdict;

void HcWatchStart(HcWatch *watch);
/** After each step. Collective; mostly without communication. */
PetscErrorCode HcWatchLook(HcWatch *watch, MPI_Comm comm, PetscInt step, PetscBool history_failed, HcVerdict *verdict);
/** Tell that a checkpoint was written in so many seconds. */
void HcWatchCheckpointed(HcWatch *watch, double seconds);

/** The driver's own options, read before the model's. */
typedef struct {
  PetscBool dry_run, overwrite, restart, restart_auto;
  const char *restart_file; /* "" = the newest of the run directory */
  const char *dir_option;
  double output_interval; /* 0 = by count */
  PetscInt output_count, keep;
  PetscInt nfields;
  char *fields_text;
  const char **fields;
  PetscInt checkpoint_steps;
  double checkpoint_seconds, walltime;
  HcProgressMode progress;
} HcSettings;

typedef struct {
  const HcModel *model;
  const char *problem;
  HcOptions opts;
  HcRun run;
  void *ctx;
  HcPlan plan;
  HcClock clock;
  HcSettings set;
  HcSchedule schedule;
  HcWatch watch;
  HcHistory history;
  PetscInt output_index;    /* of the next fields file */
  PetscInt columns, figure; /* of the model; index of the progress line's, -1 if none */
  double *row;
  double run_started;  /* clock at the first step of this process */
  double started_time; /* simulated time then */
  PetscInt first_step; /* steps done by earlier processes */
  PetscBool restarted, stopping;
  char last_saved[PETSC_MAX_PATH_LEN]; /* newest checkpoint or fields file, for messages */
  PetscBool saved_checkpoint;
  MPI_Comm meeting;                            /* for HcMeet after the computation */
  double memory_expected_mb, memory_arrays_mb; /* a rank; of that, the model's arrays */
} HcDriver;

/* settings.c */
/** The tables of the common options: the command line's, and the sections; `models` and `model` (may be NULL) give the words that
 * `model`, `problem` and `output_fields` allow. */
PetscErrorCode HcSettingsAddTables(HcOptions opts, const HcModel *const models[], const HcModel *model);
PetscErrorCode HcSettingsRead(HcOptions opts, HcSettings *settings);
PetscErrorCode HcSettingsFree(HcSettings *settings);
/** "hj|mfg" */
void HcModelNames(const HcModel *const models[], char *out, size_t size);

/* hcmain.c */
/** Wait for all ranks. Errors are agreed on by all, so all arrive together; a rank that comes with an error of its own waits ten
 * seconds for the others, which may be waiting for it elsewhere, then ends the program with its exit code. */
void HcMeet(MPI_Comm meeting, PetscErrorCode err);

/* driver.c */
/** Everything from the checked options to the summary. */
PetscErrorCode HcDriverRun(HcDriver *driver);

/* march.c */
PetscErrorCode HcDriverMarch(HcDriver *driver);
PetscErrorCode HcDriverIterate(HcDriver *driver);

/* files.c */
/** Refuse a directory that holds an earlier run, unless this run continues or replaces it. */
PetscErrorCode HcFilesCheckDirectory(HcDriver *driver);
/** Make the directory, remove an earlier run's files if asked, write input.yaml, open history.csv. */
PetscErrorCode HcFilesPrepare(HcDriver *driver, const char *restart_from);
PetscErrorCode HcFilesWriteFields(HcDriver *driver, double t);
PetscErrorCode HcFilesWriteCheckpoint(HcDriver *driver);
/** The checkpoint to restart from, "" if the run starts anew. */
PetscErrorCode HcFilesFindRestart(HcDriver *driver, char file[PETSC_MAX_PATH_LEN]);
PetscErrorCode HcFilesLoad(HcDriver *driver, char file[PETSC_MAX_PATH_LEN]);

/* memory.c */
/** This process's resident memory now / at its peak, largest of all ranks, MB. Collective. */
PetscErrorCode HcMemoryNow(MPI_Comm comm, double *mb);
PetscErrorCode HcMemoryPeak(MPI_Comm comm, double *mb);
/** Refuse a run whose arrays cannot fit into what the node has free. Collective. */
PetscErrorCode HcMemoryCheck(MPI_Comm comm, double bytes_per_rank);
/** MB free on this rank's node (smallest of all nodes), 0 if unknown; and ranks there. Collective. */
PetscErrorCode HcMemoryFree(MPI_Comm comm, double *mb, int *ranks_on_node);

/* report.c */
PetscErrorCode HcReportStart(HcDriver *driver);
PetscErrorCode HcReportDryRun(HcDriver *driver);
/** Collect the results, write summary.json, print the end block. `err` is how the run ended. */
PetscErrorCode HcReportEnd(HcDriver *driver, PetscErrorCode err);
void HcReportList(const HcModel *const models[]);
