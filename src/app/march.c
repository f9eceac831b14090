/* The two ways to a solution: marching in time, and iterating. */
#include "app.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static void show_progress(HcDriver *d, double now) {
  const PetscInt done = d->clock.step - d->first_step;
  const double spent = now - d->run_started;
  const double updates = d->plan.updates_per_step > 0 ? d->plan.updates_per_step
                         : d->plan.grid               ? HcGridTotalCells(d->plan.grid)
                                                      : 0;
  HcProgressLine l = {.count_name = d->model->iterate ? "iteration" : "step", .count = d->clock.step, .fraction = -1, .left = -1};
  if (!d->model->iterate) {
    const double whole = d->clock.end - d->schedule.t0;
    l.has_time = PETSC_TRUE;
    l.time = d->clock.time;
    l.dt = d->clock.dt;
    l.fraction = whole > 0 ? (d->clock.time - d->schedule.t0) / whole : 1;
    const double now_done = whole > 0 ? (d->clock.time - d->started_time) / whole : 1;
    if (now_done > 0 && spent > 0.5) l.left = spent * (1 - l.fraction) / now_done;
  }
  if (d->figure >= 0) {
    l.figure = d->model->columns[d->figure].name;
    l.value = d->row[d->figure];
  }
  if (spent > 0) l.rate = updates * (double)done / spent;
  HcProgressShow(d->run->progress, now, &l);
}

static PetscErrorCode diagnose(HcDriver *d) {
  PetscFunctionBeginUser;
  PetscCall(d->model->diagnose(d->ctx, &d->clock, d->row));
  if (d->model->iterate) {
    HcHistoryRow(d->history, d->clock.step, d->columns, d->row);
    PetscFunctionReturn(0);
  }
  double values[2 + 64] = {d->clock.time, d->clock.dt};
  memcpy(values + 2, d->row, (size_t)d->columns * sizeof *values);
  HcHistoryRow(d->history, d->clock.step, d->columns + 2, values);
  for (PetscInt c = 0; c < d->columns; ++c)
    HcRequire(!isnan(d->row[c]), HC_EXIT_FAILED, "%s is not a number after step %lld (time %.6g, step size %.3g)",
      d->model->columns[c].name, (long long)d->clock.step, d->clock.time, d->clock.dt);
  PetscFunctionReturn(0);
}

/* After a step or iteration: progress, checkpoint, and whether to go on. */
static PetscErrorCode after_step(HcDriver *d) {
  HcVerdict v;
  PetscFunctionBeginUser;
  if (!d->run->rank) {
    const double now = HcWallClock();
    if (HcProgressDue(d->run->progress, now)) show_progress(d, now);
  }
  PetscCall(HcWatchLook(&d->watch, d->run->comm, d->clock.step, HcHistoryFailed(d->history), &v));
  if (v.history_failed) {
    PetscErrorCode err = HcHistoryFlush(d->history, PETSC_FALSE);
    PetscCall(HcAgree(d->run->comm, err));
  }
  if (v.checkpoint && !v.stop) PetscCall(HcFilesWriteCheckpoint(d));
  d->stopping = v.stop;
  PetscFunctionReturn(0);
}

PetscErrorCode HcDriverMarch(HcDriver *d) {
  PetscFunctionBeginUser;
  if (!d->first_step && !d->restarted) {
    PetscCall(diagnose(d));
    PetscCall(HcFilesWriteFields(d, d->clock.time));
  }
  while (d->clock.time < d->clock.end && !d->stopping) {
    const double limit = HcScheduleNext(&d->schedule, d->clock.time), before = d->clock.time;
    HcTimerStart(HC_TIMER_COMPUTE);
    PetscCall(d->model->advance(d->ctx, &d->clock, limit));
    HcRequire(d->clock.time > before, HC_EXIT_FAILED, "the time step fell to %g at time %.6g (step %lld)", d->clock.dt, before,
      (long long)d->clock.step);
    PetscCall(diagnose(d));
    HcTimerStop(HC_TIMER_COMPUTE);
    if (d->clock.time >= limit) PetscCall(HcFilesWriteFields(d, d->clock.time));
    PetscCall(after_step(d));
  }
  if (d->clock.time >= d->clock.end) d->stopping = PETSC_FALSE; /* asked to stop, but done */
  PetscFunctionReturn(0);
}

static PetscErrorCode iteration_done(void *driver, HcClock *clock, PetscBool *stop) {
  HcDriver *d = driver;
  PetscFunctionBeginUser;
  if (clock->step <= d->clock.step) { /* a solver may test the same iterate twice: one row for each */
    *stop = d->stopping;
    PetscFunctionReturn(0);
  }
  d->clock = *clock;
  PetscCall(diagnose(d));
  PetscCall(after_step(d));
  *stop = d->stopping;
  PetscFunctionReturn(0);
}

PetscErrorCode HcDriverIterate(HcDriver *d) {
  HcClock clock = d->clock;
  PetscFunctionBeginUser;
  HcTimerStart(HC_TIMER_COMPUTE);
  const PetscErrorCode err = d->model->iterate(d->ctx, &clock, iteration_done, d);
  HcTimerStop(HC_TIMER_COMPUTE);
  d->clock = clock;
  PetscCall(err);
  if (d->stopping) PetscFunctionReturn(0);
  double t = d->schedule.t0;
  PetscCall(HcFilesWriteFields(d, t));
  while (t < d->schedule.end) {
    t = HcScheduleNext(&d->schedule, t);
    PetscCall(HcFilesWriteFields(d, t));
  }
  PetscFunctionReturn(0);
}
