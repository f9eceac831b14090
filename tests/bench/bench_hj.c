/* Hamilton-Jacobi equations: whole right-hand sides and whole steps at 128^3, exchange included, ns per cell and core. */
#include "bench.h"
#include "models/hj/hj.h"
#include <string.h>

enum { CELLS = 128 };

typedef struct {
  struct Hj_ hj;
  HcField out;
  HcSystem system;
  double dt;
} Bench;

static void rhs_body(void *data) {
  Bench *b = data;
  PetscCallAbort(PETSC_COMM_WORLD, HjStage(&b->hj, 0, b->hj.phi, 0, NULL, 0, 1, b->out));
}

/* The speeds are reduced and the step is chosen as in a run, but with a dt so small that the state stays as it is. */
static PetscErrorCode choose(void *ctx, double t, double *dt) {
  double speed;
  (void)t;
  PetscFunctionBeginUser;
  PetscCall(HjMaxSpeed(ctx, &speed));
  *dt = 1e-12 / speed;
  PetscFunctionReturn(0);
}

static PetscErrorCode check(void *ctx, double *dt) {
  double speed;
  (void)dt;
  PetscFunctionBeginUser;
  PetscCall(HjMaxSpeed(ctx, &speed));
  PetscFunctionReturn(0);
}

static void step_body(void *data) {
  Bench *b = data;
  PetscCallAbort(PETSC_COMM_WORLD, HcStepperStep(b->hj.stepper, &b->system, 0, b->hj.phi, &b->dt));
}

static PetscErrorCode create(Bench *b, HcGrid g, const char *hamiltonian, HcWenoWeights weights, HjFlux flux, HcMethod method) {
  const HjRange range = {.lower = {-1, -1, -1}, .upper = {1, 1, 1}, .end = 1};
  char error[256];
  Hj hj = &b->hj;
  PetscFunctionBeginUser;
  memset(b, 0, sizeof *b);
  hj->grid = g;
  hj->weights = weights;
  hj->flux = flux;
  hj->method = method;
  hj->width = 3;
  HcRequire(!HjHamiltonianCreate(hamiltonian, "", (int)g->dim, &range, &hj->H, error), HC_EXIT_INPUT, "%s", error);
  PetscCall(HcFieldCreate(g, 1, 3, &hj->phi));
  PetscCall(HcFieldCreate(g, 1, 3, &b->out));
  PetscCall(HcStepperCreate(method, hj->phi, &hj->stepper));
  if (flux == HJ_GLOBAL_LAX_FRIEDRICHS) PetscCall(HcFieldCreate(g, 1 + (int)g->dim, 0, &hj->flux_parts));
  PetscCall(PetscMalloc1(g->n[0], &hj->x));
  for (PetscInt i = 0; i < g->n[0]; ++i) hj->x[i] = HcGridCentre(g, 0, i);
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i)
        hj->phi->c[0][i + j * hj->phi->stride[1] + k * hj->phi->stride[2]] =
          -cos(M_PI * (HcGridCentre(g, 0, i) + HcGridCentre(g, 1, j) + HcGridCentre(g, 2, k)));
  b->system = (HcSystem){.ctx = hj, .stage = HjStage, .choose = choose, .check = check};
  PetscFunctionReturn(0);
}

static PetscErrorCode destroy(Bench *b) {
  PetscFunctionBeginUser;
  PetscCall(HcStepperDestroy(&b->hj.stepper));
  PetscCall(HcFieldDestroy(&b->hj.phi));
  PetscCall(HcFieldDestroy(&b->hj.flux_parts));
  PetscCall(HcFieldDestroy(&b->out));
  HjHamiltonianDestroy(&b->hj.H);
  PetscCall(PetscFree(b->hj.x));
  PetscFunctionReturn(0);
}

/* Operations of one weno5 cell and direction, two-sided, and of Hamiltonian, speeds and dissipation (burgers, 3D). */
enum { WENO_FLOPS = 2 * 56, FLUX_FLOPS = 45 };

static PetscErrorCode run(void) {
  static const struct {
    const char *name, *hamiltonian;
    HcWenoWeights weights;
    HjFlux flux;
  } rhs[] = {{"hj_rhs_3d_js", "burgers", HC_WENO_JS, HJ_LOCAL_LAX_FRIEDRICHS},
    {"hj_rhs_3d_z", "burgers", HC_WENO_Z, HJ_LOCAL_LAX_FRIEDRICHS},
    {"hj_rhs_3d_m", "burgers", HC_WENO_M, HJ_LOCAL_LAX_FRIEDRICHS},
    {"hj_global_rhs_3d", "burgers", HC_WENO_JS, HJ_GLOBAL_LAX_FRIEDRICHS},
    {"hj_godunov_rhs_3d", "eikonal", HC_WENO_JS, HJ_GODUNOV},
    {"hj_formula_rhs_3d", "(px+py+pz+1)^2/2", HC_WENO_JS, HJ_LOCAL_LAX_FRIEDRICHS}};
  static const struct {
    const char *name;
    HcMethod method;
  } step[] = {{"hj_step_3d_ssprk3", HC_SSPRK3}, {"hj_step54_3d", HC_SSPRK54}};
  PetscMPIInt size;
  Bench b;
  HcGrid g;
  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Comm_size(PETSC_COMM_WORLD, &size));
  HcGridSpec spec = {.dim = 3, .cells = {CELLS, CELLS, CELLS * size}, .lower = {-1, -1, -1}, .upper = {1, 1, 1}, .min_block = 3};
  for (int f = 0; f < 6; ++f) spec.boundary[f] = HC_PERIODIC;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, &g));
  const double cells = (double)HcGridLocalCells(g), peak = bench_peak_flops(), bandwidth = bench_triad_bandwidth();
  for (size_t q = 0; q < sizeof rhs / sizeof rhs[0]; ++q) {
    PetscCall(create(&b, g, rhs[q].hamiltonian, rhs[q].weights, rhs[q].flux, HC_SSPRK3));
    const double t = bench_median(rhs_body, &b, 0.8) / cells;
    if (q == 0)
      bench_print_flops(rhs[q].name, t, 3 * WENO_FLOPS + FLUX_FLOPS, peak);
    else
      bench_print(rhs[q].name, 1e9 * t, "ns", "per cell, exchange included");
    PetscCall(destroy(&b));
  }
  for (size_t q = 0; q < sizeof step / sizeof step[0]; ++q) {
    PetscCall(create(&b, g, "burgers", HC_WENO_JS, HJ_LOCAL_LAX_FRIEDRICHS, step[q].method));
    const double t = bench_median(step_body, &b, 1.5) / cells;
    /* reads and writes of the fields that do not fit the caches: see the stages in src/solve/timestep.c */
    bench_print_bytes(step[q].name, t, 8.0 * (q == 0 ? 2 + 3 + 3 + 3 : 2 + 3 + 3 + 3 + 3 + 3 + 2 + 2), bandwidth);
    PetscCall(destroy(&b));
  }
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  PetscCall(PetscInitialize(&argc, &argv, NULL, NULL));
  PetscCall(HcErrorSetUp());
  PetscCall(run());
  return PetscFinalize();
}
