/* Reductions: nanoseconds a value in the second-level cache and in memory, against a plain loop. */
#include "bench.h"
#include <halocline/grid.h>
#include <halocline/run.h>
#include <stdlib.h>

enum { REPEATS = 101 };

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *v) {
  qsort(v, REPEATS, sizeof *v, ascending);
  return v[REPEATS / 2];
}

static void report(const char *name, double value, const char *unit, const char *note) {
  PetscMPIInt rank;
  MPI_Comm_rank(PETSC_COMM_WORLD, &rank);
  if (rank == 0) bench_print(name, value, unit, note);
}

/* What a careless sum costs: one addition after the other. */
static double plain_sum(PetscInt n, const double *v) {
  double sum = 0;
  for (PetscInt i = 0; i < n; ++i) sum += v[i];
  return sum;
}

static PetscErrorCode bench_sum(PetscInt n, double count, const char *name, const char *note) {
  double *v, t[REPEATS], sum, sink = 0;
  char row[64];
  PetscMPIInt size;
  PetscFunctionBeginUser;
  MPI_Comm_size(PETSC_COMM_WORLD, &size);
  PetscCall(PetscMalloc1(n, &v));
  for (PetscInt i = 0; i < n; ++i) v[i] = sin((double)i);
  for (int r = 0; r < REPEATS; ++r) {
    const double start = HcWallClock();
    PetscCall(HcSum(PETSC_COMM_WORLD, count > 0 ? count : (double)n * size, n, v, &sum));
    t[r] = HcWallClock() - start;
    sink += sum;
  }
  const double each = median(t) / (double)n * 1e9;
  snprintf(row, sizeof row, "sum_%s", name);
  report(row, each, "ns", note);
  snprintf(row, sizeof row, "sum_%s_rate", name);
  report(row, 16 / each, "GB/s", "values are read twice");
  for (int r = 0; r < REPEATS; ++r) {
    const double start = HcWallClock();
    sink += plain_sum(n, v);
    t[r] = HcWallClock() - start;
  }
  snprintf(row, sizeof row, "sum_%s_plain", name);
  report(row, median(t) / (double)n * 1e9, "ns", sink != 0 ? "a plain loop, whose result depends on the order" : "");
  PetscCall(PetscFree(v));
  PetscFunctionReturn(0);
}

static PetscErrorCode bench_norm(HcNorm norm, const char *name) {
  PetscMPIInt size;
  HcGrid g;
  HcField f;
  double t[REPEATS], value;
  PetscFunctionBeginUser;
  MPI_Comm_size(PETSC_COMM_WORLD, &size);
  HcGridSpec spec = {.dim = 3, .cells = {64, 64, 64 * size}, .upper = {1, 1, 1}};
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, &g));
  PetscCall(HcFieldCreate(g, 1, 3, &f));
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i) f->c[0][i + j * f->stride[1] + k * f->stride[2]] = sin((double)(i + j * k));
  for (int r = 0; r < REPEATS; ++r) {
    const double start = HcWallClock();
    PetscCall(HcFieldNorm(f, 0, norm, &value));
    t[r] = HcWallClock() - start;
  }
  report(name, median(t) / (double)HcGridLocalCells(g) * 1e9, "ns", "a cell of a 64^3 block with ghosts");
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  PetscCall(PetscInitialize(&argc, &argv, NULL, NULL));
  PetscCall(bench_sum(32768, 0, "cache", "256 kB a rank"));
  PetscCall(bench_sum(32768, 1e8, "cache_three_levels", "256 kB a rank, as part of 1e8 values"));
  PetscCall(bench_sum(4 << 20, 0, "memory", "32 MB a rank"));
  PetscCall(bench_norm(HC_NORM_SUM, "norm_sum"));
  PetscCall(bench_norm(HC_NORM_L1, "norm_l1"));
  PetscCall(bench_norm(HC_NORM_L2, "norm_l2"));
  PetscCall(bench_norm(HC_NORM_LINF, "norm_linf"));
  PetscCall(PetscFinalize());
  return 0;
}
