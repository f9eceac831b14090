/* Kernel density estimation: specification, choice of the way, evaluation. */
#include "kde_private.h"
#include <math.h>

static PetscErrorCode check_bandwidth(HcGrid g, const double b[3], double truncation) {
  static const char axis[] = "xyz";
  PetscFunctionBeginUser;
  for (int d = 0; d < g->dim; ++d) {
    HcRequire(b[d] > 0 && b[d] < PETSC_INFINITY, HC_EXIT_INPUT, "the bandwidth in %c is %g; it must be a number greater than 0",
      axis[d], b[d]);
    HcRequire(truncation * b[d] / g->h[d] < 1e7, HC_EXIT_INPUT,
      "the bandwidth in %c is %g, cells are %g wide: a kernel must not be wider than 10^7 cells", axis[d], b[d], g->h[d]);
  }
  PetscFunctionReturn(0);
}

PetscErrorCode HcKdeCreate(HcGrid grid, const HcKdeSpec *spec, HcKde *kde) {
  HcKde k;
  HcKdeSpec s = *spec;
  PetscFunctionBeginUser;
  *kde = NULL;
  if (s.truncation == 0) s.truncation = HC_KDE_TRUNCATION;
  if (s.binning_error == 0) s.binning_error = HC_KDE_BINNING_ERROR;
  HcRequire(s.truncation > 0 && s.truncation <= 37, HC_EXIT_INPUT, "kernels are cut off at %g bandwidths; allowed is (0,37]",
    s.truncation);
  HcRequire(s.binning_error > 0, HC_EXIT_INPUT, "the binning error is %g; it must be greater than 0", s.binning_error);
  HcRequire(!s.plan || s.method != HC_KDE_DIRECT, HC_EXIT_INPUT, "density estimation between walls is binned, not direct");
  PetscCall(check_bandwidth(grid, s.bandwidth, s.truncation));
  PetscCall(PetscNew(&k));
  k->grid = grid;
  k->spec = s;
  if (s.plan) PetscCall(hc_kde_walls_create(k));
  *kde = k;
  PetscFunctionReturn(0);
}

PetscErrorCode HcKdeDestroy(HcKde *kde) {
  PetscFunctionBeginUser;
  if (!*kde) PetscFunctionReturn(0);
  PetscCall(HcFieldDestroy(&(*kde)->open));
  PetscCall(PetscFree((*kde)->mark));
  PetscCall(PetscFree(*kde));
  PetscFunctionReturn(0);
}

PetscErrorCode HcKdeSetBandwidth(HcKde kde, const double bandwidth[3]) {
  PetscFunctionBeginUser;
  PetscCall(check_bandwidth(kde->grid, bandwidth, kde->spec.truncation));
  for (int d = 0; d < kde->grid->dim; ++d) kde->spec.bandwidth[d] = bandwidth[d];
  PetscFunctionReturn(0);
}

/* ---- choice ---- */

/* Kernels over more cells are binned, however few points there are: the direct way's arrays grow with the kernel. */
enum { WIDE = 128 };

double HcKdeBinningBound(HcKde kde) {
  double bound = 0;
  for (int d = 0; d < kde->grid->dim; ++d) {
    const double ratio = kde->grid->h[d] / kde->spec.bandwidth[d];
    bound += ratio * ratio / 8;
  }
  return bound;
}

/* Seconds of elementary operations on one core of 2024 with 512-bit vectors, tests/bench/bench_kde.c; only their ratios matter.
 */
static const double deposit_cost = 0.35e-9, row_cost = 1.5e-9, point_cost = 35e-9, tap_cost = 0.055e-9, node_cost = 1.5e-9;
static const double bin_cost[] = {1.1e-9, 3.5e-9, 7.5e-9};

/* Of all ranks together. */
static double work(HcKde kde, HcKdeMethod method, double points) {
  HcGrid g = kde->grid;
  const double cells = HcGridTotalCells(g);
  double width_sum = 0, width_product = 1;
  for (int d = 0; d < g->dim; ++d) {
    const double width = 2 * (double)hc_kde_half_width(kde, d) + 1, most = 2 * (double)g->cells[d];
    width_sum += PetscMin(width, most);
    width_product *= PetscMin(width, (double)g->cells[d]);
  }
  if (method == HC_KDE_BINNED) return points * bin_cost[g->dim - 1] + cells * (width_sum * tap_cost + (double)g->dim * node_cost);
  return points * (point_cost + width_sum * row_cost + width_product * deposit_cost) + cells * node_cost;
}

double HcKdeCost(HcKde kde, HcKdeMethod method, double points) { return work(kde, method, points) / kde->grid->size; }

/* Nothing here may depend on the number of ranks: the two ways differ by more than bits. */
HcKdeMethod HcKdeMethodFor(HcKde kde, double points) {
  if (kde->spec.plan) return HC_KDE_BINNED;
  if (kde->spec.method != HC_KDE_AUTO) return kde->spec.method;
  if (HcKdeBinningBound(kde) > kde->spec.binning_error) return HC_KDE_DIRECT;
  for (int d = 0; d < kde->grid->dim; ++d)
    if (2 * hc_kde_half_width(kde, d) + 1 > WIDE) return HC_KDE_BINNED;
  return work(kde, HC_KDE_BINNED, points) < work(kde, HC_KDE_DIRECT, points) ? HC_KDE_BINNED : HC_KDE_DIRECT;
}

HcKdeMethod HcKdeLastMethod(HcKde kde) { return kde->last; }

double HcKdeBytes(HcKde kde, HcKdeMethod method) {
  return method == HC_KDE_DIRECT ? hc_kde_direct_bytes(kde) : hc_kde_binned_bytes(kde);
}

/* ---- evaluation ---- */

/* The figures of all ranks that scale the deposits: exact, so that they do not depend on how points are spread. */
static PetscErrorCode survey(HcGrid g, HcCloud *p) {
  double extreme[2] = {-PETSC_INFINITY, -PETSC_INFINITY}; /* max w, max -w */
  PetscFunctionBeginUser;
  p->points = (double)p->n;
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &p->points, 1, MPI_DOUBLE, MPI_SUM, g->comm));
  if (p->points == 0) PetscFunctionReturn(0);
  int given = p->n > 0 && p->weight;
  PetscCallMPI(MPI_Allreduce(&given, &p->weighted, 1, MPI_INT, MPI_MAX, g->comm));
  p->each = p->most = 1 / p->points;
  if (p->weighted) {
    for (PetscInt q = 0; q < p->n; ++q) {
      extreme[0] = PetscMax(extreme[0], p->weight[q]);
      extreme[1] = PetscMax(extreme[1], -p->weight[q]);
    }
    PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, extreme, 2, MPI_DOUBLE, MPI_MAX, g->comm));
    p->weighted = extreme[0] != -extreme[1];
    p->each = extreme[0];
    p->most = PetscMax(extreme[0], extreme[1]);
  }
  if (!p->weighted) p->weight = NULL;
  p->total_bound = p->points * p->most;
  if (p->weighted && extreme[1] <= 0) PetscCall(HcSum(g->comm, p->points, p->n, p->weight, &p->total_bound));
  PetscFunctionReturn(0);
}

static void clear(HcField out, int c) {
  HcGrid g = out->grid;
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i) out->c[c][i + j * out->stride[1] + k * out->stride[2]] = 0;
}

PetscErrorCode HcKdeEvaluate(HcKde kde, PetscInt n, double *const x[3], const double *weight, HcField out, int c) {
  HcCloud p = {.n = n, .x = {x[0], x[1], x[2]}, .weight = weight};
  PetscFunctionBeginUser;
  PetscCall(survey(kde->grid, &p));
  if (p.points == 0 || p.most == 0) {
    clear(out, c);
    PetscFunctionReturn(0);
  }
  kde->last = HcKdeMethodFor(kde, p.points);
  if (kde->last == HC_KDE_BINNED)
    PetscCall(hc_kde_binned(kde, &p, out, c));
  else
    PetscCall(hc_kde_direct(kde, &p, out, c));
  PetscFunctionReturn(0);
}
