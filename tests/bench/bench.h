/*
 * Helpers of the benchmark programs: medians of repetitions, and the two limits that a kernel can meet, measured in the
 * same program on the same core: multiply-and-add rate in registers, and bandwidth of a triad larger than the caches.
 *
 * Every figure is one line that run.py reads:  BENCH <name> <value> <unit> <limit>
 * where <name> has no spaces and <limit> is the rest of the line, e.g. "41 % of FP64 peak". A program whose first line holds
 * "ranks: 1 2" is run by mpirun on each of these counts (rank 0 prints), others on one.
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

static inline bench_vector bench_multiply_add(bench_vector x, bench_vector a, bench_vector b) {
#if defined(__FMA__) && defined(__AVX512F__)
  __asm__("vfmadd213pd %2, %1, %0" : "+v"(x) : "v"(a), "v"(b));
  return x;
#elif defined(__FMA__)
  __asm__("vfmadd213pd %2, %1, %0" : "+x"(x) : "x"(a), "x"(b));
  return x;
#else
  return x * a + b;
#endif
}

/* Independent chains, enough to hide the latency; fused where the machine can, for that is its peak. Separate variables, because
 * an array would live in memory. */
static inline void bench_flops_body(void *data) {
  const bench_vector a = (bench_vector){0} + 0.999999, b = (bench_vector){0} + 1e-6;
  bench_vector x0 = a, x1 = a, x2 = a, x3 = a, x4 = a, x5 = a, x6 = a, x7 = a, x8 = a, x9 = a, x10 = a, x11 = a;
  for (int r = 0; r < BENCH_ROUNDS; ++r) {
    x0 = bench_multiply_add(x0, a, b);
    x1 = bench_multiply_add(x1, a, b);
    x2 = bench_multiply_add(x2, a, b);
    x3 = bench_multiply_add(x3, a, b);
    x4 = bench_multiply_add(x4, a, b);
    x5 = bench_multiply_add(x5, a, b);
    x6 = bench_multiply_add(x6, a, b);
    x7 = bench_multiply_add(x7, a, b);
    x8 = bench_multiply_add(x8, a, b);
    x9 = bench_multiply_add(x9, a, b);
    x10 = bench_multiply_add(x10, a, b);
    x11 = bench_multiply_add(x11, a, b);
  }
  x0 += x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9 + x10 + x11;
  *(double *)data = x0[0];
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
