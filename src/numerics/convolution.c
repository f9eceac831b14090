#include "convolution.h"
#include <string.h>

/* Sums of this many neighbouring elements stay in registers while k runs. */
enum { LANES = 64 };

/* With a constant number of elements the inner loops become a fixed set of vector registers. */
static inline __attribute__((always_inline)) void along(
  const size_t lanes, size_t taps, const double *restrict g, const double *restrict in, double *restrict out) {
  double sum[LANES] = {0};
  for (size_t k = 0; k < taps; ++k)
    for (size_t i = 0; i < lanes; ++i) sum[i] += g[k] * in[i + k];
  memcpy(out, sum, lanes * sizeof *out);
}

void HcConvolveAlong(size_t n, size_t taps, const double *g, const double *in, double *out) {
  size_t i = 0;
  for (; i + LANES <= n; i += LANES) along(LANES, taps, g, in + i, out + i);
  for (; i + 8 <= n; i += 8) along(8, taps, g, in + i, out + i);
  for (; i < n; ++i) along(1, taps, g, in + i, out + i);
}

static inline __attribute__((always_inline)) void across(
  const size_t lanes, size_t taps, const double *restrict g, const double *const in[], size_t at, double *restrict out) {
  double sum[LANES] = {0};
  for (size_t k = 0; k < taps; ++k) {
    const double *restrict row = in[k];
    if (!row) continue;
    for (size_t i = 0; i < lanes; ++i) sum[i] += g[k] * row[at + i];
  }
  memcpy(out + at, sum, lanes * sizeof *out);
}

void HcConvolveAcross(size_t n, size_t taps, const double *g, const double *const in[], double *out) {
  size_t i = 0;
  for (; i + LANES <= n; i += LANES) across(LANES, taps, g, in, i, out);
  for (; i + 8 <= n; i += 8) across(8, taps, g, in, i, out);
  for (; i < n; ++i) across(1, taps, g, in, i, out);
}
