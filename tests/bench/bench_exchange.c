/* Ghost exchange (ranks: 1 2): time a component of a 64^3 (and 512^2) block on each rank, against memcpy of the same bytes. */
#include "bench.h"
#include <halocline/grid.h>
#include <halocline/run.h>
#include <stdlib.h>
#include <string.h>

enum { REPEATS = 201 };

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(int n, double *v) {
  qsort(v, (size_t)n, sizeof *v, ascending);
  return v[n / 2];
}

static void report(const char *name, double value, const char *unit, const char *note) {
  PetscMPIInt rank;
  MPI_Comm_rank(PETSC_COMM_WORLD, &rank);
  if (rank == 0) bench_print(name, value, unit, note);
}

/* Median over repeats of the slowest rank's time of copying `bytes` that are in cache. */
static double copy_time(size_t bytes) {
  double t[REPEATS];
  char *a = malloc(bytes + 1), *b = malloc(bytes + 1);
  memset(a, 1, bytes);
  memset(b, 2, bytes);
  for (int r = 0; r < REPEATS; ++r) {
    const double start = HcWallClock();
    memcpy(b, a, bytes);
    __asm__ volatile("" ::: "memory");
    t[r] = HcWallClock() - start;
  }
  free(a);
  free(b);
  return median(REPEATS, t);
}

static PetscErrorCode bench(PetscInt dim, PetscInt n, int components, HcShape shape, HcBoundary boundary) {
  HcGridSpec spec = {.dim = dim, .min_block = 3};
  PetscMPIInt size;
  HcGrid g;
  HcField f;
  double t[REPEATS], slowest[REPEATS];
  char name[64], note[96];
  PetscFunctionBeginUser;
  MPI_Comm_size(PETSC_COMM_WORLD, &size);
  for (int d = 0; d < dim; ++d) {
    spec.cells[d] = n * (d == dim - 1 ? size : 1);
    spec.upper[d] = 1;
  }
  for (int i = 0; i < 6; ++i) spec.boundary[i] = boundary;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, &g));
  PetscCall(HcFieldCreate(g, components, 3, &f));
  for (int r = -20; r < REPEATS; ++r) {
    PetscCallMPI(MPI_Barrier(g->comm));
    const long long sent = g->bytes;
    const double start = HcWallClock();
    PetscCall(HcFieldExchange(f, shape));
    if (r >= 0) t[r] = HcWallClock() - start;
    if (r == 0) slowest[0] = (double)(g->bytes - sent);
  }
  const double sent = slowest[0];
  PetscCallMPI(MPI_Allreduce(t, slowest, REPEATS, MPI_DOUBLE, MPI_MAX, g->comm));
  const double each = median(REPEATS, slowest) / components;
  const double ghosts = shape == HC_STAR ? 2. * dim * 3 * pow((double)n, dim - 1) : pow((double)n + 6, dim) - pow((double)n, dim);
  const size_t bytes = (size_t)(boundary == HC_PERIODIC ? ghosts * 8 : sent / components);
  const double copy = copy_time(bytes);
  snprintf(name, sizeof name, "exchange_%dd_%s_%s_c%d", (int)dim, shape == HC_BOX ? "box" : "star",
    boundary == HC_PERIODIC ? "periodic" : "open", components);
  snprintf(note, sizeof note, "%lld^%d a rank, width 3, a component; %d ranks, %.3g kB of ghosts", (long long)n, (int)dim, size,
    (double)bytes / 1e3);
  report(name, each * 1e6, "us", note);
  if (bytes) {
    strcat(name, "_rate");
    snprintf(note, sizeof note, "ghost bytes filled; memcpy of them: %.4g us, ratio %.3g", copy * 1e6, each / copy);
    report(name, (double)bytes / each / 1e9, "GB/s", note);
  }
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

/* How much of the exchange's time disappears behind work on the interior done between Begin and End. */
static PetscErrorCode bench_overlap(void) {
  PetscMPIInt size;
  HcGrid g;
  HcField f, work;
  double t[3][REPEATS];
  PetscFunctionBeginUser;
  MPI_Comm_size(PETSC_COMM_WORLD, &size);
  HcGridSpec spec = {.dim = 3, .cells = {64, 64, 64 * size}, .upper = {1, 1, 1}, .min_block = 3};
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, &g));
  PetscCall(HcFieldCreate(g, 1, 3, &f));
  PetscCall(HcFieldCreate(g, 1, 0, &work));
  for (int r = 0; r < REPEATS; ++r)
    for (int way = 0; way < 3; ++way) {
      /* exchange alone, work alone, work inside the exchange */
      PetscCallMPI(MPI_Barrier(g->comm));
      const double start = HcWallClock();
      if (way != 1) PetscCall(HcFieldExchangeBegin(f, 0, 1, 3, HC_STAR));
      if (way != 0)
        for (int pass = 0; pass < 4; ++pass)
          for (PetscInt i = 0; i < HcGridLocalCells(g); ++i) work->c[0][i] = work->c[0][i] * 0.5 + 1;
      if (way != 1) PetscCall(HcFieldExchangeEnd(f));
      t[way][r] = HcWallClock() - start;
    }
  for (int way = 0; way < 3; ++way) {
    double slowest[REPEATS];
    PetscCallMPI(MPI_Allreduce(t[way], slowest, REPEATS, MPI_DOUBLE, MPI_MAX, g->comm));
    t[way][0] = median(REPEATS, slowest);
  }
  char note[96];
  snprintf(note, sizeof note, "alone %.3g us, work %.3g us, together %.3g us", t[0][0] * 1e6, t[1][0] * 1e6, t[2][0] * 1e6);
  report("exchange_3d_hidden", 100 * (t[0][0] + t[1][0] - t[2][0]) / t[0][0], "%", note);
  PetscCall(HcFieldDestroy(&work));
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

/* Boundary fill of a block that touches every face. */
static PetscErrorCode bench_fill(HcFill rule, const char *word) {
  HcGridSpec spec = {.dim = 3, .cells = {64, 64, 64}, .upper = {1, 1, 1}, .min_block = 3};
  const HcFill rules[6] = {rule, rule, rule, rule, rule, rule};
  HcGrid g;
  HcField f;
  double t[REPEATS];
  char name[64];
  PetscFunctionBeginUser;
  for (int i = 0; i < 6; ++i) spec.boundary[i] = HC_OUTFLOW;
  PetscCall(HcGridCreate(PETSC_COMM_SELF, &spec, &g));
  PetscCall(HcFieldCreate(g, 1, 3, &f));
  for (int r = 0; r < REPEATS; ++r) {
    const double start = HcWallClock();
    PetscCall(HcFieldFillBoundary(f, 0, 3, rules, NULL));
    t[r] = HcWallClock() - start;
  }
  snprintf(name, sizeof name, "boundary_3d_%s", word);
  report(name, median(REPEATS, t) * 1e6, "us", "64^3, width 3, all six faces with edges and corners");
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  PetscCall(PetscInitialize(&argc, &argv, NULL, NULL));
  for (int shape = HC_STAR; shape <= HC_BOX; ++shape)
    for (int components = 1; components <= 5; components += 4) {
      PetscCall(bench(3, 64, components, (HcShape)shape, HC_PERIODIC));
      PetscCall(bench(3, 64, components, (HcShape)shape, HC_OUTFLOW));
      PetscCall(bench(2, 512, components, (HcShape)shape, HC_PERIODIC));
      PetscCall(bench(2, 512, components, (HcShape)shape, HC_OUTFLOW));
    }
  PetscCall(bench_overlap());
  PetscCall(bench_fill(HC_FILL_COPY, "copy"));
  PetscCall(bench_fill(HC_FILL_CUBIC, "cubic"));
  PetscCall(PetscFinalize());
  return 0;
}
