#include "run_private.h"
#include "version.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

PetscErrorCode HcFileReplace(const char *path, const char *text) {
  char temporary[PETSC_MAX_PATH_LEN + 8];
  PetscFunctionBeginUser;
  snprintf(temporary, sizeof temporary, "%s.tmp", path);
  FILE *f = fopen(temporary, "w");
  if (!f) PetscCall(HcFail(HC_EXIT_IO, "%s: cannot write: %s", path, strerror(errno)));
  int error = 0;
  if (fputs(text, f) < 0 || fflush(f) || fsync(fileno(f))) error = errno;
  if (fclose(f) && !error) error = errno;
  if (!error && rename(temporary, path)) error = errno;
  if (error) {
    remove(temporary);
    PetscCall(HcFail(HC_EXIT_IO, "%s: cannot write: %s", path, strerror(error)));
  }
  PetscFunctionReturn(0);
}

static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *performance(const HcSummary *s, const double seconds[HC_TIMER_COUNT]) {
  static const char *const names[HC_TIMER_COUNT] = {"setup", "compute", "exchange", "solve", "io"};
  json_t *p = json_object(), *parts = json_object();
  for (int i = 0; i < HC_TIMER_COUNT; ++i) json_object_set_new(parts, names[i], number(seconds[i]));
  json_object_set_new(p, "wall_seconds", number(s->wall_seconds));
  json_object_set_new(p, "cells_per_second", number(s->cells_per_second));
  json_object_set_new(p, "seconds", parts);
  return p;
}

static char *compose(HcRun run, const HcSummary *s, const double seconds[HC_TIMER_COUNT]) {
  char version[128];
  snprintf(version, sizeof version, "%s (%s)", HcVersion(), HcCommit());
  json_t *j = json_object();
  json_object_set_new(j, "status", json_string(s->status));
  json_object_set_new(j, "exit_code", json_integer(s->exit_code));
  if (s->message[0]) json_object_set_new(j, "message", json_string(s->message));
  json_object_set_new(j, "model", json_string(s->model));
  json_object_set_new(j, "problem", json_string(s->problem));
  json_object_set_new(j, "ranks", json_integer(run->size));
  json_object_set_new(j, "version", json_string(version));
  json_object_set_new(j, "steps", json_integer(s->steps));
  json_object_set_new(j, "iterations", json_integer(s->iterations));
  if (s->marching) json_object_set_new(j, "time", number(s->time));
  json_object_set(j, "results", run->results);
  if (json_array_size(run->warnings)) json_object_set(j, "warnings", run->warnings);
  json_object_set_new(j, "performance", performance(s, seconds));
  json_object_set_new(j, "memory_peak_mb_per_rank", number(s->memory_peak_mb));
  json_object_set_new(j, "memory_expected_mb_per_rank", number(s->memory_expected_mb));
  json_object_set_new(j, "memory_arrays_mb_per_rank", number(s->memory_arrays_mb));
  char *text = json_dumps(j, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17));
  json_decref(j);
  return text;
}

PetscErrorCode HcSummaryWrite(HcRun run, const HcSummary *s) {
  double mine[HC_TIMER_COUNT], mean[HC_TIMER_COUNT];
  char path[PETSC_MAX_PATH_LEN + 16];
  PetscErrorCode err = 0;
  PetscFunctionBeginUser;
  for (int i = 0; i < HC_TIMER_COUNT; ++i) mine[i] = HcTimerSeconds((HcTimer)i) / run->size;
  PetscCallMPI(MPI_Allreduce(mine, mean, HC_TIMER_COUNT, MPI_DOUBLE, MPI_SUM, run->comm));
  if (!run->rank) {
    char *text = compose(run, s, mean);
    snprintf(path, sizeof path, "%s/summary.json", run->dir);
    err = text ? HcFileReplace(path, text) : HcFail(HC_EXIT_IO, "%s: out of memory", path);
    free(text);
  }
  PetscCall(HcAgree(run->comm, err));
  PetscFunctionReturn(0);
}
