/* Density estimation: milliseconds an evaluation, against the figures of issue 3; and what the estimate of cost stands on. */
#include "bench.h"
#include <halocline/kde.h>

typedef struct {
  HcKde kde;
  HcField f;
  PetscInt n;
  double *x[3], *weight;
} Job;

static void evaluate(void *data) {
  Job *job = data;
  PetscCallAbort(PETSC_COMM_SELF, HcKdeEvaluate(job->kde, job->n, job->x, job->weight, job->f, 0));
}

/* The middle of the sum of three uniform numbers: a bump that fills the box. */
static double next(unsigned long long *state) {
  double sum = 0;
  for (int i = 0; i < 3; ++i) {
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    sum += (double)(*state >> 11) * 0x1p-53;
  }
  return sum / 3;
}

/* Rooms of 32 x 32 cells with doors. */
static PetscErrorCode make_rooms(HcGrid g, struct HcFloorPlan_ *plan) {
  PetscFunctionBeginUser;
  PetscCall(HcFieldCreate(g, 2, 1, &plan->open));
  for (PetscInt j = 0; j < g->n[1]; ++j)
    for (PetscInt i = 0; i < g->n[0]; ++i) {
      plan->open->c[0][i + j * plan->open->stride[1]] = i % 32 != 0 || (i > 0 && j % 32 > 12 && j % 32 < 20);
      plan->open->c[1][i + j * plan->open->stride[1]] = j % 32 != 0 || (j > 0 && i % 32 > 12 && i % 32 < 20);
    }
  PetscFunctionReturn(0);
}

static PetscErrorCode run(
  const char *name, PetscInt dim, PetscInt cells, PetscInt points, int weighted, HcKdeMethod method, double b, int rooms) {
  const HcGridSpec spec = {.dim = dim,
    .cells = {cells, dim > 1 ? cells : 1, dim > 2 ? cells : 1},
    .upper = {1, 1, 1},
    .boundary = {HC_REFLECTING, HC_REFLECTING, HC_REFLECTING, HC_REFLECTING, HC_REFLECTING, HC_REFLECTING}};
  Job job = {.n = points};
  unsigned long long state = 1;
  double *weight;
  HcGrid g;
  struct HcFloorPlan_ plan = {0};
  char limit[96];
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_SELF, &spec, &g));
  PetscCall(HcFieldCreate(g, 1, 0, &job.f));
  PetscCall(PetscMalloc4(points, &job.x[0], points, &job.x[1], points, &job.x[2], points, &weight));
  for (PetscInt q = 0; q < points; ++q) {
    for (int d = 0; d < dim; ++d) job.x[d][q] = next(&state);
    weight[q] = 0.5 + next(&state);
  }
  HcKdeSpec s = {.method = method, .reflect = PETSC_TRUE, .bandwidth = {b, b, b}};
  if (b == 0) PetscCall(HcBandwidthFromPoints(g, HC_BANDWIDTH_SCOTT, points, job.x, NULL, s.bandwidth));
  if (rooms) {
    PetscCall(make_rooms(g, &plan));
    s.plan = &plan;
  }
  PetscCall(HcKdeCreate(g, &s, &job.kde));
  if (weighted) job.weight = weight;
  const double seconds = bench_median(evaluate, &job, 1);
  snprintf(limit, sizeof limit, "%.1f ns a point, estimate %.3g ms", 1e9 * seconds / (double)points,
    1e3 * HcKdeCost(job.kde, HcKdeLastMethod(job.kde), (double)points));
  bench_print(name, 1e3 * seconds, "ms", limit);
  PetscCall(HcKdeDestroy(&job.kde));
  PetscCall(PetscFree4(job.x[0], job.x[1], job.x[2], weight));
  PetscCall(HcFieldDestroy(&job.f));
  PetscCall(HcFieldDestroy(&plan.open));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  PetscCall(PetscInitialize(&argc, &argv, NULL, NULL));
  PetscCall(run("kde_1d_1e5_on_1000", 1, 1000, 100000, 0, HC_KDE_AUTO, 0, 0));
  PetscCall(run("kde_1d_1e6_on_1000", 1, 1000, 1000000, 0, HC_KDE_AUTO, 0, 0));
  PetscCall(run("kde_1d_1e6_on_1000_weights", 1, 1000, 1000000, 1, HC_KDE_AUTO, 0, 0));
  PetscCall(run("kde_2d_1e6_on_256", 2, 256, 1000000, 0, HC_KDE_AUTO, 0, 0));
  PetscCall(run("kde_2d_1e6_on_256_weights", 2, 256, 1000000, 1, HC_KDE_AUTO, 0, 0));
  PetscCall(run("kde_2d_1e6_on_256_rooms", 2, 256, 1000000, 1, HC_KDE_AUTO, 0, 1));
  PetscCall(run("kde_3d_1e6_on_64", 3, 64, 1000000, 0, HC_KDE_BINNED, 0, 0));
  PetscCall(run("kde_1d_direct_1e5", 1, 1000, 100000, 0, HC_KDE_DIRECT, 0.001, 0));
  PetscCall(run("kde_2d_direct_1e4", 2, 256, 10000, 0, HC_KDE_DIRECT, 0.01, 0));
  PetscCall(run("kde_3d_direct_1e3", 3, 64, 1000, 0, HC_KDE_DIRECT, 0.03, 0));
  PetscCall(run("kde_2d_convolution_512", 2, 512, 1, 0, HC_KDE_BINNED, 0.02, 0));
  PetscCall(run("kde_3d_convolution_64", 3, 64, 1, 0, HC_KDE_BINNED, 0.05, 0));
  PetscCall(PetscFinalize());
  return 0;
}
