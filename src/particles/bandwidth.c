/* Bandwidths from the points of all ranks. */
#include "numerics/bandwidth.h"
#include "numerics/binning.h"
#include <halocline/kde.h>
#include <math.h>

enum { ISJ_BINS = 16384 };

static const char axis[] = "xyz";

typedef struct {
  HcGrid grid;
  PetscInt n;
  double *const *x;
  const double *weight;
  double points, total, effective; /* on all ranks: number, sum of weights, (sum w)^2 / sum w^2 */
  double *work;
} Sample;

static double weight_of(const Sample *s, PetscInt q) { return s->weight ? s->weight[q] : 1; }

static PetscErrorCode total(Sample *s, double *sum) {
  PetscFunctionBeginUser;
  PetscCall(HcSum(s->grid->comm, s->points, s->n, s->work, sum));
  PetscFunctionReturn(0);
}

static PetscErrorCode count(Sample *s) {
  double squares;
  PetscFunctionBeginUser;
  s->points = (double)s->n;
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &s->points, 1, MPI_DOUBLE, MPI_SUM, s->grid->comm));
  HcRequire(s->points > 0, HC_EXIT_INPUT, "there are no points to take a bandwidth from");
  for (PetscInt q = 0; q < s->n; ++q) s->work[q] = weight_of(s, q);
  PetscCall(total(s, &s->total));
  for (PetscInt q = 0; q < s->n; ++q) s->work[q] *= s->work[q];
  PetscCall(total(s, &squares));
  HcRequire(
    s->total > 0, HC_EXIT_INPUT, "the sum of the weights is %g; a bandwidth from the points needs it greater than 0", s->total);
  s->effective = s->total * s->total / squares;
  PetscFunctionReturn(0);
}

/* The weighted sample's standard deviation, without bias for equal weights. */
static PetscErrorCode deviation(Sample *s, int d, double *out) {
  double mean, sum;
  PetscFunctionBeginUser;
  for (PetscInt q = 0; q < s->n; ++q) s->work[q] = weight_of(s, q) * (s->x[d][q] - s->grid->lower[d]);
  PetscCall(total(s, &mean));
  mean = s->grid->lower[d] + mean / s->total;
  for (PetscInt q = 0; q < s->n; ++q) {
    const double away = s->x[d][q] - mean;
    s->work[q] = weight_of(s, q) * (away * away);
  }
  PetscCall(total(s, &sum));
  *out = sqrt(sum / s->total / (1 - 1 / s->effective));
  HcRequire(
    *out > 0 && *out < PETSC_INFINITY, HC_EXIT_INPUT, "the points have no spread in %c: give the bandwidth as a number", axis[d]);
  PetscFunctionReturn(0);
}

/* Bins over the range of the points and a tenth of it on either side, as in the authors' program; solved on one rank. */
static PetscErrorCode improved(Sample *s, int d, double *out) {
  HcGrid g = s->grid;
  double extreme[2] = {-PETSC_INFINITY, -PETSC_INFINITY}, most = 0;
  int64_t *bins;
  double *share;
  int size, failed = 0;
  PetscFunctionBeginUser;
  for (PetscInt q = 0; q < s->n; ++q) {
    extreme[0] = PetscMax(extreme[0], s->x[d][q]);
    extreme[1] = PetscMax(extreme[1], -s->x[d][q]);
    most = PetscMax(most, weight_of(s, q));
  }
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, extreme, 2, MPI_DOUBLE, MPI_MAX, g->comm));
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_DOUBLE, MPI_MAX, g->comm));
  const double range = 1.2 * (extreme[0] + extreme[1]);
  const HcBins shape = {
    .dim = 1, .lower = {-extreme[1] - range / 12}, .h = {range / ISJ_BINS}, .first = {0, 0, 0}, .n = {ISJ_BINS, 1, 1}};
  PetscCall(PetscCalloc1(ISJ_BINS, &bins));
  PetscCall(PetscMalloc1(ISJ_BINS, &share));
  (void)frexp(PetscMax(s->total, most * 1024), &size); /* sum below 2^61, a point's below 2^51 */
  const double *const x[3] = {s->x[d], NULL, NULL};
  const int bad = HcBinLinear(&shape, (size_t)s->n, x, ldexp(1, 61 - size), s->weight, bins);
  PetscCheck(!bad, PETSC_COMM_SELF, PETSC_ERR_PLIB, "A point beyond the range of all");
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, bins, ISJ_BINS, MPI_INT64_T, MPI_SUM, g->comm));
  for (int i = 0; i < ISJ_BINS; ++i) share[i] = ldexp((double)bins[i], size - 61) / s->total;
  if (g->rank == 0) failed = HcBandwidthImproved(ISJ_BINS, share, s->effective, out);
  PetscCallMPI(MPI_Bcast(&failed, 1, MPI_INT, 0, g->comm));
  PetscCallMPI(MPI_Bcast(out, 1, MPI_DOUBLE, 0, g->comm));
  PetscCall(PetscFree(bins));
  PetscCall(PetscFree(share));
  HcRequire(!failed, HC_EXIT_INPUT,
    "the improved Sheather-Jones rule finds no bandwidth in %c for %g points: use silverman, or give it as a number", axis[d],
    s->points);
  *out *= range;
  PetscFunctionReturn(0);
}

PetscErrorCode HcBandwidthFromPoints(
  HcGrid grid, HcBandwidthRule rule, PetscInt n, double *const x[3], const double *weight, double bandwidth[3]) {
  Sample s = {.grid = grid, .n = n, .x = x, .weight = weight};
  const double dim = (double)grid->dim;
  PetscFunctionBeginUser;
  PetscCall(PetscMalloc1(n, &s.work));
  PetscErrorCode err = count(&s);
  for (int d = 0; d < grid->dim && !err; ++d) {
    err = deviation(&s, d, &bandwidth[d]);
    if (err) break;
    const double N = s.effective;
    if (rule == HC_BANDWIDTH_SCOTT)
      bandwidth[d] *= pow(N, -1 / (dim + 4));
    else if (rule == HC_BANDWIDTH_SILVERMAN)
      bandwidth[d] *= pow(N * (dim + 2) / 4, -1 / (dim + 4));
    else {
      err = improved(&s, d, &bandwidth[d]);
      bandwidth[d] *= pow(N, 1.0 / 5 - 1 / (dim + 4));
    }
  }
  PetscCall(PetscFree(s.work));
  PetscFunctionReturn(err);
}
