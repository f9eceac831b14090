/* The program: start MPI, read the input, start PETSc, run, and leave with the right exit code on every rank. */
#include "app.h"
#include "base/options_private.h"
#include "base/signals.h"
#include "base/version.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

typedef struct {
  int argc, rank;
  char **argv;
  const HcModel *const *models;
  HcDriver driver;
  PetscBool petsc; /* PetscInitialize was called */
} Program;

/* The word of an option that is needed before the tables can be completed; "" if it was not given. */
static PetscErrorCode find_model(Program *p, PetscBool must, const HcModel **model) {
  const char *name;
  char names[1024];
  PetscFunctionBeginUser;
  *model = NULL;
  PetscCall(HcOptionsGetText(p->driver.opts, "model", &name));
  for (int i = 0; p->models[i]; ++i)
    if (!strcmp(p->models[i]->name, name)) *model = p->models[i];
  if (*model || !must) PetscFunctionReturn(0);
  HcModelNames(p->models, names, sizeof names);
  PetscCall(HcFail(HC_EXIT_INPUT, "%s: model is missing; it is one of %s", HcOptionsInputFile(p->driver.opts), names));
  PetscFunctionReturn(0);
}

static PetscErrorCode apply_problem(Program *p) {
  HcDriver *d = &p->driver;
  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetText(d->opts, "problem", &d->problem));
  for (const HcProblem *q = d->model->problems; q && q->name; ++q)
    if (!strcmp(q->name, d->problem)) PetscCall(HcOptionsApplyProblem(d->opts, q));
  PetscFunctionReturn(0);
}

/* -version, -list, -help: no PETSc, no input needed. */
static PetscErrorCode answer(Program *p, PetscBool *answered) {
  HcOptions opts = p->driver.opts;
  PetscBool version = PETSC_FALSE, list = PETSC_FALSE;
  const char *help;
  PetscFunctionBeginUser;
  *answered = PETSC_TRUE;
  PetscCall(HcOptionsGetBool(opts, "version", &version));
  PetscCall(HcOptionsGetBool(opts, "list", &list));
  PetscCall(HcOptionsGetText(opts, "help", &help));
  if (version || list) {
    if (p->rank == 0 && version) HcVersionPrint();
    if (p->rank == 0 && list) HcReportList(p->models);
    PetscFunctionReturn(0);
  }
  if (HcOptionsIsSet(opts, "help")) {
    const PetscBool markdown = strcmp(help, "markdown") ? PETSC_FALSE : PETSC_TRUE;
    if (p->rank == 0 && !markdown) {
      printf("usage: mpirun -n N halocline INPUT.yaml [-key value ...]\n");
      if (p->driver.model)
        printf("Options of model '%s': %s\n", p->driver.model->name, p->driver.model->title);
      else
        printf("Options of every model. -list prints the models; with an input file or -model NAME, -help prints a model's "
               "options too.\n");
    }
    PetscCall(HcOptionsPrintHelp(opts, markdown));
    PetscFunctionReturn(0);
  }
  *answered = PETSC_FALSE;
  PetscFunctionReturn(0);
}

static PetscErrorCode run(Program *p) {
  HcDriver *d = &p->driver;
  PetscBool answered;
  int argc;
  char **argv;
  PetscFunctionBeginUser;
  PetscCall(HcOptionsCreate(MPI_COMM_WORLD, p->argc, p->argv, &d->opts));
  PetscCall(HcSettingsAddTables(d->opts, p->models, NULL));
  PetscCall(find_model(p, PETSC_FALSE, &d->model));
  if (d->model) {
    PetscCall(HcSettingsAddTables(d->opts, p->models, d->model));
    PetscCall(HcOptionsAddTable(d->opts, d->model->options));
  }
  PetscCall(answer(p, &answered));
  if (answered) PetscFunctionReturn(0);
  PetscCall(find_model(p, PETSC_TRUE, &d->model));
  PetscCall(apply_problem(p));
  PetscCall(HcOptionsCheck(d->opts));

  PetscCall(HcErrorSetUp());
  HcOptionsPetscArgs(d->opts, &argc, &argv);
  PetscCall(HcOptionsBlamePetsc(d->opts, PetscInitialize(&argc, &argv, NULL, NULL)));
  p->petsc = PETSC_TRUE;
  PetscCall(HcOptionsBlamePetsc(d->opts, HcDriverRun(d)));
  PetscFunctionReturn(0);
}

static void say(const char *message, int code) {
  fflush(stdout);
  fprintf(stderr, "halocline: %s: %s\n", code == HC_EXIT_STOPPED ? "stopped" : "error", message);
  fflush(stderr);
}

void HcMeet(MPI_Comm meeting, PetscErrorCode err) {
  static const double patience = 10; /* seconds */
  static const struct timespec nap = {0, 1000000};
  MPI_Request request;
  int arrived = 0, rank;
  const double begin = HcWallClock();
  MPI_Comm_rank(meeting, &rank);
  if (err && !*HcErrorMessage())
    HcFail(HC_EXIT_FAILED, "internal error %d on rank %d; please report it with the lines above", (int)err, rank);
  MPI_Ibarrier(meeting, &request);
  for (;;) {
    MPI_Test(&request, &arrived, MPI_STATUS_IGNORE);
    if (arrived) return;
    if (err && HcWallClock() - begin > patience) break;
    nanosleep(&nap, NULL);
  }
  say(HcErrorMessage(), HcErrorKind(err));
  MPI_Abort(MPI_COMM_WORLD, HcErrorKind(err));
}

int HcMain(int argc, char **argv, const HcModel *const models[]) {
  Program p = {.argc = argc, .argv = argv, .models = models};
  MPI_Comm last;
  p.driver.watch.started = HcWallClock();
  HcTimerStart(HC_TIMER_SETUP);
  if (HcSignalsInstall()) return HC_EXIT_FAILED; /* a signal during the start stops the run at its first step */
  MPI_Init(&argc, &argv);
  p.argc = argc;
  p.argv = argv;
  MPI_Comm_rank(MPI_COMM_WORLD, &p.rank);
  MPI_Comm_dup(MPI_COMM_WORLD, &last);
  MPI_Comm_dup(MPI_COMM_WORLD, &p.driver.meeting);

  PetscErrorCode err = run(&p);
  if (p.driver.run && p.driver.run->progress) HcProgressClear(p.driver.run->progress);
  HcMeet(last, err);
  err = HcAgree(last, err);
  int code = HcErrorKind(err);
  if (err && p.rank == 0) say(HcErrorMessage(), code);

  HcRunDestroy(&p.driver.run);
  if (p.driver.row) PetscFree(p.driver.row);
  HcSettingsFree(&p.driver.set);
  if (p.petsc && PetscFinalize() && !code) code = HC_EXIT_FAILED;
  HcOptionsDestroy(&p.driver.opts);
  MPI_Comm_free(&last);
  MPI_Comm_free(&p.driver.meeting);
  MPI_Finalize();
  return code;
}
