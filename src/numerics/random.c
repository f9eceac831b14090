/*
 * Philox4x32-10 and what is made of it.
 *
 * Loops are plain C over arrays that the compiler turns into vectors: the words of a counter live in 64-bit lanes, since the
 * product of two words needs them. Every operation is exact integer arithmetic or one of + - * / sqrt, rounded the same way
 * everywhere, so vectors and remainders give the same bits.
 */
#include <halocline/random.h>
#include <math.h>
#include <string.h>

enum { ROUNDS = 10, BLOCK = 256 };

/* multipliers and key increments of the paper's table 2 */
#define MULTIPLY_0 0xD2511F53u
#define MULTIPLY_1 0xCD9E8D57u
#define WEYL_0 0x9E3779B9u
#define WEYL_1 0xBB67AE85u
#define WORD 0xffffffffu

typedef struct {
  uint64_t w[4];
} Words;

static inline __attribute__((always_inline)) Words philox(Words c, uint32_t k0, uint32_t k1) {
#pragma GCC unroll 10
  for (int r = 0; r < ROUNDS; ++r) {
    const uint64_t p0 = (uint64_t)MULTIPLY_0 * (uint32_t)c.w[0], p1 = (uint64_t)MULTIPLY_1 * (uint32_t)c.w[2];
    c = (Words){{(p1 >> 32) ^ c.w[1] ^ k0, p1 & WORD, (p0 >> 32) ^ c.w[3] ^ k1, p0 & WORD}};
    k0 += WEYL_0;
    k1 += WEYL_1;
  }
  return c;
}

void HcPhilox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  const Words w = philox((Words){{counter[0], counter[1], counter[2], counter[3]}}, key[0], key[1]);
  for (int k = 0; k < 4; ++k) out[k] = (uint32_t)w.w[k];
}

static inline double of_bits(uint64_t b) {
  double v;
  memcpy(&v, &b, sizeof v);
  return v;
}

static inline uint64_t bits_of(double v) {
  uint64_t b;
  memcpy(&b, &v, sizeof b);
  return b;
}

/* 52 of 64 bits k to (k + 1/2) 2^-52, exactly: 1.k is taken from 2, which reverses the order and leaves (2^52 - k) 2^-52. */
static inline __attribute__((always_inline)) double uniform(uint64_t low, uint64_t high) {
  const uint64_t k = (high << 32 | low) >> 12;
  return 2. - of_bits(k | 0x3ff0000000000000u) - 0x1p-53;
}

static inline __attribute__((always_inline)) Words draw(uint64_t seed, uint64_t id, uint32_t step, uint32_t stream) {
  return philox((Words){{id & WORD, id >> 32, step, stream}}, (uint32_t)seed, (uint32_t)(seed >> 32));
}

double HcUniform(uint64_t seed, uint64_t id, uint32_t step, uint32_t stream, int which) {
  const Words w = draw(seed, id, step, stream);
  return which ? uniform(w.w[2], w.w[3]) : uniform(w.w[0], w.w[1]);
}

static void two_uniforms(
  uint64_t seed, uint32_t step, uint32_t stream, size_t n, const uint64_t *restrict id, double *restrict a, double *restrict b) {
  for (size_t q = 0; q < n; ++q) {
    const Words w = draw(seed, id[q], step, stream);
    a[q] = uniform(w.w[0], w.w[1]);
    b[q] = uniform(w.w[2], w.w[3]);
  }
}

void HcUniforms(uint64_t seed, uint32_t step, uint32_t stream, int dim, size_t n, const uint64_t *id, double *const out[]) {
  double spare[BLOCK];
  for (size_t q = 0; q < n; q += BLOCK) {
    const size_t m = n - q < BLOCK ? n - q : BLOCK;
    two_uniforms(seed, step, stream, m, id + q, out[0] + q, dim > 1 ? out[1] + q : spare);
    if (dim > 2) two_uniforms(seed, step, stream + 1, m, id + q, out[2] + q, spare);
  }
}

/* log u for 0 < u < 1, a normal number. With u = 2^k m, m in [sqrt(1/2), sqrt(2)), and s = (m-1)/(m+1), |s| < 0.1716:
 * log m = 2 (s + s^3/3 + s^5/5 + ...), of which the term s^25/25 is below 2e-19 of the sum. */
static inline __attribute__((always_inline)) double log_of(double u) {
  const uint64_t root = 0x3fe6a09e667f3bcdu;                             /* bits of sqrt(1/2) */
  const uint64_t k = (bits_of(u) - root + ((uint64_t)1024 << 52)) >> 52; /* exponent + 1024, above 0 */
  const double m = of_bits(bits_of(u) - ((k - 1024) << 52));
  const double e = of_bits(k | 0x4330000000000000u) - (0x1p52 + 1024.);
  const double f = m - 1., s = f / (2. + f), z = s * s;
  double t = 2. / 23.;
  t = t * z + 2. / 21.;
  t = t * z + 2. / 19.;
  t = t * z + 2. / 17.;
  t = t * z + 2. / 15.;
  t = t * z + 2. / 13.;
  t = t * z + 2. / 11.;
  t = t * z + 2. / 9.;
  t = t * z + 2. / 7.;
  t = t * z + 2. / 5.;
  t = t * z + 2. / 3.;
  /* log 2 = high + low, high of 32 bits, so that e high is exact */
  return e * 0x1.62e42feep-1 + (2. * s + (s * z * t + e * 0x1.a39ef35793c76p-33));
}

/* cos and sin of 2 pi v for 0 < v < 1: v = q/4 + y exactly, |y| <= 1/8, and Taylor's series at 2 pi y, |2 pi y| < 0.7854; the
 * terms left out are below 3e-18. */
static inline __attribute__((always_inline)) void circle(double v, double *c, double *s) {
  const double shifted = 4. * v + 0x1.8p52; /* rounds to a whole number, in the low bits */
  const uint64_t q = bits_of(shifted);
  const double y = v - 0.25 * (shifted - 0x1.8p52), a = 6.283185307179586477 * y, z = a * a;
  double sine = 1. / 355687428096000., cosine = 1. / 20922789888000.;
  sine = sine * z - 1. / 1307674368000.;
  sine = sine * z + 1. / 6227020800.;
  sine = sine * z - 1. / 39916800.;
  sine = sine * z + 1. / 362880.;
  sine = sine * z - 1. / 5040.;
  sine = sine * z + 1. / 120.;
  sine = sine * z - 1. / 6.;
  sine = a + a * z * sine;
  cosine = cosine * z - 1. / 87178291200.;
  cosine = cosine * z + 1. / 479001600.;
  cosine = cosine * z - 1. / 3628800.;
  cosine = cosine * z + 1. / 40320.;
  cosine = cosine * z - 1. / 720.;
  cosine = cosine * z + 1. / 24.;
  cosine = 1. - (0.5 * z - z * z * cosine);
  /* quadrant q: (c, s), (-s, c), (-c, -s), (s, -c) */
  const uint64_t swap = -(q & 1), b = bits_of(sine), d = bits_of(cosine), exchange = (b ^ d) & swap;
  *c = of_bits((d ^ exchange) ^ (((q + 1) & 2) << 62));
  *s = of_bits((b ^ exchange) ^ ((q & 2) << 62));
}

static void two_normals(
  uint64_t seed, uint32_t step, uint32_t stream, size_t n, const uint64_t *restrict id, double *restrict a, double *restrict b) {
  two_uniforms(seed, step, stream, n, id, a, b);
  for (size_t q = 0; q < n; ++q) {
    const double r = sqrt(-2. * log_of(a[q]));
    double c, s;
    circle(b[q], &c, &s);
    a[q] = r * c;
    b[q] = r * s;
  }
}

void HcNormals(uint64_t seed, uint32_t step, uint32_t stream, int dim, size_t n, const uint64_t *id, double *const out[]) {
  double spare[BLOCK];
  for (size_t q = 0; q < n; q += BLOCK) {
    const size_t m = n - q < BLOCK ? n - q : BLOCK;
    two_normals(seed, step, stream, m, id + q, out[0] + q, dim > 1 ? out[1] + q : spare);
    if (dim > 2) two_normals(seed, step, stream + 1, m, id + q, out[2] + q, spare);
  }
}
