/* The checkpoints of a run directory: finding, keeping and clearing. */
#include "checkpoint_private.h"
#include <dirent.h>
#include <halocline/io.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The step of checkpoint_<step>.h5, -1 for any other name. */
static long step_of(const char *name) {
  int end = 0;
  long step = -1;
  if (sscanf(name, "checkpoint_%6ld%n", &step, &end) < 1) return -1;
  char *rest;
  step = strtol(name + strlen("checkpoint_"), &rest, 10);
  return rest - name >= (long)strlen("checkpoint_000000") && !strcmp(rest, ".h5") && step >= 0 ? step : -1;
}

/* Rank 0: the largest step in dir that is <= below, -1 if there is none. */
static long newest(const char *dir, long below) {
  long best = -1;
  DIR *d = opendir(dir);
  for (struct dirent *e; d && (e = readdir(d));) {
    long step = step_of(e->d_name);
    if (step <= below && step > best) best = step;
  }
  if (d) closedir(d);
  return best;
}

PetscErrorCode HcCheckpointFind(const char *dir, MPI_Comm comm, PetscInt below, char file[PETSC_MAX_PATH_LEN], PetscInt *step) {
  long found = -1;
  int rank;
  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Comm_rank(comm, &rank));
  if (rank == 0) found = newest(dir, (long)below);
  PetscCallMPI(MPI_Bcast(&found, 1, MPI_LONG, 0, comm));
  file[0] = 0;
  if (found >= 0) PetscCall(PetscSNPrintf(file, PETSC_MAX_PATH_LEN, "%s/checkpoint_%06ld.h5", dir, found));
  *step = (PetscInt)found;
  PetscFunctionReturn(0);
}

static void remove_unfinished(const char *dir) {
  static const char end[] = ".h5.tmp";
  char path[PETSC_MAX_PATH_LEN + 256];
  DIR *d = opendir(dir);
  for (struct dirent *e; d && (e = readdir(d));) {
    const size_t n = strlen(e->d_name);
    if (strncmp(e->d_name, "checkpoint_", 11) || n < sizeof end || strcmp(e->d_name + n + 1 - sizeof end, end)) continue;
    snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    unlink(path);
  }
  if (d) closedir(d);
}

void hc_checkpoint_tidy(const char *dir, long step, long keep) {
  char path[PETSC_MAX_PATH_LEN], aside[PETSC_MAX_PATH_LEN + 4];
  for (long s = newest(dir, LONG_MAX); s > step; s = newest(dir, s - 1)) {
    snprintf(path, sizeof path, "%s/checkpoint_%06ld.h5", dir, s);
    snprintf(aside, sizeof aside, "%s.old", path);
    rename(path, aside);
  }
  remove_unfinished(dir);
  long left = keep;
  for (long s = step; keep > 0 && s >= 0; s = newest(dir, s - 1)) {
    if (left-- > 0) continue;
    snprintf(path, sizeof path, "%s/checkpoint_%06ld.h5", dir, s);
    unlink(path);
  }
}
