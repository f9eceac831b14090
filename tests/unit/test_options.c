/* parallel: options from YAML text and command line, their checks, getters and the resolved input. */
#include "tap.h"
#include <halocline/options.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int rank;
static char file[64]; /* the input file, the same for all ranks */

/* clang-format off */
static const HcOption table[] = {
  {"model", HC_OPT_WORD, "", "", "hj|mfg", "Which equations."},
  {"grid_cells", HC_OPT_INTS, "", "", "[1,inf)", "Cells."},
  {"grid_lower", HC_OPT_REALS, "0", "length", "", "Corner."},
  {"time_end", HC_OPT_REAL, NULL, "time", "(0,inf)", "End."},
  {"time_limit", HC_OPT_DURATION, "", "", "(0,inf)", "Limit."},
  {"mfg_sigma", HC_OPT_REAL, "0.3", "", "[0,2)", "Noise."},
  {"mfg_depth", HC_OPT_INT, "5", "", "[1,50]", "Depth."},
  {"mfg_scheme", HC_OPT_WORD, "upwind", "", "upwind|weno", "Scheme."},
  {"mfg_faces", HC_OPT_WORDS, "", "", "wall|exit", "Faces."},
  {"mfg_on", HC_OPT_BOOL, "false", "", "", "Switch."},
  {"mfg_cost", HC_OPT_FIELD, "0", "", "x,y,z,t", "Cost."},
  {"mfg_plan", HC_OPT_FILE, "", "", "", "Plan."},
  {"mfg_note", HC_OPT_TEXT, "", "", "", "Text."},
  {NULL, HC_OPT_BOOL, NULL, NULL, NULL, NULL}};
/* clang-format on */

static const char *const settings[] = {"mfg_sigma", "0.5", "mfg_depth", "7", NULL};
static const HcProblem problem = {"towel", "A beach.", settings};

/* Options of a text and up to eight words of the command line. */
static PetscErrorCode make(HcOptions *opts, const char *text, const char *const words[]) {
  char *argv[12] = {(char *)"halocline", file};
  int argc = 2;
  PetscFunctionBeginUser;
  if (!rank) {
    FILE *f = fopen(file, "w");
    fputs(text, f);
    fclose(f);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  for (int i = 0; words && words[i]; ++i) argv[argc++] = (char *)words[i];
  PetscErrorCode err = HcOptionsCreate(MPI_COMM_WORLD, argc, argv, opts);
  if (!err) err = HcOptionsAddTable(*opts, table);
  if (!err) err = HcOptionsCheck(*opts);
  PetscFunctionReturn(err);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The text is refused with a line that holds both words. */
static void refused(const char *text, const char *const words[], const char *one, const char *two) {
  HcOptions opts = NULL;
  const PetscErrorCode err = make(&opts, text, words);
  const int good = HcErrorKind(err) == HC_EXIT_INPUT && strstr(HcErrorMessage(), one) && strstr(HcErrorMessage(), two);
  if (!good && !rank) fprintf(stderr, "# '%s' '%s'\n# %s\n", one, two, HcErrorMessage());
  tap_ok(good, "refused: %s %s", one, two);
  HcErrorClear();
  PetscCallAbort(MPI_COMM_WORLD, HcOptionsDestroy(&opts));
}

static PetscErrorCode test_values(void) {
  HcOptions o;
  PetscInt n, ints[4], word, integer;
  PetscReal reals[4], real;
  PetscBool flag;
  const char *text;
  char path[PETSC_MAX_PATH_LEN];
  PetscFunctionBeginUser;
  PetscCall(make(&o,
    "model: mfg\ngrid:\n  cells: [64, 32]\n  lower: '-pi, 1/2'\ntime: {end: 0.5/pi^2, limit: 1:02:03}\n"
    "mfg:\n  on: Yes\n  faces: wall,exit\n  plan: plans/a.png\n  note: \"it's: # \\\"x\\\"\"\n",
    WORDS("-mfg_sigma", "-0", "-mfg_sigma", "1e-1", "-mfg_cost", "-cos(x)", "--mfg_depth", "9")));
  n = 4;
  PetscCall(HcOptionsGetInts(o, "grid_cells", &n, ints));
  tap_ok(n == 2 && ints[0] == 64 && ints[1] == 32, "a list of integers");
  n = 4;
  PetscCall(HcOptionsGetReals(o, "grid_lower", &n, reals));
  tap_ok(n == 2 && reals[0] == -M_PI && reals[1] == 0.5, "numbers with pi and fractions");
  PetscCall(HcOptionsGetReal(o, "time_end", &real));
  tap_ok(real == 0.5 / pow(M_PI, 2), "a quotient with a power");
  PetscCall(HcOptionsGetReal(o, "time_limit", &real));
  tap_ok(real == 3723, "a duration in seconds");
  PetscCall(HcOptionsGetReal(o, "mfg_sigma", &real));
  tap_ok(real == 0.1, "the last word of the command line counts");
  PetscCall(HcOptionsGetInt(o, "mfg_depth", &integer));
  tap_ok(integer == 9, "two dashes are one");
  PetscCall(HcOptionsGetText(o, "mfg_cost", &text));
  tap_ok(!strcmp(text, "-cos(x)"), "a formula may begin with a minus");
  PetscCall(HcOptionsGetBool(o, "mfg_on", &flag));
  tap_ok(flag, "a switch");
  n = 4;
  PetscCall(HcOptionsGetWords(o, "mfg_faces", &n, ints));
  tap_ok(n == 2 && ints[0] == 0 && ints[1] == 1, "a list of words");
  PetscCall(HcOptionsGetWord(o, "mfg_scheme", &word));
  tap_ok(word == 0 && !HcOptionsIsSet(o, "mfg_scheme") && HcOptionsIsSet(o, "mfg_on"), "a default word, and that it is one");
  PetscCall(HcOptionsGetText(o, "mfg_note", &text));
  tap_ok(!strcmp(text, "it's: # \"x\""), "a quoted text");
  PetscCall(HcOptionsGetPath(o, "mfg_plan", path));
  tap_ok(!strcmp(path, "/tmp/plans/a.png"), "a path beside the input file: %s", path);
  n = 1;
  tap_ok(HcErrorKind(HcOptionsGetInts(o, "grid_cells", &n, ints)) == HC_EXIT_INPUT, "too many values for the reader");
  HcErrorClear();
  tap_ok(!strncmp(HcOptionsInputName(o), "hc_options_", 11) && !strchr(HcOptionsInputName(o), '.'), "the input's name");
  PetscCall(HcOptionsDestroy(&o));
  PetscFunctionReturn(0);
}

static PetscErrorCode test_ranks_of_origin(void) {
  HcOptions o;
  PetscReal sigma;
  PetscInt depth, n = 3, cells[3];
  PetscFunctionBeginUser;
  PetscCall(make(&o, "mfg: {sigma: 0.7}\n", NULL));
  PetscCall(HcOptionsApplyProblem(o, &problem));
  PetscCall(HcOptionsGetReal(o, "mfg_sigma", &sigma));
  PetscCall(HcOptionsGetInt(o, "mfg_depth", &depth));
  tap_ok(sigma == 0.7 && depth == 7, "the file is above the problem, the problem above the default");
  PetscCall(HcOptionsSetDerived(o, "mfg_sigma", "0.9"));
  PetscCall(HcOptionsSetDerived(o, "grid_cells", "8,8"));
  PetscCall(HcOptionsGetReal(o, "mfg_sigma", &sigma));
  PetscCall(HcOptionsGetInts(o, "grid_cells", &n, cells));
  tap_ok(sigma == 0.7 && n == 2 && cells[1] == 8, "a derived value yields to the user and fills what is unset");
  HcOptionsFail(o, "mfg_depth", "x");
  tap_ok(!strcmp(HcErrorMessage(), "problem 'towel': mfg_depth = '7': x"), "a problem's value is blamed on it");
  HcErrorClear();
  tap_ok(HcErrorKind(HcOptionsGetReal(o, "time_end", &sigma)) == HC_EXIT_INPUT &&
           strstr(HcErrorMessage(), "time_end is missing") == NULL && strstr(HcErrorMessage(), "time_end: is missing"),
    "what must be given and is not");
  HcErrorClear();
  PetscCall(HcOptionsDestroy(&o));
  PetscFunctionReturn(0);
}

static PetscErrorCode test_use(void) {
  HcOptions o;
  PetscReal x;
  PetscFunctionBeginUser;
  PetscCall(make(&o, "time: {end: 1}\nmfg: {sigma: 1}\n", NULL));
  PetscCall(HcOptionsGetReal(o, "time_end", &x));
  tap_ok(HcErrorKind(HcOptionsCheckUsed(o, "hj")) == HC_EXIT_INPUT && strstr(HcErrorMessage(), ":2:14: mfg_sigma") &&
           strstr(HcErrorMessage(), "'hj'"),
    "a key that nobody read: %s", HcErrorMessage());
  HcErrorClear();
  PetscCall(HcOptionsGetReal(o, "mfg_sigma", &x));
  tap_ok(HcOptionsCheckUsed(o, "hj") == 0, "all keys were read");
  PetscCall(HcOptionsDestroy(&o));
  PetscFunctionReturn(0);
}

static PetscErrorCode test_petsc(void) {
  HcOptions o;
  int argc;
  char **argv;
  PetscFunctionBeginUser;
  PetscCall(make(&o, "hjb: {ksp_type: gmres, ksp_monitor: true}\nsnes_rtol: -1\n", WORDS("-log_view", "-fp_pc_type", "lu")));
  HcOptionsPetscArgs(o, &argc, &argv);
  char all[512] = "";
  for (int i = 1; i < argc; ++i) strcat(strcat(all, argv[i]), " ");
  tap_ok(strstr(all, "-hjb_ksp_type gmres -hjb_ksp_monitor -snes_rtol -1 ") && strstr(all, "-log_view -fp_pc_type lu "),
    "PETSc gets: %s", all);
  tap_ok(HcErrorKind(HcOptionsCheckPetscUsed(o)) == HC_EXIT_INPUT && strstr(HcErrorMessage(), "fp_pc_type"),
    "what PETSc never asked for: %s", HcErrorMessage());
  HcErrorClear();
  PetscCall(HcOptionsDestroy(&o));
  PetscFunctionReturn(0);
}

/* The resolved input, read again, says the same. */
static PetscErrorCode test_yaml(void) {
  static const char *const keys[] = {"grid_cells", "grid_lower", "time_end", "mfg_sigma", "mfg_cost", "mfg_note"};
  HcOptions a, b;
  char *first, *second;
  const char *text;
  int same = 1;
  PetscFunctionBeginUser;
  PetscCall(make(&a,
    "grid: {cells: '3,4'}\ntime: {end: 2*pi}\nmfg: {cost: \"x > 0 ? 'no' : 1\", note: \"a\\tb: '#'\"}\nhjb_ksp_type: cg\n",
    NULL));
  for (int i = 0; i < 6; ++i) PetscCall(HcOptionsGetText(a, keys[i], &text));
  PetscCall(HcOptionsWriteYaml(a, &first));
  PetscCall(make(&b, first, NULL));
  for (int i = 0; i < 6; ++i) {
    const char *one, *two;
    PetscCall(HcOptionsGetText(a, keys[i], &one));
    PetscCall(HcOptionsGetText(b, keys[i], &two));
    same = same && !strcmp(one, two);
  }
  PetscCall(HcOptionsWriteYaml(b, &second));
  tap_ok(same, "every value survives being written and read");
  tap_ok(!strcmp(first, second), "and so does the whole");
  tap_ok(strstr(first, "grid:\n  cells: '3,4'\n  lower: 0\n") && strstr(first, "hjb_ksp_type: cg\n") && !strstr(first, "depth"),
    "sections, defaults that were read, PETSc's options; nothing that was not read");
  PetscCall(PetscFree(first));
  PetscCall(PetscFree(second));
  PetscCall(HcOptionsDestroy(&a));
  PetscCall(HcOptionsDestroy(&b));
  PetscFunctionReturn(0);
}

static void test_refusals(void) {
  refused("", NULL, "empty", file);
  refused("# x\n", NULL, "empty", file);
  refused("grid: {cells: 3}\n---\na: 1\n", NULL, ":2:1:", "second document");
  refused("grid:\n  cells: 3\n  cells: 4\n", NULL, ":3:10:", "twice");
  refused("grid:\n\tcells: 3\n", NULL, ":2:1:", "tab");
  refused("grid: [\n", NULL, "malformed", ":2:1:");
  refused("- 1\n", NULL, ":1:1:", "list");
  refused("grid: {cells: null}\n", NULL, ":1:15:", "no value");
  refused("grid: {}\n", NULL, ":1:1:", "section grid is empty");
  refused("grid: {cells: []}\n", NULL, ":1:15:", "empty list");
  refused("grid: {cells: [1, {a: 2}]}\n", NULL, ":1:19:", "plain values");
  refused("? [a, b]\n: 1\n", NULL, ":1:3:", "single word");
  refused("a b: 1\n", NULL, ":1:1:", "not a key");
  refused("grid: {cells: !!int 3}\n", NULL, ":1:15:", "tags");
  refused("grdi: {cells: 3}\n", NULL, "grdi_cells", "'grid_cells'");
  refused("mfg: {sigam: 3}\n", NULL, "mfg_sigam = '3'", "'mfg_sigma'");
  refused("mfg: 3\n", NULL, "mfg = '3'", "section");
  refused("mfg: {sigma: {x: 3}}\n", NULL, "mfg_sigma", "not a section");
  refused("mfg: {sigma: 2}\n", NULL, "mfg_sigma = '2'", "range [0,2)");
  refused("mfg: {depth: 0}\n", NULL, "mfg_depth = '0'", "range [1,50]");
  refused("grid: {cells: 0}\n", NULL, "grid_cells = '0'", "at least 1");
  refused("mfg: {depth: 1.0}\n", NULL, "mfg_depth = '1.0'", "integer");
  refused("mfg: {depth: 0x10}\n", NULL, "mfg_depth", "integer");
  refused("mfg: {depth: 99999999999999999999}\n", NULL, "mfg_depth", "does not fit");
  refused("time: {end: nan}\n", NULL, "time_end", "not a number");
  refused("time: {end: 1/0}\n", NULL, "time_end", "finite");
  refused("time: {end: 2 pi}\n", NULL, "time_end", "not a number");
  refused("time: {limit: 1:2:3:4}\n", NULL, "time_limit", "duration");
  refused("mfg: {scheme: Weno}\n", NULL, "mfg_scheme = 'Weno'", "'weno'");
  refused("mfg: {faces: 'wall,door'}\n", NULL, "item 2", "door");
  refused("mfg: {on: 2}\n", NULL, "mfg_on", "true or false");
  refused("grid: {cells: '1,2,'}\n", NULL, "grid_cells", "ends with a comma");
  refused("mfg: {note: \"\"}\n", NULL, ":1:13:", "no value");
  refused("time: {end: 1}\n", WORDS("-mfg_sigma"), "command line: mfg_sigma", "needs a value");
  refused("time: {end: 1}\n", WORDS("-mfg_sgima", "1"), "command line: mfg_sgima = '1'", "'mfg_sigma'");
  refused("time: {end: 1}\n", WORDS("b.yaml"), "b.yaml", "one argument too many");
  refused("time: {end: 1}\n", WORDS("-1"), "'-1'", "neither");
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  int id = (int)getpid();
  if (MPI_Bcast(&id, 1, MPI_INT, 0, MPI_COMM_WORLD)) return 1;
  snprintf(file, sizeof file, "/tmp/hc_options_%d.yaml", id);
  PetscCallAbort(MPI_COMM_WORLD, test_values());
  PetscCallAbort(MPI_COMM_WORLD, test_ranks_of_origin());
  PetscCallAbort(MPI_COMM_WORLD, test_use());
  PetscCallAbort(MPI_COMM_WORLD, test_petsc());
  PetscCallAbort(MPI_COMM_WORLD, test_yaml());
  test_refusals();
  if (!rank) remove(file);
  return tap_done();
}
