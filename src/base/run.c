#include "run_private.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

PetscErrorCode HcRunCreate(MPI_Comm comm, HcOptions opts, const char *dir, HcRun *run) {
  PetscFunctionBeginUser;
  PetscCall(PetscNew(run));
  (*run)->comm = comm;
  (*run)->opts = opts;
  PetscCallMPI(MPI_Comm_rank(comm, &(*run)->rank));
  PetscCallMPI(MPI_Comm_size(comm, &(*run)->size));
  PetscCall(PetscStrncpy((*run)->dir, dir, sizeof(*run)->dir));
  if (!(*run)->rank) {
    (*run)->results = json_object();
    (*run)->warnings = json_array();
  }
  PetscFunctionReturn(0);
}

PetscErrorCode HcRunDestroy(HcRun *run) {
  PetscFunctionBeginUser;
  if (!*run) PetscFunctionReturn(0);
  if ((*run)->progress) PetscCall(HcProgressDestroy(&(*run)->progress));
  json_decref((*run)->results);
  json_decref((*run)->warnings);
  PetscCall(PetscFree(*run));
  PetscFunctionReturn(0);
}

MPI_Comm HcRunComm(HcRun run) { return run->comm; }

HcOptions HcRunOptions(HcRun run) { return run->opts; }

const char *HcRunDir(HcRun run) { return run->dir; }

PetscErrorCode HcRunLog(HcRun run, const char *fmt, ...) {
  va_list ap;
  PetscFunctionBeginUser;
  if (run->rank) PetscFunctionReturn(0);
  HcProgressClear(run->progress);
  va_start(ap, fmt);
  vprintf(fmt, ap);
  va_end(ap);
  putchar('\n');
  fflush(stdout);
  PetscFunctionReturn(0);
}

PetscErrorCode HcRunWarn(HcRun run, const char *fmt, ...) {
  char text[1024];
  va_list ap;
  PetscFunctionBeginUser;
  if (run->rank) PetscFunctionReturn(0);
  HcProgressClear(run->progress);
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  fprintf(stderr, "halocline: warning: %s\n", text);
  json_array_append_new(run->warnings, json_string(text));
  PetscFunctionReturn(0);
}

static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

PetscErrorCode HcRunResultReal(HcRun run, const char *key, double value) {
  PetscFunctionBeginUser;
  if (!run->rank) json_object_set_new(run->results, key, number(value));
  PetscFunctionReturn(0);
}

PetscErrorCode HcRunResultInt(HcRun run, const char *key, PetscInt value) {
  PetscFunctionBeginUser;
  if (!run->rank) json_object_set_new(run->results, key, json_integer(value));
  PetscFunctionReturn(0);
}

PetscErrorCode HcRunResultBool(HcRun run, const char *key, PetscBool value) {
  PetscFunctionBeginUser;
  if (!run->rank) json_object_set_new(run->results, key, json_boolean(value));
  PetscFunctionReturn(0);
}

PetscErrorCode HcRunResultReals(HcRun run, const char *key, PetscInt n, const double value[]) {
  PetscFunctionBeginUser;
  if (run->rank) PetscFunctionReturn(0);
  json_t *list = json_array();
  for (PetscInt i = 0; i < n; ++i) json_array_append_new(list, number(value[i]));
  json_object_set_new(run->results, key, list);
  PetscFunctionReturn(0);
}
