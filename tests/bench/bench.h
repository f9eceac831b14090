/*
 * Helpers of the benchmark programs: medians of repetitions, and the two limits that a kernel can meet, measured in the
 * same program on the same core: multiply-and-add rate in registers, and bandwidth of a triad larger than the caches.
 *
 * Every figure is one line that run.py reads:  BENCH <name> <value> <unit> <limit>
 * where <limit> is the rest of the line, e.g. "41 % of FP64 peak".
 */
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/** Wall-clock seconds. */
static inline double bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/** Seconds of this thread on a core, so that a kernel's figure does not include the turns of other programs. */
static inline double bench_cpu(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int bench_compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/** Median over repetitions of the processor seconds of one call of body(data). A repetition is as many calls as fill
 * `seconds`/15, so that the clock does not matter; the median leaves out what other programs disturb. */
static inline double bench_median(void (*body)(void *), void *data, double seconds) {
  enum { REPETITIONS = 15 };
  double sample[REPETITIONS], start;
  int calls = 1;
  body(data);
  for (;;) {
    start = bench_cpu();
    for (int k = 0; k < calls; ++k) body(data);
    if (bench_cpu() - start > seconds / REPETITIONS / 2 || calls > 1 << 28) break;
    calls *= 2;
  }
  for (int r = 0; r < REPETITIONS; ++r) {
    start = bench_cpu();
    for (int k = 0; k < calls; ++k) body(data);
    sample[r] = (bench_cpu() - start) / calls;
  }
  qsort(sample, REPETITIONS, sizeof *sample, bench_compare);
  return sample[REPETITIONS / 2];
}

/** Keep a result alive without storing it. */
static inline void bench_use(const void *p) { __asm__ volatile("" : : "g"(p) : "memory"); }

/* Vectors of the width that the build targets. */
#if defined(__AVX512F__)
enum { BENCH_LANES = 8 };
#elif defined(__AVX__)
enum { BENCH_LANES = 4 };
#else
enum { BENCH_LANES = 2 };
#endif
typedef double bench_vector __attribute__((vector_size(8 * BENCH_LANES)));

enum { BENCH_CHAINS = 12, BENCH_ROUNDS = 2000 };

/* Independent multiply-add chains, enough to hide their latency: fused where the machine can, for that is its peak. */
static inline void bench_flops_body(void *data) {
  bench_vector x[BENCH_CHAINS], a = {0}, b = {0};
  a += 0.999999;
  b += 1e-6;
  for (int c = 0; c < BENCH_CHAINS; ++c) x[c] = a + c;
  for (int r = 0; r < BENCH_ROUNDS; ++r)
#pragma GCC unroll 12
    for (int c = 0; c < BENCH_CHAINS; ++c) {
#if defined(__FMA__) && defined(__AVX512F__)
      __asm__("vfmadd213pd %2, %1, %0" : "+v"(x[c]) : "v"(a), "v"(b));
#elif defined(__FMA__)
      __asm__("vfmadd213pd %2, %1, %0" : "+x"(x[c]) : "x"(a), "x"(b));
#else
      x[c] = x[c] * a + b;
#endif
    }
  for (int c = 1; c < BENCH_CHAINS; ++c) x[0] += x[c];
  *(double *)data = x[0][0];
  bench_use(data);
}

/** FP64 peak of one core, floating-point operations a second (a multiply-add is two). */
static inline double bench_peak_flops(void) {
  double sink, t = bench_median(bench_flops_body, &sink, 0.15);
  return 2. * BENCH_LANES * BENCH_CHAINS * BENCH_ROUNDS / t;
}

typedef struct {
  double *a, *b, *c;
  size_t n;
} BenchTriad;

static inline void bench_triad_body(void *data) {
  const BenchTriad *t = data;
  double *restrict a = t->a;
  const double *restrict b = t->b, *restrict c = t->c;
  for (size_t i = 0; i < t->n; ++i) a[i] = b[i] + 3. * c[i];
  bench_use(a);
}

/** Memory bandwidth of one core in bytes a second: triad over 3 x 64 MB, counting the line that a store reads first. */
static inline double bench_triad_bandwidth(void) {
  const size_t n = (size_t)8 << 20;
  BenchTriad t = {malloc(n * sizeof(double)), malloc(n * sizeof(double)), malloc(n * sizeof(double)), n};
  double seconds = 0.;
  if (t.a && t.b && t.c) {
    for (size_t i = 0; i < n; ++i) t.a[i] = 0., t.b[i] = (double)i, t.c[i] = 1.;
    seconds = bench_median(bench_triad_body, &t, 0.8);
  }
  free(t.a);
  free(t.b);
  free(t.c);
  return seconds > 0. ? 4. * sizeof(double) * (double)n / seconds : NAN;
}

/** One figure. `limit` says what bounds it, e.g. "38 % of FP64 peak". */
static inline void bench_print(const char *name, double value, const char *unit, const char *limit) {
  printf("BENCH %-44s %12.4g %-10s %s\n", name, value, unit, limit);
  fflush(stdout);
}

/** One figure in ns an item, with its share of the FP64 peak from the operations an item takes. */
static inline void bench_print_flops(const char *name, double seconds, double flops, double peak) {
  char limit[96];
  snprintf(limit, sizeof limit, "%.0f %% of FP64 peak (%.0f operations)", 100. * flops / seconds / peak, flops);
  bench_print(name, 1e9 * seconds, "ns", limit);
}

/** One figure in ns an item, with its share of the memory bandwidth from the bytes an item moves. */
static inline void bench_print_bytes(const char *name, double seconds, double bytes, double bandwidth) {
  char limit[96];
  snprintf(limit, sizeof limit, "%.0f %% of memory bandwidth (%.0f bytes)", 100. * bytes / seconds / bandwidth, bytes);
  bench_print(name, 1e9 * seconds, "ns", limit);
}
