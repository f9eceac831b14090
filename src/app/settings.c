/* The options that every model shares. */
#include "app.h"
#include "base/options_private.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const HcOption command_line[] = {
  {"help", HC_OPT_TEXT, "", "", "", "Print every option of the chosen model; -help markdown prints tables."},
  {"list", HC_OPT_BOOL, "false", "", "", "Print the models, their built-in problems and schemes."},
  {"version", HC_OPT_BOOL, "false", "", "", "Print the versions of the program and of what it stands on."},
  {"dry_run", HC_OPT_BOOL, "false", "", "", "Read and check everything, print the resolved input and the sizes, and stop."},
  {"restart", HC_OPT_TEXT, "", "", "", "Continue from the newest checkpoint of the run directory, or from the file named."},
  {"restart_auto", HC_OPT_BOOL, "false", "", "", "Continue if there is a checkpoint, else start anew."},
  {NULL, HC_OPT_BOOL, NULL, NULL, NULL, NULL}};

static const HcOption common[] = {
  {"grid_dim", HC_OPT_INT, "", "", "[1,3]", "Dimensions of space; unset: as many as grid_cells has numbers."},
  {"grid_cells", HC_OPT_INTS, "", "", "[1,inf)", "Cells in each direction."},
  {"grid_lower", HC_OPT_REALS, "0", "length", "", "Lower corner of the box: one number for all directions, or one a direction."},
  {"grid_upper", HC_OPT_REALS, "1", "length", "", "Upper corner of the box."},
  {"grid_boundary", HC_OPT_WORDS, "", "", "periodic|reflecting|exit|outflow|given|symmetry",
    "Boundary: one word for all faces, or one a face in the order x-,x+,y-,y+,z-,z+."},
  {"time_end", HC_OPT_REAL, "", "time", "(0,inf)", "Final time."},
  {"time_steps", HC_OPT_INT, "", "", "[1,inf)", "Number of time steps, where the step is constant."},
  {"time_cfl", HC_OPT_REAL, "", "", "(0,inf)", "Time step as a fraction of the stability limit, where the step is variable."},
  {"output_interval", HC_OPT_REAL, "", "time", "(0,inf)", "Simulated time between fields files; or give output_count."},
  {"output_count", HC_OPT_INT, "", "", "[0,inf)",
    "Number of fields files after the initial one, equally spaced in time; neither given: the initial and the final state."},
  {"output_checkpoint_interval", HC_OPT_TEXT, "600 s", "steps or time", "",
    "Between checkpoints: steps or iterations (100), or wall-clock time (600 s, 10 min, 1 h); 0: only when stopped early."},
  {"output_keep", HC_OPT_INT, "2", "", "[0,inf)", "How many checkpoints are kept; 0: all."},
  {"run_dir", HC_OPT_TEXT, "", "", "", "Run directory; unset: output/<name of the input file>."},
  {"run_walltime", HC_OPT_DURATION, "", "", "(0,inf)",
    "Stop with a checkpoint (exit code 75) before this wall-clock time is over."},
  {"run_seed", HC_OPT_INT, "1", "", "[0,inf)", "Seed of the random numbers, where there are any."},
  {"run_progress", HC_OPT_WORD, "auto", "", "auto|on|off",
    "Progress line: auto rewrites it on a terminal and prints one every few seconds to a file."},
  {"run_overwrite", HC_OPT_BOOL, "false", "", "", "Replace the files of an earlier run in the run directory."},
  {NULL, HC_OPT_BOOL, NULL, NULL, NULL, NULL}};

/* Rows whose words are known only now. Tables are kept by reference, so these live as long as the program. */
static char model_words[1024], problem_words[4096];
static HcOption chosen[3], field_names[2];

void HcModelNames(const HcModel *const models[], char *out, size_t size) {
  size_t n = 0;
  out[0] = 0;
  for (int i = 0; models[i] && n < size; ++i) n += (size_t)snprintf(out + n, size - n, "%s%s", i ? "|" : "", models[i]->name);
}

PetscErrorCode HcSettingsAddTables(HcOptions opts, const HcModel *const models[], const HcModel *model) {
  size_t n = 0;
  PetscFunctionBeginUser;
  HcModelNames(models, model_words, sizeof model_words);
  problem_words[0] = 0;
  for (const HcProblem *p = model ? model->problems : NULL; p && p->name && n < sizeof problem_words; ++p)
    n += (size_t)snprintf(problem_words + n, sizeof problem_words - n, "%s%s", n ? "|" : "", p->name);
  chosen[0] = (HcOption){"model", HC_OPT_WORD, "", "", model_words, "Which equations are solved."};
  chosen[1] = (HcOption){"problem", model ? HC_OPT_WORD : HC_OPT_TEXT, "", "", problem_words,
    "A built-in problem of the model: settings below those given here."};
  const PetscBool known = model && model->fields ? PETSC_TRUE : PETSC_FALSE;
  field_names[0] = (HcOption){"output_fields", known ? HC_OPT_WORDS : HC_OPT_TEXT, "", "", known ? model->fields : "",
    "Names of the fields to write, separated by commas; unset: all."};
  PetscCall(HcOptionsAddTable(opts, chosen));
  PetscCall(HcOptionsAddTable(opts, common));
  PetscCall(HcOptionsAddTable(opts, field_names));
  PetscCall(HcOptionsAddTable(opts, command_line));
  PetscFunctionReturn(0);
}

static PetscErrorCode read_checkpoint_interval(HcOptions opts, HcSettings *s) {
  static const struct {
    const char *name;
    double seconds;
  } units[] = {{"s", 1}, {"sec", 1}, {"seconds", 1}, {"m", 60}, {"min", 60}, {"minutes", 60}, {"h", 3600}, {"hours", 3600},
    {"steps", -1}, {"iterations", -1}};
  const char *text, *key = "output_checkpoint_interval";
  char *end;
  PetscReal seconds;
  char why[HC_WHY];
  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetText(opts, key, &text));
  if (strchr(text, ':')) {
    if (HcValueDuration(text, &seconds, why)) PetscCall(HcOptionsFail(opts, key, "%s", why));
    s->checkpoint_seconds = seconds;
    PetscFunctionReturn(0);
  }
  const double value = isdigit((unsigned char)*text) || *text == '.' ? strtod(text, &end) : -1;
  if (value < 0) PetscCall(HcOptionsFail(opts, key, "is neither a number of steps (100) nor a time (600 s, 10 min, 1 h)"));
  while (isspace((unsigned char)*end)) ++end;
  if (!*end) {
    s->checkpoint_steps = (PetscInt)value;
    if (value != (double)s->checkpoint_steps)
      PetscCall(HcOptionsFail(opts, key, "is not a whole number of steps (for a time write %ss)", text));
    PetscFunctionReturn(0);
  }
  for (size_t i = 0; i < sizeof units / sizeof *units; ++i) {
    if (strcmp(end, units[i].name)) continue;
    if (units[i].seconds > 0)
      s->checkpoint_seconds = value * units[i].seconds;
    else
      s->checkpoint_steps = (PetscInt)value;
    PetscFunctionReturn(0);
  }
  PetscCall(HcOptionsFail(opts, key, "'%s' is not a unit of time; use s, min or h, or a number of steps alone", end));
  PetscFunctionReturn(0);
}

static PetscErrorCode read_fields(HcOptions opts, HcSettings *s) {
  const char *text;
  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetText(opts, "output_fields", &text));
  if (!*text) PetscFunctionReturn(0);
  PetscCall(PetscStrallocpy(text, &s->fields_text));
  PetscCall(PetscMalloc1(strlen(text) / 2 + 2, &s->fields));
  for (char *save = NULL, *w = strtok_r(s->fields_text, ", ", &save); w; w = strtok_r(NULL, ", ", &save))
    s->fields[s->nfields++] = w;
  PetscFunctionReturn(0);
}

PetscErrorCode HcSettingsRead(HcOptions opts, HcSettings *s) {
  PetscInt word = 0;
  PetscFunctionBeginUser;
  memset(s, 0, sizeof *s);
  s->output_count = 1;
  PetscCall(HcOptionsGetBool(opts, "dry_run", &s->dry_run));
  PetscCall(HcOptionsGetBool(opts, "run_overwrite", &s->overwrite));
  PetscCall(HcOptionsGetBool(opts, "restart_auto", &s->restart_auto));
  PetscCall(HcOptionsGetText(opts, "restart", &s->restart_file));
  s->restart = HcOptionsIsSet(opts, "restart");
  if (s->overwrite && (s->restart || s->restart_auto))
    PetscCall(HcOptionsFail(opts, "run_overwrite", "replaces the earlier run that %s continues; give one of them",
      s->restart ? "-restart" : "-restart_auto"));
  PetscCall(HcOptionsGetText(opts, "run_dir", &s->dir_option));
  PetscCall(HcOptionsGetReal(opts, "output_interval", &s->output_interval));
  PetscCall(HcOptionsGetInt(opts, "output_count", &s->output_count));
  const HcOrigin interval = HcOptionsRow(opts, "output_interval")->origin, count = HcOptionsRow(opts, "output_count")->origin;
  if (interval > HC_FROM_PROBLEM && count > HC_FROM_PROBLEM)
    PetscCall(HcOptionsFail(opts, "output_count", "both output_interval and output_count are given; give one of them"));
  if (count > interval) s->output_interval = 0;
  PetscCall(HcOptionsGetInt(opts, "output_keep", &s->keep));
  PetscCall(HcOptionsGetReal(opts, "run_walltime", &s->walltime));
  PetscCall(HcOptionsGetWord(opts, "run_progress", &word));
  s->progress = (HcProgressMode)word;
  PetscCall(read_checkpoint_interval(opts, s));
  PetscCall(read_fields(opts, s));
  PetscFunctionReturn(0);
}

PetscErrorCode HcSettingsFree(HcSettings *s) {
  PetscFunctionBeginUser;
  PetscCall(PetscFree(s->fields_text));
  PetscCall(PetscFree(s->fields));
  PetscFunctionReturn(0);
}
