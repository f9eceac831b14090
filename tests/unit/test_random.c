/* Random numbers: bits of Random123 (where its headers are there), accuracy of the deviates against long double, independence of
 * length, moments. */
#include "tap.h"
#include <halocline/random.h>
#include <string.h>
#if __has_include(<Random123/philox.h>)
#include <Random123/philox.h>
#define HAVE_RANDOM123 1
#else
#define HAVE_RANDOM123 0
#endif

enum { N = 200000 };

/* The known answers that come with Random123. */
static void test_philox(void) {
  static const uint32_t known[3][3][4] = {{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff},
      {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0},
      {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
  int same = 1;
  uint32_t out[4];
  for (int k = 0; k < 3; ++k) {
    HcPhilox(known[k][0], known[k][1], out);
    same = same && !memcmp(out, known[k][2], sizeof out);
  }
  tap_ok(same, "the three known answers of Philox4x32-10");
}

#if HAVE_RANDOM123
static void test_random123(void) {
  int same = 1;
  philox4x32_ctr_t c = {{0, 0, 0, 0}};
  philox4x32_key_t k = {{0, 0}};
  uint32_t out[4];
  for (int i = 0; i < 10000; ++i) {
    const philox4x32_ctr_t r = philox4x32_R(10, c, k);
    HcPhilox(c.v, k.v, out);
    same = same && !memcmp(out, r.v, sizeof out);
    c = r;
    k.v[0] = r.v[1] ^ (uint32_t)i;
    k.v[1] = r.v[3] * 7u;
  }
  tap_ok(same, "10000 random counters and keys: the words of Random123");
}
#endif

/* The kernels on arrays must use these words, keyed as stated. */
static void test_arrays(void) {
  static uint64_t id[N];
  static double u[3][N], part[3][N];
  const uint64_t seed = 0x123456789abcdef0u;
  const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  int same = 1, single = 1;
  for (size_t q = 0; q < N; ++q) id[q] = q * 0x9E3779B97F4A7C15u >> 11;
  HcUniforms(seed, 7, 3, 3, N, id, (double *[]){u[0], u[1], u[2]});
  for (size_t q = 0; q < N; ++q)
    for (uint32_t s = 0; s < 2; ++s) {
      const uint32_t counter[4] = {(uint32_t)id[q], (uint32_t)(id[q] >> 32), 7, 3 + s};
      uint32_t r[4];
      HcPhilox(counter, key, r);
      for (int w = 0; w < 2 && 2 * s + (uint32_t)w < 3; ++w) {
        const uint64_t bits = ((uint64_t)r[2 * w + 1] << 32 | r[2 * w]) >> 12;
        same = same && u[2 * s + (uint32_t)w][q] == 1 - ((double)bits + 0.5) * 0x1p-52;
        if (q < 1000) single = single && u[2 * s + (uint32_t)w][q] == HcUniform(seed, id[q], 7, 3 + s, w);
      }
    }
  tap_ok(same, "uniform numbers are (k + 1/2) 2^-52 of these words");
  tap_ok(single, "one number is that of the array");
  HcNormals(seed, 1, 0, 3, N, id, (double *[]){u[0], u[1], u[2]});
  for (size_t q = 0, n; q < N; q += n) {
    n = 1 + q % 37 < N - q ? 1 + q % 37 : N - q;
    HcNormals(seed, 1, 0, 3, n, id + q, (double *[]){part[0] + q, part[1] + q, part[2] + q});
  }
  tap_ok(!memcmp(u, part, sizeof u), "normal deviates in pieces of any length: the same bits");
  HcNormals(seed, 1, 0, 1, N, id, (double *[]){part[0]});
  tap_ok(!memcmp(u[0], part[0], sizeof u[0]), "the first direction does not depend on their number");
}

/* Against long double from the same uniform numbers. */
static void test_accuracy(void) {
  static uint64_t id[N];
  static double u[2][N], z[2][N];
  double relative = 0, absolute = 0, most = 0;
  for (size_t q = 0; q < N; ++q) id[q] = q;
  HcUniforms(11, 5, 0, 2, N, id, (double *[]){u[0], u[1]});
  HcNormals(11, 5, 0, 2, N, id, (double *[]){z[0], z[1]});
  for (size_t q = 0; q < N; ++q) {
    const long double r = sqrtl(-2 * logl(u[0][q])), angle = 8 * atanl(1) * (long double)u[1][q], c = cosl(angle),
                      s = sinl(angle);
    const double ec = (double)fabsl(z[0][q] - r * c), es = (double)fabsl(z[1][q] - r * s);
    absolute = fmax(absolute, fmax(ec, es) / (double)fmaxl(r, 1));
    if (fabsl(c) > 1e-3L) relative = fmax(relative, ec / (double)fabsl(r * c));
    if (fabsl(s) > 1e-3L) relative = fmax(relative, es / (double)fabsl(r * s));
    most = fmax(most, (double)r);
  }
  printf("# relative error %.2g, absolute %.2g, largest radius %.3f\n", relative, absolute, most);
  tap_ok(relative < 2e-15, "relative error of normal deviates below 2e-15");
  tap_ok(absolute < 2e-15, "absolute error below 2e-15");
}

/* Moments within 4 standard errors; correlations between directions, neighbours and steps too. */
static void test_moments(void) {
  static uint64_t id[N];
  static double z[3][N], next[3][N];
  const double exact[4] = {0, 1, 0, 3}, variance[4] = {1, 2, 15, 96};
  int ok = 1, free = 1;
  long cells[64] = {0};
  for (size_t q = 0; q < N; ++q) id[q] = q;
  HcNormals(2024, 1, 0, 3, N, id, (double *[]){z[0], z[1], z[2]});
  HcNormals(2024, 2, 0, 3, N, id, (double *[]){next[0], next[1], next[2]});
  for (int d = 0; d < 3; ++d) {
    double m[4] = {0, 0, 0, 0}, neighbour = 0, step = 0, direction = 0;
    for (size_t q = 0; q < N; ++q) {
      const double v = z[d][q];
      m[0] += v / N, m[1] += v * v / N, m[2] += v * v * v / N, m[3] += v * v * v * v / N;
      neighbour += v * z[d][(q + 1) % N] / N;
      step += v * next[d][q] / N;
      direction += v * z[(d + 1) % 3][q] / N;
      ++cells[(int)fmin(63, floor(32 * (1 + erf(v / sqrt(2.)))))];
    }
    for (int k = 0; k < 4; ++k) ok = ok && fabs(m[k] - exact[k]) < 4 * sqrt(variance[k] / N);
    free = free && fmax(fabs(neighbour), fmax(fabs(step), fabs(direction))) < 4 / sqrt(N);
  }
  tap_ok(ok, "four moments in three directions within 4 standard errors");
  tap_ok(free, "no correlation between neighbours, steps and directions");
  double chi = 0;
  for (int k = 0; k < 64; ++k) chi += pow((double)cells[k] - 3. * N / 64, 2) / (3. * N / 64);
  tap_ok(fabs(chi - 63) < 4 * sqrt(2 * 63.), "64 cells of equal probability are filled evenly (chi squared %.1f)", chi);
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  test_philox();
#if HAVE_RANDOM123
  test_random123();
#endif
  test_arrays();
  test_accuracy();
  test_moments();
  return tap_done();
}
