/* Mean field game, scheme upwind: coupling iterations from the first guess on, as a run does them, ns per cell, time step and
 * iteration, both equations; and one small game in one dimension solved from set-up to convergence. */
#include "app/app.h"
#include "base/run_private.h"
#include "bench.h"
#include "models/mfg/mfg.h"
#include <string.h>
#include <unistd.h>

extern const HcModel HcModelMfg;

enum { MOST = 16, SOLVES = 15 };

typedef struct {
  const char *name;
  const char *grid;
  PetscInt steps;
  double end;
  const char *mfg; /* the rest of that section */
  const char *what_limits;
} Case;

static const char CROWD[] =
  "  sigma: 0.3\n  running_cost: \"1 + m\"\n  terminal_cost: \"(x-0.8)^2\"\n  initial_density: \"exp(-20*(x-0.3)^2)\"\n";
static const char WALL_2D[] = "  obstacle: \"0.05 - abs(x-0.5) - (abs(y-0.6) < 0.1 ? 1 : 0)\"\n";

static const Case cases[] = {
  {"implicit_1d_400", "{dim: 1, cells: \"400\", boundary: reflecting}", 200, 1, CROWD,
    "latency of divisions in two eliminations"},
  {"implicit_2d_128^2", "{dim: 2, cells: \"128,128\", boundary: reflecting}", 20, 0.5, CROWD, "multigrid cycles in cache"},
  {"implicit_2d_192x160_wall", "{dim: 2, cells: \"192,160\", boundary: reflecting}", 20, 1, WALL_2D, "multigrid cycles in cache"},
  {"implicit_3d_32^3", "{dim: 3, cells: \"32,32,32\", boundary: reflecting}", 10, 0.5, CROWD, "multigrid cycles in cache"},
  {"explicit_1d_400", "{dim: 1, cells: \"400\", boundary: reflecting}", 100, 0.002, CROWD, "calls and short rows"},
  {"explicit_2d_128^2", "{dim: 2, cells: \"128,128\", boundary: reflecting}", 10, 0.002, CROWD, "loads and stores in cache"},
  {"explicit_3d_64^3", "{dim: 3, cells: \"64,64,64\", boundary: reflecting}", 4, 0.002, CROWD, "memory traffic of the sweeps"},
};

/* The driver of a benchmarked run: the processor time at the end of each iteration. */
typedef struct {
  int count, wanted;
  double at[MOST + 1];
} Watch;

static PetscErrorCode iteration_done(void *driver, HcClock *clock, PetscBool *stop) {
  Watch *w = driver;
  PetscFunctionBeginUser;
  (void)clock;
  if (w->wanted) w->at[++w->count] = bench_cpu();
  *stop = w->wanted && w->count >= w->wanted ? PETSC_TRUE : PETSC_FALSE;
  PetscFunctionReturn(0);
}

static PetscErrorCode write_input(const char *grid, PetscInt steps, double end, const char *mfg, char *file) {
  int fd;
  PetscFunctionBeginUser;
  PetscCall(PetscStrcpy(file, P_tmpdir "/bench_mfg_XXXXXX"));
  fd = mkstemp(file);
  HcRequire(fd >= 0, HC_EXIT_IO, "%s: cannot be written", file);
  FILE *f = fdopen(fd, "w");
  fprintf(f, "model: mfg\ngrid: %s\ntime: {steps: %d, end: %g}\nmfg:\n%s", grid, (int)steps, end, mfg);
  fclose(f);
  PetscFunctionReturn(0);
}

typedef struct {
  HcOptions options;
  HcRun run;
  void *model;
  HcClock clock;
} Game;

static PetscErrorCode create(Game *game, const char *grid, PetscInt steps, double end, const char *mfg) {
  const HcModel *const models[] = {&HcModelMfg, NULL};
  char file[64], program[] = "bench", *argv[] = {program, file, NULL};
  PetscFunctionBeginUser;
  memset(game, 0, sizeof *game);
  PetscCall(write_input(grid, steps, end, mfg, file));
  PetscCall(HcOptionsCreate(MPI_COMM_WORLD, 2, argv, &game->options));
  unlink(file);
  PetscCall(HcSettingsAddTables(game->options, models, NULL));
  PetscCall(HcSettingsAddTables(game->options, models, &HcModelMfg));
  PetscCall(HcOptionsAddTable(game->options, HcModelMfg.options));
  PetscCall(HcOptionsCheck(game->options));
  PetscCall(HcRunCreate(PETSC_COMM_WORLD, game->options, "", &game->run));
  PetscCall(HcModelMfg.create(game->run, &game->model));
  PetscCall(HcModelMfg.setup(game->model, &game->clock));
  PetscFunctionReturn(0);
}

static PetscErrorCode destroy(Game *game) {
  PetscFunctionBeginUser;
  PetscCall(HcModelMfg.destroy(&game->model));
  PetscCall(HcRunDestroy(&game->run));
  PetscCall(HcOptionsDestroy(&game->options));
  PetscFunctionReturn(0);
}

static PetscErrorCode run(const Case *c) {
  Game game;
  Watch watch = {.wanted = 8};
  double each[MOST];
  char name[64], limit[160], section[1024];
  PetscFunctionBeginUser;
  snprintf(section, sizeof section, "%s  time_stepping: %s\n  tolerance: 1e-6\n  coupling: picard\n", c->mfg,
    strstr(c->name, "explicit") ? "explicit" : "implicit");
  if (c->mfg == WALL_2D) strncat(section, CROWD, sizeof section - strlen(section) - 1);
  PetscCall(create(&game, c->grid, c->steps, c->end, section));
  Mfg mfg = game.model;
  watch.at[0] = bench_cpu();
  PetscCall(HcModelMfg.iterate(mfg, &game.clock, iteration_done, &watch));
  for (int q = 0; q < watch.count; q++) each[q] = watch.at[q + 1] - watch.at[q];
  qsort(each, (size_t)watch.count, sizeof *each, bench_compare);
  const double steps = (double)mfg->steps;
  snprintf(name, sizeof name, "mfg_%s", c->name);
  if (mfg->substeps_total)
    snprintf(limit, sizeof limit, "%s; %.1f substeps", c->what_limits, (double)mfg->substeps_total / steps);
  else
    snprintf(limit, sizeof limit, "%s; last iteration: %.1f Newton and %.1f Krylov steps a time step", c->what_limits,
      (double)mfg->newton_total / steps, (double)mfg->krylov_total / steps);
  bench_print(name, 1e6 * each[watch.count / 2] / ((double)mfg->cells * steps), "us", limit);
  PetscCall(destroy(&game));
  PetscFunctionReturn(0);
}

/* 100 cells, 50 steps, residual 1e-8: median over whole solutions. */
static PetscErrorCode run_small(const char *coupling) {
  double each[SOLVES];
  char name[64], limit[96], section[512];
  PetscInt iterations = 0;
  PetscFunctionBeginUser;
  snprintf(section, sizeof section, "%s  coupling: %s\n  tolerance: 1e-8\n", CROWD, coupling);
  for (int q = 0; q < SOLVES; q++) {
    Game game;
    Watch watch = {.wanted = 0};
    PetscCall(create(&game, "{dim: 1, cells: \"100\", boundary: reflecting}", 50, 1, section));
    const double start = bench_cpu();
    PetscCall(HcModelMfg.iterate(game.model, &game.clock, iteration_done, &watch));
    each[q] = bench_cpu() - start;
    iterations = ((Mfg)game.model)->iterations;
    PetscCall(destroy(&game));
  }
  qsort(each, SOLVES, sizeof *each, bench_compare);
  snprintf(name, sizeof name, "mfg_solve_1d_100x50_%s", coupling);
  snprintf(limit, sizeof limit, "residual 1e-8 in %d iterations, exploitability included", (int)iterations);
  bench_print(name, 1e3 * each[SOLVES / 2], "ms", limit);
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  PetscCall(PetscInitialize(&argc, &argv, NULL, NULL));
  PetscCall(HcErrorSetUp());
  for (size_t q = 0; q < sizeof cases / sizeof cases[0]; q++) PetscCall(run(&cases[q]));
  PetscCall(run_small("picard"));
  PetscCall(run_small("anderson"));
  return PetscFinalize();
}
