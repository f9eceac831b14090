/* Mean field game, scheme weno: whole sweeps of both equations with one substep a level, ns per cell and level; ghost exchange,
 * running cost, reductions and accounts included. */
#include "app/app.h"
#include "base/run_private.h"
#include "bench.h"
#include "models/mfg/mfg.h"
#include <string.h>
#include <unistd.h>

extern const HcModel HcModelMfg;

typedef struct {
  const char *name;
  int dim;
  const char *cells;
  PetscInt steps;
  const char *end, *more;
} Case;

static const Case cases[] = {
  {"1d_400", 1, "400", 40, "0.016", ""},
  {"2d_256^2", 2, "256,256", 8, "0.004", ""},
  {"2d_256^2_order4", 2, "256,256", 8, "0.004", "  diffusion_order: 4\n"},
  {"2d_256^2_power_1.5", 2, "256,256", 8, "0.004", "  hamiltonian: power\n  exponent: 1.5\n"},
  {"2d_256^2_log_m", 2, "256,256", 8, "0.004", "  running_cost: \"log(m)\"\n"},
  {"2d_256^2_empty_half", 2, "256,256", 8, "0.004", "  initial_density: \"x < 0.5 ? 1 : 0\"\n"},
  {"2d_256^2_pillars", 2, "256,256", 8, "0.004", "  obstacle: \"sin(25*x)*sin(25*y) - 0.8\"\n"},
  {"3d_64^3", 3, "64,64,64", 4, "0.008", ""},
};

static void hjb_body(void *data) {
  Mfg mfg = data;
  PetscCallAbort(PETSC_COMM_WORLD, mfg->scheme->hjb(mfg));
}

static void fp_body(void *data) {
  Mfg mfg = data;
  PetscCallAbort(PETSC_COMM_WORLD, mfg->scheme->fp(mfg));
}

static PetscErrorCode write_input(const Case *c, char *file) {
  int fd;

  PetscFunctionBeginUser;
  PetscCall(PetscStrcpy(file, P_tmpdir "/bench_mfg_weno_XXXXXX"));
  fd = mkstemp(file);
  HcRequire(fd >= 0, HC_EXIT_IO, "%s: cannot be written", file);
  FILE *f = fdopen(fd, "w");
  fprintf(
    f, "model: mfg\ngrid: {cells: \"%s\", boundary: periodic}\ntime: {steps: %d, end: %s}\n", c->cells, (int)c->steps, c->end);
  fprintf(f, "mfg:\n  scheme: weno\n  sigma: 0.1\n  terminal_cost: \"0.05*cos(2*pi*x)\"\n%s", c->more);
  if (!strstr(c->more, "running_cost")) fprintf(f, "  running_cost: \"m\"\n");
  if (!strstr(c->more, "initial_density")) fprintf(f, "  initial_density: \"1+0.3*sin(2*pi*x)\"\n");
  fclose(f);
  PetscFunctionReturn(0);
}

static PetscErrorCode run(const Case *c) {
  const HcModel *const models[] = {&HcModelMfg, NULL};
  char file[64], program[] = "bench", name[64], limit[64], *argv[] = {program, file, NULL};
  HcOptions opts;
  HcRun r;
  HcClock clock = {0};
  void *ctx;

  PetscFunctionBeginUser;
  PetscCall(write_input(c, file));
  PetscCall(HcOptionsCreate(MPI_COMM_WORLD, 2, argv, &opts));
  unlink(file);
  PetscCall(HcSettingsAddTables(opts, models, NULL));
  PetscCall(HcSettingsAddTables(opts, models, &HcModelMfg));
  PetscCall(HcOptionsAddTable(opts, HcModelMfg.options));
  PetscCall(HcOptionsCheck(opts));
  PetscCall(HcRunCreate(PETSC_COMM_WORLD, opts, "", &r));
  PetscCall(HcModelMfg.create(r, &ctx));
  PetscCall(HcModelMfg.setup(ctx, &clock));
  Mfg mfg = ctx;
  for (PetscInt l = 1; l <= mfg->steps; l++) PetscCall(PetscArraycpy(MfgLevel(mfg, mfg->m, l), mfg->m, mfg->cells));
  const double updates = (double)mfg->cells * (double)mfg->steps;
  const double hjb = bench_median(hjb_body, mfg, 0.5) / updates;
  PetscCall(mfg->scheme->hjb(mfg));
  const double hjb_substeps = (double)mfg->substeps_total / (double)mfg->steps;
  mfg->substeps_total = 0;
  PetscCall(mfg->scheme->fp(mfg));
  const double fp_substeps = (double)mfg->substeps_total / (double)mfg->steps;
  const double fp = bench_median(fp_body, mfg, 0.5) / updates;
  snprintf(name, sizeof name, "mfg_weno_hjb_%s", c->name);
  snprintf(limit, sizeof limit, "per cell and level, %g substeps", hjb_substeps);
  bench_print(name, 1e9 * hjb, "ns", limit);
  snprintf(name, sizeof name, "mfg_weno_fp_%s", c->name);
  snprintf(limit, sizeof limit, "per cell and level, %g substeps", fp_substeps);
  bench_print(name, 1e9 * fp, "ns", limit);
  snprintf(name, sizeof name, "mfg_weno_%s", c->name);
  bench_print(name, 1e9 * (hjb + fp), "ns", "per cell, level and iteration, both equations");
  PetscCall(HcModelMfg.destroy(&ctx));
  PetscCall(HcRunDestroy(&r));
  PetscCall(HcOptionsDestroy(&opts));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  PetscCall(PetscInitialize(&argc, &argv, NULL, NULL));
  PetscCall(HcErrorSetUp());
  for (size_t q = 0; q < sizeof cases / sizeof cases[0]; q++) PetscCall(run(&cases[q]));
  return PetscFinalize();
}
