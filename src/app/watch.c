#include "app.h"
#include "base/signals.h"

static const double LOOK_PERIOD = 0.05; /* seconds between agreements of all ranks */

void HcWatchStart(HcWatch *w) {
  w->last_look = w->last_checkpoint = HcWallClock();
  w->stride = 1;
  w->since = 0;
  w->longest_step = 0;
}

void HcWatchCheckpointed(HcWatch *w, double seconds) {
  w->last_checkpoint = w->last_look = HcWallClock();
  w->stride = 1; /* look after the next step: a longer stride, begun anew at each checkpoint, might never end */
  w->since = 0;
  w->checkpoint_seconds = seconds;
}

/* Rank 0's clock decides, so that all ranks do the same; the largest of each entry is agreed on. */
PetscErrorCode HcWatchLook(HcWatch *w, MPI_Comm comm, PetscInt step, PetscBool history_failed, HcVerdict *verdict) {
  enum { STOP, HISTORY, CHECKPOINT, STEP_SECONDS, COUNT };
  double mine[COUNT] = {0}, all[COUNT];
  int rank;
  PetscFunctionBeginUser;
  *verdict = (HcVerdict){PETSC_FALSE, PETSC_FALSE, PETSC_FALSE};
  if (w->every_steps > 0 && step % w->every_steps == 0) verdict->checkpoint = PETSC_TRUE;
  if (++w->since < w->stride) PetscFunctionReturn(0);

  const double now = HcWallClock(), window = now - w->last_look;
  PetscCallMPI(MPI_Comm_rank(comm, &rank));
  mine[STOP] = HcSignalsPending();
  mine[HISTORY] = history_failed;
  mine[STEP_SECONDS] = window / (double)w->since;
  if (rank == 0) {
    if (window > w->longest_step) w->longest_step = window;
    /* stop while there is still time for as long a stretch of steps as there ever was, for the checkpoint, and for leaving:
     * results, summary and what the batch system counts before and after */
    const double leaving = 0.05 * w->walltime < 10 ? 0.05 * w->walltime : 10;
    if (w->walltime > 0 && now - w->started + w->longest_step + 2 * w->checkpoint_seconds + leaving >= w->walltime)
      mine[STOP] = 1;
    if (w->every_seconds > 0 && now - w->last_checkpoint >= w->every_seconds) mine[CHECKPOINT] = 1;
  }
  PetscCallMPI(MPI_Allreduce(mine, all, COUNT, MPI_DOUBLE, MPI_MAX, comm));
  verdict->stop = all[STOP] > 0 ? PETSC_TRUE : PETSC_FALSE;
  verdict->history_failed = all[HISTORY] > 0 ? PETSC_TRUE : PETSC_FALSE;
  if (all[CHECKPOINT] > 0) verdict->checkpoint = PETSC_TRUE;

  const double fitting = LOOK_PERIOD / (all[STEP_SECONDS] + 1e-9), grown = 2.0 * (double)w->stride;
  w->stride = (PetscInt)(fitting < grown ? fitting : grown);
  if (w->stride < 1) w->stride = 1;
  w->since = 0;
  w->last_look = now;
  PetscFunctionReturn(0);
}
