/* Bandwidth rules: formulas, the improved Sheather-Jones fixed point, Gaussian rows and convolutions; parallel. */
#include "numerics/bandwidth.h"
#include "numerics/convolution.h"
#include "numerics/gaussian.h"
#include "tap.h"
#include <halocline/kde.h>
#include <stdlib.h>

static double next(uint64_t *state) {
  *state = *state * 6364136223846793005ull + 1442695040888963407ull;
  return ((double)(*state >> 11) + 0.5) * 0x1p-53;
}

static double normal(uint64_t *state) {
  const double u = next(state), v = next(state);
  return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

/* The kernels on plain arrays against the C library and against sums in order. */
static void kernels(void) {
  enum { N = 163, TAPS = 37 };
  double row[N], g[TAPS], in[N + TAPS], along[N], across[N], worst = 0;
  const double *rows[TAPS];
  int same = 1;
  uint64_t state = 5;
  for (double step = 0.001; step < 0.5; step *= 3) {
    HcGaussianRow(N, -20.3 * step, step, 1.7, row);
    for (int i = 0; i < N; ++i) {
      const long double t = -20.3 * step + i * step, e = 1.7L * expl(-t * t / 2);
      if (fabsl(t) <= 37) worst = fmax(worst, (double)(fabsl(row[i] - e) / (e * (1 + t * t / 2))));
    }
  }
  tap_ok(worst < 4 * 1.2e-16, "Gaussian rows: within 4 units of rounding of the argument's (%.2g)", worst);
  for (int k = 0; k < TAPS; ++k) g[k] = next(&state);
  for (int i = 0; i < N + TAPS; ++i) in[i] = next(&state) - 0.5;
  HcConvolveAlong(N, TAPS, g, in, along);
  for (int k = 0; k < TAPS; ++k) rows[k] = in + k;
  HcConvolveAcross(N, TAPS, g, rows, across);
  for (int i = 0; i < N; ++i) {
    double sum = 0;
    for (int k = 0; k < TAPS; ++k) sum += g[k] * in[i + k];
    same = same && sum == along[i] && sum == across[i];
  }
  tap_ok(same, "convolutions: the bits of the sum in order");
  double v[16], copy[16], out[16];
  worst = 0;
  for (int i = 0; i < 16; ++i) v[i] = copy[i] = next(&state);
  HcCosineTransform(16, v, out);
  for (int k = 0; k < 16; ++k) {
    double sum = 0;
    for (int i = 0; i < 16; ++i) sum += (k ? 2 : 1) * copy[i] * cos(M_PI * k * (2 * i + 1) / 32);
    worst = fmax(worst, fabs(sum - out[k]));
  }
  tap_ok(worst < 1e-13, "cosine transform");
}

typedef struct {
  PetscInt n, mine;
  double *all[3], *w, *x[3], *weight;
} Sample;

/* The same points on every rank in all[]; this rank's share, of very different sizes, in x[]. */
static Sample sample_new(PetscInt n, double (*draw)(uint64_t *, int)) {
  Sample s = {.n = n};
  int rank, size;
  uint64_t state = 77;
  MPI_Comm_rank(PETSC_COMM_WORLD, &rank);
  MPI_Comm_size(PETSC_COMM_WORLD, &size);
  for (int d = 0; d < 3; ++d) {
    s.all[d] = malloc(sizeof(double) * (size_t)n);
    s.x[d] = malloc(sizeof(double) * (size_t)n);
  }
  s.w = malloc(sizeof(double) * (size_t)n);
  s.weight = malloc(sizeof(double) * (size_t)n);
  for (PetscInt q = 0; q < n; ++q) {
    for (int d = 0; d < 3; ++d) s.all[d][q] = draw(&state, d);
    s.w[q] = next(&state);
    if ((int)(size * pow((double)q / (double)n, 2)) != rank) continue;
    for (int d = 0; d < 3; ++d) s.x[d][s.mine] = s.all[d][q];
    s.weight[s.mine++] = s.w[q];
  }
  return s;
}

static void sample_free(Sample *s) {
  for (int d = 0; d < 3; ++d) {
    free(s->all[d]);
    free(s->x[d]);
  }
  free(s->w);
  free(s->weight);
}

static double gauss(uint64_t *state, int d) { return 3 + (d + 1) * normal(state); }
/* Two narrow bumps far apart: the rules of thumb take far too wide kernels. */
static double bimodal(uint64_t *state, int d) {
  (void)d;
  return (next(state) < 0.5 ? -10 : 10) + normal(state);
}

static HcGrid grid_of(MPI_Comm comm, PetscInt dim) {
  HcGrid g = NULL;
  const HcGridSpec spec = {.dim = dim,
    .cells = {16, dim > 1 ? 16 : 1, dim > 2 ? 16 : 1},
    .lower = {-50, -50, -50},
    .upper = {50, 50, 50},
    .boundary = {HC_OUTFLOW, HC_OUTFLOW, HC_OUTFLOW, HC_OUTFLOW, HC_OUTFLOW, HC_OUTFLOW}};
  PetscCallAbort(comm, HcGridCreate(comm, &spec, &g));
  return g;
}

static PetscErrorCode rules(int weighted) {
  Sample s = sample_new(2000, gauss);
  PetscFunctionBeginUser;
  for (PetscInt dim = 1; dim <= 3; ++dim) {
    HcGrid g = grid_of(PETSC_COMM_WORLD, dim), one = grid_of(PETSC_COMM_SELF, dim);
    double scott[3], silverman[3], isj[3], alone[3];
    int same = 1, right = 1;
    const double *w = weighted ? s.weight : NULL;
    PetscCall(HcBandwidthFromPoints(g, HC_BANDWIDTH_SCOTT, s.mine, s.x, w, scott));
    PetscCall(HcBandwidthFromPoints(g, HC_BANDWIDTH_SILVERMAN, s.mine, s.x, w, silverman));
    PetscCall(HcBandwidthFromPoints(g, HC_BANDWIDTH_ISJ, s.mine, s.x, w, isj));
    for (int rule = 0; rule < 3; ++rule) {
      PetscCall(HcBandwidthFromPoints(one, (HcBandwidthRule)rule, s.n, s.all, weighted ? s.w : NULL, alone));
      const double *here = rule == 0 ? scott : rule == 1 ? silverman : isj;
      for (int d = 0; d < dim; ++d) same = same && here[d] == alone[d];
    }
    tap_ok(same, "%dD%s: the bits of one rank", (int)dim, weighted ? " weighted" : "");
    for (int d = 0; d < dim; ++d) {
      long double total = 0, squares = 0, mean = 0, square = 0;
      for (PetscInt q = 0; q < s.n; ++q) {
        const long double v = weighted ? s.w[q] : 1;
        total += v;
        squares += v * v;
        mean += v * s.all[d][q];
      }
      mean /= total;
      for (PetscInt q = 0; q < s.n; ++q) square += (weighted ? s.w[q] : 1) * (s.all[d][q] - mean) * (s.all[d][q] - mean);
      const double N = (double)(total * total / squares),
                   deviation = (double)sqrtl(square / total / (1 - squares / (total * total)));
      right = right && fabs(scott[d] / (deviation * pow(N, -1.0 / (double)(dim + 4))) - 1) < 1e-13;
      right = right && fabs(silverman[d] / (deviation * pow(N * (double)(dim + 2) / 4, -1.0 / (double)(dim + 4))) - 1) < 1e-13;
    }
    tap_ok(right, "%dD%s: Scott and Silverman", (int)dim, weighted ? " weighted" : "");
    PetscCall(HcGridDestroy(&g));
    PetscCall(HcGridDestroy(&one));
  }
  sample_free(&s);
  PetscFunctionReturn(0);
}

/* For Gaussian data the best bandwidth is (4/(3N))^(1/5) s. The rule's relative spread is of order N^(-1/2) to N^(-3/10): 2000
 * points, ten per cent, three of them allowed. Of two bumps it finds the bumps' own. */
static PetscErrorCode improved(void) {
  HcGrid g = grid_of(PETSC_COMM_WORLD, 1);
  double b[3], plain[3];
  PetscFunctionBeginUser;
  Sample s = sample_new(2000, gauss);
  PetscCall(HcBandwidthFromPoints(g, HC_BANDWIDTH_ISJ, s.mine, s.x, NULL, b));
  tap_near(b[0] / pow(4.0 / (3 * 2000), 0.2), 1, 0.3, "improved Sheather-Jones: Gaussian data");
  sample_free(&s);
  s = sample_new(2000, bimodal);
  PetscCall(HcBandwidthFromPoints(g, HC_BANDWIDTH_ISJ, s.mine, s.x, NULL, b));
  PetscCall(HcBandwidthFromPoints(g, HC_BANDWIDTH_SILVERMAN, s.mine, s.x, NULL, plain));
  tap_near(b[0] / pow(4.0 / (3 * 1000), 0.2), 1, 0.3, "improved Sheather-Jones: two bumps");
  tap_ok(plain[0] > 5 * b[0], "where Silverman's rule is far too wide");
  sample_free(&s);
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

static int refused(HcGrid g, HcBandwidthRule rule, PetscInt n, double *const x[3]) {
  double b[3];
  const PetscErrorCode err = HcBandwidthFromPoints(g, rule, n, x, NULL, b);
  const int ok = err && HcErrorKind(err) == HC_EXIT_INPUT && HcErrorMessage()[0];
  HcErrorClear();
  return ok;
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  kernels();
  PetscCall(rules(0));
  PetscCall(rules(1));
  PetscCall(improved());
  HcGrid g = grid_of(PETSC_COMM_WORLD, 1);
  double same[4] = {2, 2, 2, 2}, *const x[3] = {same, NULL, NULL};
  tap_ok(refused(g, HC_BANDWIDTH_SCOTT, 0, x), "no points are refused");
  tap_ok(refused(g, HC_BANDWIDTH_SCOTT, 4, x), "points without spread are refused");
  PetscCall(HcGridDestroy(&g));
  return tap_done();
}
