/*
 * Reductions with the same bits on any number of ranks.
 *
 * Sums by pre-rounding: Rump, Ogita & Oishi, SIAM J. Sci. Comput. 31 (2008) 189 (ExtractVector), used as in Demmel &
 * Nguyen, IEEE Trans. Comput. 64 (2015) 2060. With |v| < 2^e for all `count` values and count + 2 <= 2^L, take
 * sigma = 2^(e+L). Then q = (sigma + v) - sigma is v rounded to a multiple of 2^-53 sigma, the remainder v - q is exact
 * and at most 2^-53 sigma, and every partial sum of the q is below sigma: sums of q are exact in any order. The
 * remainders are treated the same way with sigma' = 2^(L-53) sigma. K levels leave remainders below 2^(e - K (53-L)), so
 * K = ceil(62 / (53-L)) keeps the error below 2^-60 count max|v|. e, L and K follow from the maximum and the count, which
 * all ranks share, so neither the split nor the order of values matters.
 */
#include "grid_private.h"
#include <math.h>
#include <string.h>

enum {
  WIDE = 8,    /* doubles in the widest vector; narrower machines split it */
  VECTORS = 2, /* independent accumulators hide the latency of an addition */
  LANES = WIDE * VECTORS,
  BLOCK = 1024,   /* values gathered from short rows before they are treated */
  MAX_LEVELS = 8, /* L = 45 needs 8 */
  MAX_EXTRA = 45, /* bits of the count: 3e13 values */
  TOP = 1000,     /* scale down when a sum might pass 2^TOP */
};

typedef double Vector __attribute__((vector_size(8 * WIDE)));

#define MAGNITUDE 0x7fffffffffffffffLL
#define INFINITE 0x7ff0000000000000LL

static inline int64_t bits_of(double v) {
  int64_t b;
  memcpy(&b, &v, sizeof b);
  return b;
}

static inline double of_bits(int64_t b) {
  double v;
  memcpy(&v, &b, sizeof v);
  return v;
}

/* ---- where values come from: rows of one or two components, mapped one to one ---- */

typedef enum { MAP_SAME, MAP_ABS, MAP_SQUARE, MAP_DIFFERENCE, MAP_ABS_DIFFERENCE, MAP_SQUARE_DIFFERENCE, MAP_PRODUCT } Map;

typedef struct {
  Map map;
  double scale;        /* power of two applied to the values, to v before squaring */
  const double *a, *b; /* first cell */
  PetscInt n[3], sa[3], sb[3];
} Source;

static void map_row(const Source *s, PetscInt n, const double *restrict a, const double *restrict b, double *restrict out) {
  const double scale = s->scale;
  switch (s->map) {
  case MAP_SAME:
    for (PetscInt i = 0; i < n; ++i) out[i] = scale * a[i];
    break;
  case MAP_ABS:
    for (PetscInt i = 0; i < n; ++i) out[i] = scale * fabs(a[i]);
    break;
  case MAP_SQUARE:
    for (PetscInt i = 0; i < n; ++i) {
      const double v = scale * a[i];
      out[i] = v * v;
    }
    break;
  case MAP_DIFFERENCE:
    for (PetscInt i = 0; i < n; ++i) out[i] = scale * (a[i] - b[i]);
    break;
  case MAP_ABS_DIFFERENCE:
    for (PetscInt i = 0; i < n; ++i) out[i] = scale * fabs(a[i] - b[i]);
    break;
  case MAP_SQUARE_DIFFERENCE:
    for (PetscInt i = 0; i < n; ++i) {
      const double v = scale * (a[i] - b[i]);
      out[i] = v * v;
    }
    break;
  case MAP_PRODUCT:
    for (PetscInt i = 0; i < n; ++i) out[i] = scale * (a[i] * b[i]);
    break;
  }
}

/* ---- consumers of blocks of values ---- */

typedef struct {
  int64_t magnitude; /* bits of max |v|; above INFINITE if a value is NaN */
  int64_t high, low; /* keys of the greatest value and, reversed, of the least */
  int levels;
  double sigma[MAX_LEVELS];
  double sum[MAX_LEVELS][LANES];
} Accumulator;

typedef void (*Consumer)(Accumulator *acc, size_t n, const double *v);

/* Bit patterns of doubles without the sign are ordered as the magnitudes, and those of NaN lie above infinity. */
static void take_magnitude(Accumulator *acc, size_t n, const double *restrict v) {
  int64_t most = acc->magnitude;
  for (size_t i = 0; i < n; ++i) {
    const int64_t m = bits_of(v[i]) & MAGNITUDE;
    most = m > most ? m : most;
  }
  acc->magnitude = most;
}

/* With the magnitude bits of negative values inverted, the order of integers is that of the doubles. */
static inline int64_t order_key(int64_t b) { return b ^ ((b >> 63) & MAGNITUDE); }

static void take_range(Accumulator *acc, size_t n, const double *restrict v) {
  int64_t most = acc->magnitude, high = acc->high, low = acc->low;
  for (size_t i = 0; i < n; ++i) {
    const int64_t b = bits_of(v[i]), m = b & MAGNITUDE, k = order_key(b), r = ~k;
    most = m > most ? m : most;
    high = k > high ? k : high;
    low = r > low ? r : low;
  }
  acc->magnitude = most;
  acc->high = high;
  acc->low = low;
}

/* The accumulators of all levels stay in registers only as vector variables and with a constant number of levels: arrays
 * of lanes go through memory at each step, which takes several times as long. */
static inline __attribute__((always_inline)) void extract_lanes(Accumulator *acc, const int levels, size_t n, const double *v) {
  Vector sum[MAX_LEVELS][VECTORS], rest[VECTORS];
#pragma GCC unroll 8
  for (int l = 0; l < levels; ++l) memcpy(sum[l], acc->sum[l], sizeof sum[l]);
  for (size_t i = 0; i < n; i += LANES) {
#pragma GCC unroll 4
    for (int j = 0; j < VECTORS; ++j) memcpy(&rest[j], v + i + WIDE * j, sizeof rest[j]);
#pragma GCC unroll 8
    for (int l = 0; l < levels; ++l) {
      const double sigma = acc->sigma[l];
#pragma GCC unroll 4
      for (int j = 0; j < VECTORS; ++j) {
        const Vector q = (rest[j] + sigma) - sigma;
        sum[l][j] += q;
        rest[j] -= q;
      }
    }
  }
#pragma GCC unroll 8
  for (int l = 0; l < levels; ++l) memcpy(acc->sum[l], sum[l], sizeof sum[l]);
}

static void extract(Accumulator *acc, size_t n, const double *v) {
  switch (acc->levels) {
  case 2:
    extract_lanes(acc, 2, n, v);
    break;
  case 3:
    extract_lanes(acc, 3, n, v);
    break;
  default:
    extract_lanes(acc, acc->levels, n, v);
    break;
  }
}

static void take_sum(Accumulator *acc, size_t n, const double *v) {
  const size_t whole = n / LANES * LANES;
  extract(acc, whole, v);
  if (whole < n) {
    double tail[LANES] = {0}; /* zeros add nothing */
    memcpy(tail, v + whole, sizeof(double) * (n - whole));
    extract(acc, LANES, tail);
  }
}

/* Hand all values over in blocks: long plain rows as they lie, others mapped and gathered. */
static void each_value(const Source *s, Consumer consume, Accumulator *acc) {
  double buffer[BLOCK];
  size_t filled = 0;
  const int plain = s->map == MAP_SAME && s->scale == 1 && s->n[0] >= 64;
  for (PetscInt k = 0; k < s->n[2]; ++k)
    for (PetscInt j = 0; j < s->n[1]; ++j) {
      const double *a = s->a + (size_t)j * (size_t)s->sa[1] + (size_t)k * (size_t)s->sa[2];
      const double *b = s->b ? s->b + (size_t)j * (size_t)s->sb[1] + (size_t)k * (size_t)s->sb[2] : NULL;
      if (plain) {
        consume(acc, (size_t)s->n[0], a);
        continue;
      }
      for (PetscInt i = 0; i < s->n[0];) {
        const PetscInt m = PetscMin(s->n[0] - i, (PetscInt)(BLOCK - filled));
        map_row(s, m, a + i, b ? b + i : NULL, buffer + filled);
        filled += (size_t)m;
        i += m;
        if (filled == BLOCK) {
          consume(acc, filled, buffer);
          filled = 0;
        }
      }
    }
  if (filled) consume(acc, filled, buffer);
}

/* ---- reductions over ranks ---- */

static PetscErrorCode global_magnitude(MPI_Comm comm, const Source *s, int64_t *magnitude) {
  Accumulator acc = {.magnitude = 0};
  PetscFunctionBeginUser;
  each_value(s, take_magnitude, &acc);
  PetscCallMPI(MPI_Allreduce(&acc.magnitude, magnitude, 1, MPI_INT64_T, MPI_MAX, comm));
  PetscFunctionReturn(0);
}

/* The exact level sums, largest first, rounded to the nearest double but for a last-bit tie: TwoSum carries the errors. */
static double combine_levels(int levels, const double sum[]) {
  double high = 0, low = 0;
  for (int l = 0; l < levels; ++l) {
    const double t = high + sum[l], z = t - high;
    low += (high - (t - z)) + (sum[l] - z);
    high = t;
  }
  return high + low;
}

/* Sum of finite values whose magnitude is known to be at most `most`. */
static PetscErrorCode sum_bounded(MPI_Comm comm, double count, Source *s, double most, double *sum) {
  Accumulator acc = {.levels = 0};
  double local[MAX_LEVELS], total[MAX_LEVELS];
  int e, extra = 1, down = 0;
  PetscFunctionBeginUser;
  *sum = 0;
  if (most == 0) PetscFunctionReturn(0);
  PetscCheck(count < ldexp(1, MAX_EXTRA) - 2, comm, PETSC_ERR_ARG_OUTOFRANGE, "Sum of %g values", count);
  while (ldexp(1, extra) < count + 2) ++extra;
  (void)frexp(most, &e); /* most < 2^e */
  if (e + extra > TOP) {
    down = e + extra - TOP;
    e -= down;
    s->scale = ldexp(s->scale, -down);
  }
  acc.levels = (62 + 53 - extra - 1) / (53 - extra);
  for (int l = 0; l < acc.levels; ++l) acc.sigma[l] = ldexp(1, e + extra - l * (53 - extra));
  each_value(s, take_sum, &acc);
  for (int l = 0; l < acc.levels; ++l) {
    local[l] = 0;
    for (int j = 0; j < LANES; ++j) local[l] += acc.sum[l][j];
  }
  PetscCallMPI(MPI_Allreduce(local, total, acc.levels, MPI_DOUBLE, MPI_SUM, comm));
  *sum = ldexp(combine_levels(acc.levels, total), down);
  PetscFunctionReturn(0);
}

static PetscErrorCode sum_source(MPI_Comm comm, double count, Source *s, double *sum) {
  int64_t magnitude;
  PetscFunctionBeginUser;
  PetscCall(global_magnitude(comm, s, &magnitude));
  if (magnitude >= INFINITE)
    *sum = NAN;
  else
    PetscCall(sum_bounded(comm, count, s, of_bits(magnitude), sum));
  PetscFunctionReturn(0);
}

/* Values are scaled to at most 1 before they are squared: neither overflow nor loss of small fields. */
static PetscErrorCode two_norm(MPI_Comm comm, double count, Source *s, double *norm) {
  int64_t magnitude;
  int e;
  PetscFunctionBeginUser;
  const Map square = s->map == MAP_DIFFERENCE ? MAP_SQUARE_DIFFERENCE : MAP_SQUARE;
  PetscCall(global_magnitude(comm, s, &magnitude));
  if (magnitude >= INFINITE || magnitude == 0) {
    *norm = magnitude ? NAN : 0;
    PetscFunctionReturn(0);
  }
  (void)frexp(of_bits(magnitude), &e);
  if (e < -1000) e = -1000; /* 2^-e must be finite; what is lost is below the smallest normal number */
  s->map = square;
  s->scale = ldexp(1, -e);
  PetscCall(sum_bounded(comm, count, s, 1, norm));
  *norm = ldexp(sqrt(*norm), e);
  PetscFunctionReturn(0);
}

static PetscErrorCode range(MPI_Comm comm, const Source *s, HcNorm norm, double *value) {
  Accumulator acc = {.magnitude = 0, .high = INT64_MIN, .low = INT64_MIN};
  int64_t local[3], all[3];
  PetscFunctionBeginUser;
  each_value(s, take_range, &acc);
  local[0] = acc.magnitude;
  local[1] = acc.high;
  local[2] = acc.low;
  PetscCallMPI(MPI_Allreduce(local, all, 3, MPI_INT64_T, MPI_MAX, comm));
  if (all[0] > INFINITE)
    *value = NAN;
  else if (norm == HC_NORM_LINF)
    *value = of_bits(all[0]);
  else
    *value = of_bits(order_key(norm == HC_NORM_MAX ? all[1] : ~all[2])); /* order_key is its own inverse */
  PetscFunctionReturn(0);
}

static PetscErrorCode reduce(HcGrid g, Source *s, HcNorm norm, double *value) {
  const double count = HcGridTotalCells(g);
  PetscFunctionBeginUser;
  switch (norm) {
  case HC_NORM_SUM:
    PetscCall(sum_source(g->comm, count, s, value));
    break;
  case HC_NORM_L1:
    s->map = s->map == MAP_DIFFERENCE ? MAP_ABS_DIFFERENCE : MAP_ABS;
    PetscCall(sum_source(g->comm, count, s, value));
    break;
  case HC_NORM_L2:
    PetscCall(two_norm(g->comm, count, s, value));
    break;
  default:
    PetscCall(range(g->comm, s, norm, value));
    break;
  }
  PetscFunctionReturn(0);
}

/* ---- public ---- */

PetscErrorCode HcSum(MPI_Comm comm, double count, PetscInt n, const double *v, double *sum) {
  Source s = {.map = MAP_SAME, .scale = 1, .a = v, .n = {n, 1, 1}};
  PetscFunctionBeginUser;
  PetscCall(sum_source(comm, count, &s, sum));
  PetscFunctionReturn(0);
}

static Source field_source(Map map, HcField a, int ca, HcField b, int cb) {
  Source s = {.map = map, .scale = 1, .a = a->c[ca], .b = b ? b->c[cb] : NULL};
  memcpy(s.n, a->grid->n, sizeof s.n);
  memcpy(s.sa, a->stride, sizeof s.sa);
  if (b) memcpy(s.sb, b->stride, sizeof s.sb);
  return s;
}

PetscErrorCode HcFieldNorm(HcField f, int c, HcNorm norm, double *value) {
  Source s = field_source(MAP_SAME, f, c, NULL, 0);
  PetscFunctionBeginUser;
  PetscCall(reduce(f->grid, &s, norm, value));
  PetscFunctionReturn(0);
}

PetscErrorCode HcFieldNormDifference(HcField a, int ca, HcField b, int cb, HcNorm norm, double *value) {
  Source s = field_source(MAP_DIFFERENCE, a, ca, b, cb);
  PetscFunctionBeginUser;
  PetscCheck(a->grid == b->grid, PETSC_COMM_SELF, PETSC_ERR_ARG_INCOMP, "Fields of different grids");
  PetscCall(reduce(a->grid, &s, norm, value));
  PetscFunctionReturn(0);
}

PetscErrorCode HcFieldDot(HcField a, int ca, HcField b, int cb, double *value) {
  Source s = field_source(MAP_PRODUCT, a, ca, b, cb);
  PetscFunctionBeginUser;
  PetscCheck(a->grid == b->grid, PETSC_COMM_SELF, PETSC_ERR_ARG_INCOMP, "Fields of different grids");
  PetscCall(sum_source(a->grid->comm, HcGridTotalCells(a->grid), &s, value));
  PetscFunctionReturn(0);
}
