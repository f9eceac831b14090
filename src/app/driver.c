/* From the checked options to the summary: one run. */
#include "app.h"
#include "base/signals.h"
#include <stdio.h>
#include <string.h>

/* What a run adds beyond its arrays: pages of the solvers' and HDF5's code, their buffers, MPI's eager messages. Between 4 and 9
 * MB in runs of every kind with Debian's libraries. */
static const double code_and_buffers_mb = 7;

static PetscErrorCode create(HcDriver *d) {
  char dir[PETSC_MAX_PATH_LEN];
  PetscFunctionBeginUser;
  PetscCall(HcSettingsRead(d->opts, &d->set));
  if (*d->set.dir_option)
    PetscCall(PetscStrncpy(dir, d->set.dir_option, sizeof dir));
  else
    PetscCall(PetscSNPrintf(dir, sizeof dir, "output/%s", HcOptionsInputName(d->opts)));
  PetscCall(HcOptionsSetDerived(d->opts, "run_dir", dir));
  PetscCall(HcRunCreate(PETSC_COMM_WORLD, d->opts, dir, &d->run));
  PetscCall(HcFilesCheckDirectory(d));
  PetscCall(d->model->create(d->run, &d->ctx));
  PetscCall(HcOptionsCheckUsed(d->opts, d->model->name));
  PetscCall(d->model->plan(d->ctx, &d->plan));
  d->memory_arrays_mb = d->plan.bytes_per_rank / 1e6;
  PetscCall(HcMemoryNow(d->run->comm, &d->memory_expected_mb));
  d->memory_expected_mb += d->memory_arrays_mb + code_and_buffers_mb;
  if (!d->set.dry_run) PetscCall(HcMemoryCheck(d->run->comm, d->plan.bytes_per_rank));

  d->figure = -1;
  while (d->model->columns && d->model->columns[d->columns].name) {
    if (d->model->figure && !strcmp(d->model->figure, d->model->columns[d->columns].name)) d->figure = d->columns;
    ++d->columns;
  }
  PetscCheck(d->columns <= 64, PETSC_COMM_SELF, PETSC_ERR_PLIB, "model %s has more than 64 columns", d->model->name);
  PetscCall(PetscCalloc1(d->columns + 1, &d->row));
  PetscFunctionReturn(0);
}

/* The state to start from: the initial one, or a checkpoint's. Nothing is written before all of it succeeded. */
static PetscErrorCode set_up(HcDriver *d) {
  char file[PETSC_MAX_PATH_LEN];
  PetscFunctionBeginUser;
  PetscCall(HcFilesFindRestart(d, file));
  PetscCall(d->model->setup(d->ctx, &d->clock));
  PetscCall(HcOptionsCheckPetscUsed(d->opts));
  d->schedule = (HcSchedule){.t0 = d->clock.time, .interval = d->set.output_interval, .count = d->set.output_count};
  if (*file) {
    PetscCall(HcFilesLoad(d, file));
    d->restarted = PETSC_TRUE;
  }
  if (d->restarted && !d->model->iterate && d->clock.time > d->clock.end)
    PetscCall(HcOptionsFail(d->opts, "time_end", "the checkpoint '%s' is at time %.10g already", file, d->clock.time));
  d->schedule.end = d->clock.end;
  const double files = HcScheduleTotal(&d->schedule);
  if (files > 1e6) /* what the six digits of their names can number */
    PetscCall(HcOptionsFail(d->opts, d->set.output_interval > 0 ? "output_interval" : "output_count",
      "asks for %.3g fields files; a run writes at most a million", files));
  d->first_step = d->clock.step;
  d->started_time = d->clock.time;
  PetscCall(HcFilesPrepare(d, *file ? file : NULL));
  PetscCall(HcReportStart(d));
  if (*file) PetscCall(HcRunLog(d->run, "  restart     from %s, step %lld", file, (long long)d->clock.step));
  PetscFunctionReturn(0);
}

static PetscErrorCode compute(HcDriver *d) {
  PetscFunctionBeginUser;
  PetscCall(HcProgressCreate(d->run->rank, d->set.progress, &d->run->progress));
  PetscCall(HcSignalsInstall()); /* again: after PETSc, which has handlers of its own */
  d->watch.walltime = d->set.walltime;
  d->watch.every_seconds = d->set.checkpoint_seconds;
  d->watch.every_steps = d->set.checkpoint_steps;
  d->watch.checkpoint_seconds = d->plan.bytes_per_checkpoint / 2e8; /* a slow disk, until one has been measured */
  HcWatchStart(&d->watch);
  d->run_started = HcWallClock();
  if (d->model->iterate)
    PetscCall(HcDriverIterate(d));
  else
    PetscCall(HcDriverMarch(d));
  if (d->stopping) {
    PetscCall(HcFilesWriteCheckpoint(d));
    PetscCall(HcFail(HC_EXIT_STOPPED, "stopped early after %s %lld; continue with -restart (checkpoint %s)",
      d->model->iterate ? "iteration" : "step", (long long)d->clock.step, d->last_saved));
  }
  PetscFunctionReturn(0);
}

/* A computation that failed: what there is of it is kept and named. The last iterate of a model that iterates is still good; a
 * marching state is not to be trusted. */
static PetscErrorCode name_last_good(HcDriver *d, PetscErrorCode err) {
  char message[1024];
  PetscFunctionBeginUser;
  PetscCall(PetscStrncpy(message, HcErrorMessage(), sizeof message));
  HcErrorClear();
  if (d->model->iterate && d->clock.step > d->first_step) {
    if (HcFilesWriteCheckpoint(d)) HcErrorClear(); /* the failure itself matters more */
  }
  if (*d->last_saved) PetscFunctionReturn(HcFail(HcErrorKind(err), "%s; the last good state is in %s", message, d->last_saved));
  PetscFunctionReturn(HcFail(HcErrorKind(err), "%s; no state was saved before", message));
}

PetscErrorCode HcDriverRun(HcDriver *d) {
  PetscFunctionBeginUser;
  PetscCall(create(d));
  if (d->set.dry_run) {
    PetscCall(HcReportDryRun(d));
    PetscCall(d->model->destroy(&d->ctx));
    PetscFunctionReturn(0);
  }
  PetscCall(set_up(d));
  HcTimerStop(HC_TIMER_SETUP);
  PetscErrorCode err = compute(d);
  HcMeet(d->meeting, err);
  if (HcErrorKind(err) == HC_EXIT_FAILED && *HcErrorMessage()) err = name_last_good(d, err);
  err = HcReportEnd(d, err);
  PetscCall(err);
  PetscCall(d->model->destroy(&d->ctx));
  PetscFunctionReturn(0);
}
