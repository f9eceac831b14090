/* WENO kernels: rows in the first cache, and the whole right-hand side of phi_t + (phi_x + phi_y + phi_z + 1)^2/2 = 0. */
#include "bench.h"
#include <halocline/weno.h>

enum { ROW = 128, CELLS = 128, GHOSTS = 3, SIDE = CELLS + 2 * GHOSTS };

static HcWenoWeights weights;
static double row[5][ROW + 2 * GHOSTS], result[6][ROW];
static double *phi, *rhs;

static void indicators(void *unused) {
  HcWenoIndicators(ROW, row[0], row[1], row[2], row[3], row[4], result[0], result[1], result[2]);
  bench_use(result);
  (void)unused;
}

static void nonlinear_weights(void *unused) {
  HcWenoNonlinearWeights(weights, ROW, result[0], result[1], result[2], result[3], result[4], result[5]);
  bench_use(result);
  (void)unused;
}

static void derivatives(void *unused) {
  HcWenoDerivatives(weights, ROW, row[0] + GHOSTS, 1, 64., result[0], result[1]);
  bench_use(result);
  (void)unused;
}

static void faces(void *unused) {
  HcWenoFaces(weights, ROW, row[0] + GHOSTS, row[1] + GHOSTS, 1, result[0], result[1]);
  bench_use(result);
  (void)unused;
}

/* Global Lax-Friedrichs, derivatives in row buffers. */
static void right_hand_side(void *unused) {
  static double m[3][CELLS], p[3][CELLS];
  const ptrdiff_t stride[] = {1, SIDE, SIDE * SIDE};
  const double viscosity = 0.5 * 7.;
  for (int k = 0; k < CELLS; ++k)
    for (int j = 0; j < CELLS; ++j) {
      const double *f = phi + ((ptrdiff_t)(k + GHOSTS) * SIDE + (j + GHOSTS)) * SIDE + GHOSTS;
      double *restrict r = rhs + ((ptrdiff_t)k * CELLS + j) * CELLS;
      for (int d = 0; d < 3; ++d) HcWenoDerivatives(weights, CELLS, f, stride[d], 64., m[d], p[d]);
      for (int i = 0; i < CELLS; ++i) {
        const double s = 0.5 * ((m[0][i] + p[0][i]) + (m[1][i] + p[1][i]) + (m[2][i] + p[2][i])) + 1.;
        r[i] = viscosity * ((p[0][i] - m[0][i]) + (p[1][i] - m[1][i]) + (p[2][i] - m[2][i])) - 0.5 * s * s;
      }
    }
  bench_use(rhs);
  (void)unused;
}

static void copy(void *unused) {
  for (size_t i = 0; i < (size_t)CELLS * CELLS * CELLS; ++i) rhs[i] = phi[i];
  bench_use(rhs);
  (void)unused;
}

int main(void) {
  static const char *const name[] = {"js", "z", "m"};
  /* additions and multiplications in the source of weno_inline.h, a division counted as one; comparisons not */
  const double alpha[] = {8., 19., 38.}, pair[] = {110., 132., 170.};
  const size_t n = (size_t)SIDE * SIDE * SIDE, cells = (size_t)CELLS * CELLS * CELLS;
  const double peak = bench_peak_flops(), bandwidth = bench_triad_bandwidth();
  char label[64];
  bench_print("machine_fp64_peak", 1e-9 * peak, "GFlop/s", "measured: multiply-adds in registers");
  bench_print("machine_triad", 1e-9 * bandwidth, "GB/s", "measured: 192 MB");
  for (int k = 0; k < 5; ++k)
    for (int i = 0; i < ROW + 2 * GHOSTS; ++i) row[k][i] = sin(0.1 * i + k);
  if (!(phi = malloc(n * sizeof *phi)) || !(rhs = malloc(cells * sizeof *rhs))) return 1;
  for (size_t i = 0; i < n; ++i) phi[i] = sin(0.02 * (double)(i % SIDE)) * cos(0.03 * (double)(i / SIDE));
  indicators(NULL);
  bench_print_flops("weno_indicators", bench_median(indicators, NULL, 0.2) / ROW, 24., peak);
  for (int w = 0; w < 3; ++w) {
    weights = (HcWenoWeights)w;
    indicators(NULL);
    snprintf(label, sizeof label, "weno_weights_%s", name[w]);
    bench_print_flops(label, bench_median(nonlinear_weights, NULL, 0.2) / ROW, alpha[w] + 12., peak);
    snprintf(label, sizeof label, "weno_derivatives_%s", name[w]);
    bench_print_flops(label, bench_median(derivatives, NULL, 0.2) / ROW, pair[w], peak);
    snprintf(label, sizeof label, "weno_faces_%s", name[w]);
    bench_print_flops(label, bench_median(faces, NULL, 0.2) / ROW, 2. * (52. + alpha[w]), peak);
    snprintf(label, sizeof label, "weno_rhs_3d_%s", name[w]);
    bench_print_flops(label, bench_median(right_hand_side, NULL, 1.) / (double)cells, 3. * pair[w] + 16., peak);
  }
  bench_print(
    "copy_3d", 1e9 * bench_median(copy, NULL, 0.3) / (double)cells, "ns", "the least that a pass over these cells takes");
  free(phi);
  free(rhs);
  return 0;
}
