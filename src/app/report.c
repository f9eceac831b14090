/* What is said at the start and at the end. */
#include "app.h"
#include "base/version.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void describe_cells(const HcPlan *p, char *out, size_t size) {
  size_t n = 0;
  double total = 1;
  out[0] = 0;
  for (PetscInt i = 0; i < p->dim; ++i) {
    n += (size_t)snprintf(out + n, size - n, "%s%lld", i ? " x " : "", (long long)p->cells[i]);
    total *= (double)p->cells[i];
  }
  if (p->dim > 1) snprintf(out + n, size - n, " = %.0f", total);
}

PetscErrorCode HcReportStart(HcDriver *d) {
  char cells[128];
  double available;
  int ranks;
  PetscFunctionBeginUser;
  PetscCall(HcMemoryFree(d->run->comm, &available, &ranks));
  PetscCall(HcRunLog(d->run, "halocline %s  %s: %s%s%s", HcVersion(), d->model->name, d->model->title,
    *d->problem ? ", problem " : "", d->problem));
  PetscCall(HcRunLog(d->run, "  input       %s", HcOptionsInputFile(d->opts)));
  PetscCall(HcRunLog(d->run, "  directory   %s", HcRunDir(d->run)));
  describe_cells(&d->plan, cells, sizeof cells);
  if (d->plan.dim)
    PetscCall(HcRunLog(d->run, "  cells       %s on %d rank%s", cells, d->run->size, d->run->size == 1 ? "" : "s"));
  else
    PetscCall(HcRunLog(d->run, "  ranks       %d", d->run->size));
  PetscCall(HcRunLog(d->run, "  memory      %.0f MB a rank expected (%.1f MB of it arrays); %.0f MB free on the node",
    d->memory_expected_mb, d->memory_arrays_mb, available));
  PetscFunctionReturn(0);
}

PetscErrorCode HcReportDryRun(HcDriver *d) {
  char cells[128], *yaml;
  PetscReal end = 0;
  PetscFunctionBeginUser;
  PetscCall(HcOptionsWriteYaml(d->opts, &yaml));
  describe_cells(&d->plan, cells, sizeof cells);
  if (HcOptionsIsSet(d->opts, "time_end")) PetscCall(HcOptionsGetReal(d->opts, "time_end", &end));
  const HcSchedule schedule = {.end = end, .interval = end > 0 ? d->set.output_interval : 0, .count = d->set.output_count};
  const double outputs = HcScheduleTotal(&schedule);
  const int keep = d->set.keep ? (int)d->set.keep : 1;
  PetscCall(HcRunLog(d->run, "%s", yaml));
  PetscCall(PetscFree(yaml));
  if (d->plan.dim)
    PetscCall(HcRunLog(d->run, "# cells       %s on %d rank%s", cells, d->run->size, d->run->size == 1 ? "" : "s"));
  PetscCall(
    HcRunLog(d->run, "# memory      %.0f MB a rank expected (%.1f MB of it arrays)", d->memory_expected_mb, d->memory_arrays_mb));
  PetscCall(HcRunLog(d->run, "# output      %.1f MB: %.0f fields files of %.2f MB, %d checkpoint%s of %.2f MB",
    (outputs * d->plan.bytes_per_output + keep * d->plan.bytes_per_checkpoint) / 1e6, outputs, d->plan.bytes_per_output / 1e6,
    keep, keep == 1 ? "" : "s", d->plan.bytes_per_checkpoint / 1e6));
  PetscCall(HcRunLog(d->run, "# directory   %s", HcRunDir(d->run)));
  PetscCall(HcMemoryCheck(d->run->comm, d->plan.bytes_per_rank)); /* only now: the sizes are what one wants to know then */
  PetscCall(HcRunLog(d->run, "# dry run: the input is good, nothing was computed"));
  PetscFunctionReturn(0);
}

static const char *status_of(HcExit kind) {
  switch (kind) {
  case HC_EXIT_DONE:
    return "done";
  case HC_EXIT_STOPPED:
    return "stopped";
  case HC_EXIT_IO:
    return "io_error";
  default:
    return "failed";
  }
}

static void print_results(HcRun run) {
  const char *key;
  json_t *v;
  json_object_foreach(run->results, key, v) {
    if (json_is_real(v))
      printf("  %-22s %.10g\n", key, json_real_value(v));
    else if (json_is_integer(v))
      printf("  %-22s %lld\n", key, (long long)json_integer_value(v));
    else if (json_is_boolean(v))
      printf("  %-22s %s\n", key, json_is_true(v) ? "true" : "false");
    else if (json_is_array(v))
      printf("  %-22s %zu values (summary.json)\n", key, json_array_size(v));
    else
      printf("  %-22s not a number\n", key);
  }
}

static PetscErrorCode print_end(HcDriver *d, const HcSummary *s) {
  double seconds[HC_TIMER_COUNT];
  PetscFunctionBeginUser;
  if (d->run->rank) PetscFunctionReturn(0);
  HcProgressClear(d->run->progress);
  for (int i = 0; i < HC_TIMER_COUNT; ++i) seconds[i] = HcTimerSeconds((HcTimer)i);
  printf(
    "%s after %.2f s: %lld %s", s->status, s->wall_seconds, (long long)d->clock.step, d->model->iterate ? "iterations" : "steps");
  if (!d->model->iterate) printf(", time %.10g", d->clock.time);
  printf("\n");
  print_results(d->run);
  printf("  seconds                setup %.2f, compute %.2f, exchange %.2f, solve %.2f, io %.2f\n", seconds[0], seconds[1],
    seconds[2], seconds[3], seconds[4]);
  if (s->cells_per_second > 0) printf("  cells per second       %.3e\n", s->cells_per_second);
  printf("  memory                 %.0f MB a rank at the peak (%.0f MB expected)\n", s->memory_peak_mb, s->memory_expected_mb);
  printf("  files                  %s: summary.json, history.csv", HcRunDir(d->run));
  if (d->output_index) printf(", fields.xmf (ParaView, VisIt), %lld fields files", (long long)d->output_index);
  printf("\n");
  fflush(stdout);
  PetscFunctionReturn(0);
}

PetscErrorCode HcReportEnd(HcDriver *d, PetscErrorCode err) {
  char message[2048];
  PetscFunctionBeginUser;
  const double now = HcWallClock(), computing = now - d->run_started;
  PetscCall(PetscStrncpy(message, HcErrorMessage(), sizeof message));
  PetscErrorCode other = HcHistoryClose(&d->history);
  other = HcAgree(d->run->comm, other);
  if (!other && (!err || HcErrorKind(err) == HC_EXIT_STOPPED))
    other = d->model->results(d->ctx, &d->clock);
  else if (d->model->results(d->ctx, &d->clock))
    HcErrorClear();
  if (!err && other) {
    err = other;
    PetscCall(PetscStrncpy(message, HcErrorMessage(), sizeof message));
  }

  const PetscInt done = d->clock.step - d->first_step;
  const double updates = d->plan.updates_per_step > 0 ? d->plan.updates_per_step
                         : d->plan.grid               ? HcGridTotalCells(d->plan.grid)
                                                      : 0;
  HcSummary s = {.status = status_of(HcErrorKind(err)),
    .exit_code = HcErrorKind(err),
    .message = message,
    .model = d->model->name,
    .problem = d->problem,
    .steps = d->model->iterate ? 0 : d->clock.step,
    .iterations = d->model->iterate ? d->clock.step : 0,
    .marching = d->model->iterate ? PETSC_FALSE : PETSC_TRUE,
    .time = d->clock.time,
    .wall_seconds = now - d->watch.started,
    .cells_per_second = computing > 0 ? updates * (double)done / computing : 0,
    .memory_expected_mb = d->memory_expected_mb,
    .memory_arrays_mb = d->memory_arrays_mb};
  PetscCall(HcMemoryPeak(d->run->comm, &s.memory_peak_mb));
  PetscCallMPI(
    MPI_Allreduce(MPI_IN_PLACE, &s.wall_seconds, 1, MPI_DOUBLE, MPI_MAX, d->run->comm)); /* ranks do not start together */
  other = HcSummaryWrite(d->run, &s);
  if (!err) err = other;
  if (err != other && other) HcErrorClear(); /* the first failure is the one to tell */
  PetscCall(print_end(d, &s));
  if (err && err != other) {
    HcErrorClear();
    err = HcFail(HcErrorKind(err), "%s", message);
  }
  PetscFunctionReturn(err);
}

/* The words that a model's options of choice allow. */
static void list_words(const HcModel *m) {
  for (const HcOption *o = m->options; o && o->key; ++o) {
    if ((o->type != HC_OPT_WORD && o->type != HC_OPT_WORDS) || !o->allowed) continue;
    printf("    %-24s ", o->key);
    for (const char *p = o->allowed; *p; ++p) *p == '|' ? (void)fputs(", ", stdout) : (void)fputc(*p, stdout);
    printf("\n");
  }
}

void HcReportList(const HcModel *const models[]) {
  for (int i = 0; models[i]; ++i) {
    const HcModel *m = models[i];
    printf("%s%s: %s\n", i ? "\n" : "", m->name, m->title);
    if (m->problems && m->problems[0].name) printf("  problems\n");
    for (const HcProblem *p = m->problems; p && p->name; ++p) printf("    %-24s %s\n", p->name, p->summary);
    printf("  choices\n");
    list_words(m);
  }
  fflush(stdout);
}
