/* Inside of HcRun: what the driver sees beyond the models' view in halocline/run.h. */
#pragma once
#include "progress.h"
#include <halocline/run.h>
#include <jansson.h>

struct HcRun_ {
  MPI_Comm comm;
  int rank, size;
  HcOptions opts;
  char dir[PETSC_MAX_PATH_LEN];
  json_t *results, *warnings; /* rank 0 only */
  HcProgress progress;        /* may be NULL */
};

PetscErrorCode HcRunCreate(MPI_Comm comm, HcOptions opts, const char *dir, HcRun *run);
PetscErrorCode HcRunDestroy(HcRun *run);

/** What the driver knows for summary.json beyond results. */
typedef struct {
  const char *status; /* done, failed, stopped, io_error */
  int exit_code;
  const char *message; /* the error, "" if none */
  const char *model, *problem;
  PetscInt steps, iterations;
  double time;
  PetscBool marching;
  double wall_seconds, cells_per_second;
  double memory_peak_mb, memory_expected_mb, memory_arrays_mb;
} HcSummary;

/** Write dir/summary.json: to a temporary name, synced, renamed. Collective (timers are averaged over ranks). */
PetscErrorCode HcSummaryWrite(HcRun run, const HcSummary *summary);

/** Write a text file to a temporary name, sync, rename. Not collective: pass the result through HcAgree(). */
PetscErrorCode HcFileReplace(const char *path, const char *text);
