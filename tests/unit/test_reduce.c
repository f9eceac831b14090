/* Sums and norms: right to the stated bound, and the same bits on any split of the values (parallel). */
#include "tap.h"
#include <float.h>
#include <halocline/grid.h>
#include <stdlib.h>
#include <string.h>

static uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

static double uniform(uint64_t key) { return (double)(mix(key) >> 11) * 0x1p-53; }

/* Value i of a data set: like a density, of many magnitudes, cancelling to almost nothing, or smooth. */
enum { DENSITY, MAGNITUDES, CANCELLING, SMOOTH, TINY, HUGE_VALUES, SETS };
static const char *const set_name[] = {"density", "magnitudes", "cancelling", "smooth", "denormal", "near overflow"};

static double datum(int set, uint64_t i) {
  const double u = uniform(i * SETS + (uint64_t)set), s = uniform(~i) - 0.5;
  switch (set) {
  case DENSITY:
    return exp(-20 * u);
  case MAGNITUDES:
    return ldexp(s, (int)(600 * u) - 300);
  case CANCELLING:
    return (i % 2 ? -1 : 1) * exp(10 * uniform(i / 2)) * (i % 1001 ? 1 : 1 + 1e-9);
  case SMOOTH:
    return cos(0.001 * (double)i);
  case TINY:
    return ldexp(s, -1050);
  default:
    return ldexp(s, 1024);
  }
}

/* Sum times 2^-shift, exact but for the last rounding: Shewchuk's nonoverlapping expansions (Discrete Comput. Geom. 18
 * (1997) 305). The shift keeps partial sums from overflowing. */
static double exact_sum(size_t n, const double *v, int shift) {
  double part[2200]; /* more than a double's range has bits */
  int parts = 0;
  for (size_t i = 0; i < n; ++i) {
    double x = ldexp(v[i], -shift);
    int kept = 0;
    for (int j = 0; j < parts; ++j) {
      double y = part[j];
      if (fabs(x) < fabs(y)) {
        const double t = x;
        x = y;
        y = t;
      }
      const double high = x + y, low = y - (high - x);
      if (low != 0) part[kept++] = low;
      x = high;
    }
    part[kept++] = x;
    parts = kept;
  }
  double sum = 0;
  for (int j = 0; j < parts; ++j) sum += part[j]; /* ascending and nonoverlapping: within one unit of the last place */
  return sum;
}

static int same_bits(double a, double b) { return !memcmp(&a, &b, sizeof a); }

/* The values dealt to the ranks by lot and in another order, against all of them on one rank. */
static PetscErrorCode test_sum(int set, size_t n) {
  double *all, *mine, most = 0, whole, split;
  int rank, size, same = 1;
  PetscFunctionBeginUser;
  MPI_Comm_rank(PETSC_COMM_WORLD, &rank);
  MPI_Comm_size(PETSC_COMM_WORLD, &size);
  PetscCall(PetscMalloc2(n, &all, n, &mine));
  for (size_t i = 0; i < n; ++i) {
    all[i] = datum(set, i);
    most = fmax(most, fabs(all[i]));
  }
  PetscCall(HcSum(PETSC_COMM_SELF, (double)n, (PetscInt)n, all, &whole));
  for (uint64_t deal = 0; deal < 4; ++deal) {
    size_t m = 0;
    for (size_t i = 0; i < n; ++i) {
      const size_t j = deal % 2 ? n - 1 - i : i;
      /* the last deal leaves all ranks but the first without values */
      const int owner = deal == 3 ? 0 : (int)(mix(j ^ deal << 40) % (uint64_t)size);
      if (owner == rank) mine[m++] = all[j];
    }
    for (size_t i = m; i > 1; --i) {
      const size_t j = mix(i + deal) % i;
      const double t = mine[j];
      mine[j] = mine[i - 1];
      mine[i - 1] = t;
    }
    PetscCall(HcSum(PETSC_COMM_WORLD, (double)n, (PetscInt)m, mine, &split));
    same = same && same_bits(split, whole);
  }
  tap_ok(same, "%zu values (%s): the same bits however dealt", n, set_name[set]);
  const int shift = set == HUGE_VALUES ? 64 : 0;
  const double exact = exact_sum(n, all, shift);
  /* the bound of the header, and the rounding of the result and of the reference to double */
  const double allowed = ldexp((double)n, -60) * ldexp(most, -shift) + 2 * DBL_EPSILON * fabs(exact) + 0x1p-1074;
  if (isinf(whole))
    tap_ok(fabs(exact) >= ldexp(DBL_MAX, -shift) && (exact > 0) == (whole > 0), "infinite because the sum is");
  else
    tap_near(ldexp(whole, -shift), exact, allowed, "within 2^-60 of count times maximum");
  PetscCall(PetscFree2(all, mine));
  PetscFunctionReturn(0);
}

static PetscErrorCode test_special(void) {
  double v[40], sum, other;
  int rank, size;
  PetscFunctionBeginUser;
  MPI_Comm_rank(PETSC_COMM_WORLD, &rank);
  MPI_Comm_size(PETSC_COMM_WORLD, &size);
  for (int i = 0; i < 40; ++i) v[i] = i + 0.25;
  PetscCall(HcSum(PETSC_COMM_WORLD, 0, 0, NULL, &sum));
  tap_ok(sum == 0, "no values sum to 0");
  PetscCall(HcSum(PETSC_COMM_WORLD, 40. * size, 40, v, &sum));
  tap_ok(sum == 790. * size, "exact on small numbers");
  PetscCall(HcSum(PETSC_COMM_WORLD, 1e12, 40, v, &other));
  tap_ok(other == sum, "exact with room for 1e12 values");
  v[17] = rank == size - 1 ? NAN : 1;
  PetscCall(HcSum(PETSC_COMM_WORLD, 40. * size, 40, v, &sum));
  tap_ok(isnan(sum), "a NaN on the last rank is seen by all");
  v[17] = rank == 0 ? -INFINITY : 1;
  PetscCall(HcSum(PETSC_COMM_WORLD, 40. * size, 40, v, &sum));
  tap_ok(isnan(sum), "infinity too");
  for (int i = 0; i < 40; ++i) v[i] = DBL_MAX;
  PetscCall(HcSum(PETSC_COMM_WORLD, 40. * size, 40, v, &sum));
  tap_ok(isinf(sum) && sum > 0, "a sum beyond the largest number is infinite");
  for (int i = 1; i < 40; i += 2) v[i] = -DBL_MAX;
  PetscCall(HcSum(PETSC_COMM_WORLD, 40. * size, 40, v, &sum));
  tap_ok(sum == 0, "the largest numbers cancel without overflow");
  for (int i = 0; i < 40; ++i) v[i] = 0x1p-1074;
  PetscCall(HcSum(PETSC_COMM_WORLD, 40. * size, 40, v, &sum));
  tap_ok(sum == 40. * size * 0x1p-1074, "the smallest numbers are not lost");
  for (int i = 0; i < 40; ++i) v[i] = -0.0;
  PetscCall(HcSum(PETSC_COMM_WORLD, 40. * size, 40, v, &sum));
  tap_ok(sum == 0, "zeros of either sign");
  PetscFunctionReturn(0);
}

static PetscErrorCode fill(HcField f, int set) {
  HcGrid g = f->grid;
  PetscFunctionBeginUser;
  for (int c = 0; c < f->components; ++c)
    for (PetscInt k = 0; k < g->n[2]; ++k)
      for (PetscInt j = 0; j < g->n[1]; ++j)
        for (PetscInt i = 0; i < g->n[0]; ++i) {
          const PetscInt cell = g->start[0] + i + g->cells[0] * (g->start[1] + j + g->cells[1] * (g->start[2] + k));
          f->c[c][i + j * f->stride[1] + k * f->stride[2]] = datum(set, (uint64_t)(cell * f->components + c));
        }
  PetscFunctionReturn(0);
}

/* Ghosts hold NaN: no reduction may read them. */
static PetscErrorCode make_field(HcGrid g, int set, HcField *f) {
  PetscFunctionBeginUser;
  PetscCall(HcFieldCreate(g, 2, 1, f));
  const PetscInt wy = g->dim > 1, wz = g->dim > 2;
  for (int c = 0; c < 2; ++c)
    for (PetscInt k = -wz; k < g->n[2] + wz; ++k)
      for (PetscInt j = -wy; j < g->n[1] + wy; ++j)
        for (PetscInt i = -1; i < g->n[0] + 1; ++i) (*f)->c[c][i + j * (*f)->stride[1] + k * (*f)->stride[2]] = NAN;
  PetscCall(fill(*f, set));
  PetscFunctionReturn(0);
}

enum { RESULTS = 13 };

static PetscErrorCode all_norms(MPI_Comm comm, const HcGridSpec *spec, int set, double r[RESULTS]) {
  HcGrid g;
  HcField f;
  int k = 0;
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(comm, spec, &g));
  PetscCall(make_field(g, set, &f));
  for (int norm = HC_NORM_SUM; norm <= HC_NORM_LINF; ++norm) PetscCall(HcFieldNorm(f, 1, (HcNorm)norm, &r[k++]));
  for (int norm = HC_NORM_SUM; norm <= HC_NORM_LINF; ++norm) PetscCall(HcFieldNormDifference(f, 0, f, 1, (HcNorm)norm, &r[k++]));
  PetscCall(HcFieldDot(f, 0, f, 1, &r[k++]));
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

static double reference(int norm, size_t n, const double *v, double *work) {
  double most = -INFINITY, least = INFINITY, greatest = 0;
  int e;
  for (size_t i = 0; i < n; ++i) {
    most = fmax(most, v[i]);
    least = fmin(least, v[i]);
    greatest = fmax(greatest, fabs(v[i]));
  }
  (void)frexp(greatest, &e);
  switch (norm) {
  case HC_NORM_SUM:
    return exact_sum(n, v, 0);
  case HC_NORM_L1:
    for (size_t i = 0; i < n; ++i) work[i] = fabs(v[i]);
    return exact_sum(n, work, 0);
  case HC_NORM_L2:
    for (size_t i = 0; i < n; ++i) work[i] = ldexp(v[i], -e) * ldexp(v[i], -e);
    return ldexp(sqrt(exact_sum(n, work, 0)), e);
  case HC_NORM_MAX:
    return most;
  case HC_NORM_MIN:
    return least;
  default:
    return greatest;
  }
}

static PetscErrorCode test_norms(PetscInt dim, int set) {
  HcGridSpec spec = {
    .dim = dim, .cells = {dim == 1 ? 1000 : 71, dim > 1 ? 13 : 1, dim > 2 ? 11 : 1}, .upper = {1, 1, 1}, .min_block = 1};
  const size_t n = (size_t)(spec.cells[0] * spec.cells[1] * spec.cells[2]);
  double whole[RESULTS], split[RESULTS], *a, *b, *d, *work, worst = 0;
  PetscFunctionBeginUser;
  PetscCall(all_norms(PETSC_COMM_SELF, &spec, set, whole));
  PetscCall(all_norms(PETSC_COMM_WORLD, &spec, set, split));
  tap_ok(!memcmp(whole, split, sizeof whole), "%dD norms (%s): the same bits as on one rank", (int)dim, set_name[set]);
  PetscCall(PetscMalloc4(n, &a, n, &b, n, &d, n, &work));
  for (size_t i = 0; i < n; ++i) {
    a[i] = datum(set, 2 * i);
    b[i] = datum(set, 2 * i + 1);
    d[i] = a[i] - b[i];
  }
  for (int k = 0; k < 12; ++k) {
    const double *v = k < 6 ? b : d, exact = reference(k % 6, n, v, work), most = reference(HC_NORM_LINF, n, v, work);
    /* sums: the stated bound; the norm's square root halves relative errors; extrema are exact */
    const double allowed = k % 6 >= HC_NORM_MAX ? 0 : ldexp((double)n, -60) * most + 4 * DBL_EPSILON * fabs(exact);
    worst = fmax(worst, fabs(whole[k] - exact) - allowed);
  }
  double most = 0;
  for (size_t i = 0; i < n; ++i) {
    work[i] = a[i] * b[i];
    most = fmax(most, fabs(work[i]));
  }
  const double dot = exact_sum(n, work, 0);
  worst = fmax(worst, fabs(whole[12] - dot) - ldexp((double)n, -60) * most - 2 * DBL_EPSILON * fabs(dot));
  tap_ok(worst <= 0, "%dD norms (%s): right", (int)dim, set_name[set]);
  PetscCall(PetscFree4(a, b, d, work));
  PetscFunctionReturn(0);
}

static PetscErrorCode test_nan_field(void) {
  HcGridSpec spec = {.dim = 2, .cells = {9, 8, 1}, .upper = {1, 1, 1}, .min_block = 1};
  HcGrid g;
  HcField f;
  double value;
  int nans = 0;
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, &g));
  PetscCall(make_field(g, DENSITY, &f));
  if (HcGridAtEdge(g, 1) && HcGridAtEdge(g, 3)) f->c[0][g->n[0] - 1 + (g->n[1] - 1) * f->stride[1]] = NAN;
  for (int norm = HC_NORM_SUM; norm <= HC_NORM_LINF; ++norm) {
    PetscCall(HcFieldNorm(f, 0, (HcNorm)norm, &value));
    nans += isnan(value);
    PetscCall(HcFieldNormDifference(f, 1, f, 0, (HcNorm)norm, &value));
    nans += isnan(value);
  }
  PetscCall(HcFieldDot(f, 0, f, 1, &value));
  tap_ok(nans == 12 && isnan(value), "one NaN in the last cell makes every norm NaN on every rank");
  PetscCall(fill(f, DENSITY));
  for (PetscInt j = 0; j < g->n[1]; ++j)
    for (PetscInt i = 0; i < g->n[0]; ++i) f->c[0][i + j * f->stride[1]] = 3e200;
  PetscCall(HcFieldNorm(f, 0, HC_NORM_L2, &value));
  tap_near(value / 3e200, sqrt(72.), 4 * DBL_EPSILON * sqrt(72.), "squares do not overflow");
  if (HcGridAtEdge(g, 0) && HcGridAtEdge(g, 2)) f->c[0][0] = -INFINITY;
  PetscCall(HcFieldNorm(f, 0, HC_NORM_LINF, &value));
  tap_ok(isinf(value) && value > 0, "the maximum norm of infinity");
  PetscCall(HcFieldNorm(f, 0, HC_NORM_MIN, &value));
  tap_ok(isinf(value) && value < 0, "the minimum");
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  const size_t counts[] = {1, 15, 1000, 30011};
  for (int set = 0; set < SETS; ++set)
    for (unsigned i = 0; i < sizeof counts / sizeof counts[0]; ++i) PetscCall(test_sum(set, counts[i]));
  PetscCall(test_special());
  for (PetscInt dim = 1; dim <= 3; ++dim)
    for (int set = DENSITY; set <= SMOOTH; ++set) PetscCall(test_norms(dim, set));
  PetscCall(test_nan_field());
  return tap_done();
}
