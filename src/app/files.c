/* The run directory: made, cleared, written to, and continued from. */
#include "app.h"
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static PetscBool exists(const char *dir, const char *name) {
  char path[PETSC_MAX_PATH_LEN + 32];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  return access(path, F_OK) ? PETSC_FALSE : PETSC_TRUE;
}

static PetscErrorCode check_directory_here(HcDriver *d) {
  struct stat st;
  const char *dir = HcRunDir(d->run);
  PetscFunctionBeginUser;
  if (stat(dir, &st)) PetscFunctionReturn(0); /* HcFilesPrepare makes it */
  if (!S_ISDIR(st.st_mode)) PetscCall(HcOptionsFail(d->opts, "run_dir", "'%s' is a file, not a directory", dir));
  if (d->set.overwrite || d->set.restart || d->set.restart_auto || d->set.dry_run) PetscFunctionReturn(0);
  if (exists(dir, "input.yaml"))
    PetscCall(HcFail(HC_EXIT_INPUT,
      "run_dir = '%s': holds an earlier run; continue it with -restart, replace it with -run_overwrite, or choose another "
      "run_dir",
      dir));
  PetscFunctionReturn(0);
}

PetscErrorCode HcFilesCheckDirectory(HcDriver *d) {
  PetscFunctionBeginUser;
  const PetscErrorCode err = d->run->rank ? 0 : check_directory_here(d);
  PetscCall(HcAgree(d->run->comm, err));
  PetscFunctionReturn(0);
}

static PetscErrorCode make_directory(const char *dir) {
  char path[PETSC_MAX_PATH_LEN];
  PetscFunctionBeginUser;
  PetscCall(PetscStrncpy(path, dir, sizeof path));
  for (char *p = path + 1;; ++p) {
    if (*p && *p != '/') continue;
    const char was = *p;
    *p = 0;
    if (mkdir(path, 0777) && errno != EEXIST)
      PetscCall(HcFail(HC_EXIT_IO, "%s: cannot make the run directory: %s", dir, strerror(errno)));
    *p = was;
    if (!was) break;
  }
  if (access(dir, W_OK | X_OK))
    PetscCall(HcFail(HC_EXIT_IO, "%s: cannot write into the run directory: %s", dir, strerror(errno)));
  PetscFunctionReturn(0);
}

static PetscBool starts(const char *name, const char *with) {
  return strncmp(name, with, strlen(with)) ? PETSC_FALSE : PETSC_TRUE;
}

static PetscBool ends(const char *name, const char *with) {
  const size_t n = strlen(name), m = strlen(with);
  return n >= m && !strcmp(name + n - m, with) ? PETSC_TRUE : PETSC_FALSE;
}

/* Only what a run itself writes. */
static PetscBool is_product(const char *name) {
  static const char *const series[] = {"fields_", "checkpoint_", "particles_"};
  static const char *const single[] = {"history.csv", "summary.json", "fields.xmf", "particles.xmf"};
  for (int i = 0; i < 3; ++i)
    if (starts(name, series[i]) && (ends(name, ".h5") || ends(name, ".h5.old") || ends(name, ".tmp"))) return PETSC_TRUE;
  for (int i = 0; i < 4; ++i)
    if (!strcmp(name, single[i])) return PETSC_TRUE;
  return PETSC_FALSE;
}

static PetscErrorCode remove_earlier(const char *dir) {
  char path[PETSC_MAX_PATH_LEN + 300];
  PetscFunctionBeginUser;
  DIR *stream = opendir(dir);
  if (!stream) PetscCall(HcFail(HC_EXIT_IO, "%s: cannot read the run directory: %s", dir, strerror(errno)));
  PetscErrorCode err = 0;
  for (struct dirent *e; !err && (e = readdir(stream));) {
    if (!is_product(e->d_name)) continue;
    snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    if (unlink(path)) err = HcFail(HC_EXIT_IO, "%s: cannot remove: %s", path, strerror(errno));
  }
  closedir(stream);
  PetscCall(err);
  PetscFunctionReturn(0);
}

static void history_header(const HcDriver *d, char *out, size_t size) {
  size_t n = (size_t)snprintf(out, size, d->model->iterate ? "iteration [1]" : "step [1],time [1],dt [1]");
  for (const HcColumn *c = d->model->columns; c && c->name && n < size; ++c)
    n += (size_t)snprintf(out + n, size - n, ",%s [%s]", c->name, c->unit && *c->unit ? c->unit : "1");
}

/* The history that a restart continues: beside the checkpoint, which may lie in another directory. */
static void earlier_history(const char *checkpoint, char *out, size_t size) {
  const char *slash = strrchr(checkpoint, '/');
  snprintf(out, size, "%.*s/history.csv", slash ? (int)(slash - checkpoint) : 1, slash ? checkpoint : ".");
}

/* Whether a run came to its end here: one that a new start would destroy, unlike what is left of a killed one. */
static PetscBool finished(const char *dir) {
  char path[PETSC_MAX_PATH_LEN + 32];
  snprintf(path, sizeof path, "%s/summary.json", dir);
  json_t *summary = json_load_file(path, 0, NULL);
  const char *status = json_string_value(json_object_get(summary, "status"));
  const PetscBool done = status && !strcmp(status, "done") ? PETSC_TRUE : PETSC_FALSE;
  json_decref(summary);
  return done;
}

static PetscErrorCode prepare_here(HcDriver *d, const char *restart_from, const char *yaml) {
  char path[PETSC_MAX_PATH_LEN + 32], header[4096], history[PETSC_MAX_PATH_LEN + 32];
  const char *dir = HcRunDir(d->run);
  PetscFunctionBeginUser;
  if (!restart_from && d->set.restart_auto && finished(dir))
    PetscCall(HcFail(HC_EXIT_INPUT,
      "run_dir = '%s': holds a finished run and no checkpoint to continue from; replace it with -run_overwrite instead of "
      "-restart_auto, or choose another run_dir",
      dir));
  PetscCall(make_directory(dir));
  if (!restart_from && exists(dir, "input.yaml")) PetscCall(remove_earlier(dir));
  snprintf(path, sizeof path, "%s/summary.json", dir);
  unlink(path); /* that of the run's earlier end is no longer true */
  snprintf(path, sizeof path, "%s/input.yaml", dir);
  PetscCall(HcFileReplace(path, yaml));
  history_header(d, header, sizeof header);
  if (restart_from) earlier_history(restart_from, history, sizeof history);
  PetscCall(HcHistoryOpen(0, dir, header, restart_from ? history : NULL, d->clock.step, &d->history));
  PetscFunctionReturn(0);
}

PetscErrorCode HcFilesPrepare(HcDriver *d, const char *restart_from) {
  char *yaml;
  PetscFunctionBeginUser;
  HcTimerStart(HC_TIMER_IO);
  PetscCall(HcOptionsWriteYaml(d->opts, &yaml));
  PetscErrorCode err = d->run->rank ? HcHistoryOpen(1, "", "", NULL, 0, &d->history) : prepare_here(d, restart_from, yaml);
  PetscCall(PetscFree(yaml));
  PetscCall(HcAgree(d->run->comm, err));
  HcTimerStop(HC_TIMER_IO);
  PetscFunctionReturn(0);
}

PetscErrorCode HcFilesWriteFields(HcDriver *d, double t) {
  HcOutput out;
  const double begin = HcWallClock();
  PetscFunctionBeginUser;
  if (!d->plan.grid) PetscFunctionReturn(0);
  HcTimerStart(HC_TIMER_IO);
  PetscCall(HcOutputOpen(HcRunDir(d->run), d->plan.grid, d->output_index, d->clock.step, t, &out));
  if (d->set.nfields) PetscCall(HcOutputSelect(out, d->set.nfields, d->set.fields));
  PetscCall(d->model->write(d->ctx, t, out));
  PetscCall(HcOutputClose(&out));
  if (!d->saved_checkpoint)
    snprintf(d->last_saved, sizeof d->last_saved, "%.*s/fields_%06d.h5", PETSC_MAX_PATH_LEN - 32, HcRunDir(d->run),
      (int)d->output_index);
  ++d->output_index;
  HcTimerStop(HC_TIMER_IO);
  /* until a checkpoint has been written, this is the best guess of what one costs */
  if (!d->saved_checkpoint) d->watch.checkpoint_seconds = PetscMax(d->watch.checkpoint_seconds, HcWallClock() - begin);
  PetscFunctionReturn(0);
}

/* What the driver itself needs to continue. */
enum { CK_STEP, CK_TIME, CK_DT, CK_T0, CK_OUTPUT, CK_COUNT };

PetscErrorCode HcFilesWriteCheckpoint(HcDriver *d) {
  HcCheckpoint ck;
  double own[CK_COUNT];
  const double begin = HcWallClock();
  PetscFunctionBeginUser;
  HcTimerStart(HC_TIMER_IO);
  /* first the rows: whoever restarts from the checkpoint finds all of them up to its step */
  PetscErrorCode err = HcHistoryFlush(d->history, PETSC_TRUE);
  PetscCall(HcAgree(d->run->comm, err));
  own[CK_STEP] = (double)d->clock.step;
  own[CK_TIME] = d->clock.time;
  own[CK_DT] = d->clock.dt;
  own[CK_T0] = d->schedule.t0;
  own[CK_OUTPUT] = (double)d->output_index;
  PetscCall(HcCheckpointCreate(HcRunDir(d->run), d->model->name, d->run->comm, d->clock.step, &ck));
  PetscCall(HcCheckpointPutReals(ck, "driver", CK_COUNT, own));
  PetscCall(d->model->save(d->ctx, ck));
  PetscCall(HcCheckpointClose(&ck, d->set.keep));
  snprintf(d->last_saved, sizeof d->last_saved, "%.*s/checkpoint_%06d.h5", PETSC_MAX_PATH_LEN - 32, HcRunDir(d->run),
    (int)d->clock.step);
  d->saved_checkpoint = PETSC_TRUE;
  HcTimerStop(HC_TIMER_IO);
  HcWatchCheckpointed(&d->watch, HcWallClock() - begin);
  PetscFunctionReturn(0);
}

PetscErrorCode HcFilesFindRestart(HcDriver *d, char file[PETSC_MAX_PATH_LEN]) {
  PetscInt step;
  PetscFunctionBeginUser;
  file[0] = 0;
  if (!d->set.restart && !d->set.restart_auto) PetscFunctionReturn(0);
  if (*d->set.restart_file) {
    PetscErrorCode err = 0;
    PetscCall(PetscStrncpy(file, d->set.restart_file, PETSC_MAX_PATH_LEN));
    if (!d->run->rank && access(file, R_OK))
      err = HcOptionsFail(d->opts, "restart", "cannot open this checkpoint: %s", strerror(errno));
    PetscCall(HcAgree(d->run->comm, err));
    PetscFunctionReturn(0);
  }
  PetscCall(HcCheckpointFind(HcRunDir(d->run), d->run->comm, PETSC_MAX_INT, file, &step));
  if (!*file && d->set.restart) PetscCall(HcOptionsFail(d->opts, "restart", "there is no checkpoint in '%s'", HcRunDir(d->run)));
  PetscFunctionReturn(0);
}

/* The step in checkpoint_<step>.h5, -1 if the file has another name. */
static PetscInt step_of(const char *file) {
  const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
  long long step;
  return sscanf(name, "checkpoint_%lld.h5", &step) == 1 ? (PetscInt)step : -1;
}

static PetscErrorCode find_before(HcDriver *d, const char *file, char before[PETSC_MAX_PATH_LEN]) {
  char dir[PETSC_MAX_PATH_LEN];
  const char *slash = strrchr(file, '/');
  const PetscInt step = step_of(file);
  PetscInt found;
  PetscFunctionBeginUser;
  before[0] = 0;
  if (step <= 0) PetscFunctionReturn(0);
  snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - file) : 1, slash ? file : ".");
  PetscCall(HcCheckpointFind(dir, d->run->comm, step - 1, before, &found));
  PetscFunctionReturn(0);
}

static PetscErrorCode load(HcDriver *d, HcCheckpoint ck) {
  double own[CK_COUNT];
  PetscFunctionBeginUser;
  PetscCall(HcCheckpointGetReals(ck, "driver", CK_COUNT, own));
  PetscCall(d->model->load(d->ctx, ck));
  d->clock.step = (PetscInt)own[CK_STEP];
  d->clock.time = own[CK_TIME];
  d->clock.dt = own[CK_DT];
  d->schedule.t0 = own[CK_T0];
  d->output_index = (PetscInt)own[CK_OUTPUT];
  PetscFunctionReturn(0);
}

PetscErrorCode HcFilesLoad(HcDriver *d, char file[PETSC_MAX_PATH_LEN]) {
  HcCheckpoint ck;
  char before[PETSC_MAX_PATH_LEN], message[2048];
  PetscFunctionBeginUser;
  for (;;) {
    PetscErrorCode err = HcCheckpointOpen(file, d->model->name, d->run->comm, &ck);
    if (!err) break;
    if (HcErrorKind(err) != HC_EXIT_IO) PetscCall(err);
    PetscCall(PetscStrncpy(message, HcErrorMessage(), sizeof message));
    HcErrorClear();
    PetscCall(find_before(d, file, before));
    if (!*before) PetscCall(HcFail(HC_EXIT_IO, "%s; there is no checkpoint before it", message));
    if (!d->set.restart_auto) PetscCall(HcFail(HC_EXIT_IO, "%s; the one before it: -restart %s", message, before));
    PetscCall(HcRunWarn(d->run, "%s; continuing from the one before it, %s", message, before));
    PetscCall(PetscStrncpy(file, before, PETSC_MAX_PATH_LEN));
  }
  PetscCall(load(d, ck));
  PetscCall(HcCheckpointClose(&ck, 0));
  PetscCall(PetscStrncpy(d->last_saved, file, sizeof d->last_saved));
  d->saved_checkpoint = PETSC_TRUE;
  PetscFunctionReturn(0);
}
