/*
 * The arithmetic of one fifth-order WENO stencil, for loops that fuse it with their own work. `weights` must be a constant
 * at the place of the call: each loop is then compiled for its weights and vectorises.
 *
 * Stencil u0..u4 (values, or first differences for Hamilton-Jacobi) enters by its differences a = u1-u0, b = u2-u1,
 * c = u3-u2, d = u4-u3 (Jiang & Peng 2000, eq. 2.10): the reconstruction is
 *   (-u1 + 7 u2 + 7 u3 - u4)/12 - w0 (a-2b+c)/3 - (w2 - 1/2) (b-2c+d)/6,
 * whose first term the two biased stencils of a place share, as they share differences, their squares and the scale.
 *
 * Four times the indicators: B0 = 13/3 (a-b)^2 + (a-3b)^2, B1 = 13/3 (b-c)^2 + (b+c)^2, B2 = 13/3 (c-d)^2 + (3c-d)^2.
 *
 * Scale. The indicators are multiplied by the square of a power of two that would take the largest |u| into [1, 2): exact, no
 * division, and products of indicators then neither overflow nor vanish for |u| of 1e-150 to 1e150. Jiang & Peng's epsilon
 * 10^-6 max u^2 follows the size of the stencil's own data, so that weights do not change when all data are multiplied by
 * a number. A floor of 10^-40, 10^-20 of the largest value, only keeps 0/0 away.
 *
 * Divisions. Weights are ratios a_k/sum(a), so common denominators are multiplied out: one division a stencil (two for m).
 */
#pragma once
#include <halocline/weno.h>
#include <stdint.h>
#include <string.h>

/* A loop compiled for its own weights, whatever the compiler thinks of the size. */
#define WENO_INLINE static inline __attribute__((always_inline))

/* Before a loop over cells whose results overlap no input: gcc forgets `restrict` when it inlines a function, and then leaves
 * the loop scalar. */
#ifdef __clang__
#define WENO_VECTOR_LOOP _Pragma("clang loop vectorize(assume_safety)")
#else
#define WENO_VECTOR_LOOP _Pragma("GCC ivdep")
#endif

#define WENO_EPSILON 1e-6
#define WENO_FLOOR 1e-40

#define WENO_Q (13. / 3.)

/* Linear weights of the three stencils. */
#define WENO_D0 0.1
#define WENO_D1 0.6
#define WENO_D2 0.3

WENO_INLINE double weno_max(double a, double b) { return a > b ? a : b; }

/* 2^-k for 2^k <= x < 2^(k+1); x is taken as 1e-150 at least, so that the square is finite. */
WENO_INLINE double weno_scale(double x) {
  uint64_t bits;
  double scale;
  x = weno_max(x, 1e-150);
  memcpy(&bits, &x, sizeof bits);
  bits = (UINT64_C(0x7fe) << 52) - (bits & (UINT64_C(0x7ff) << 52));
  memcpy(&scale, &bits, sizeof scale);
  return scale;
}

/* Weights up to a common factor, from indicators + epsilon; tau = |B0 - B2| is used by z alone. The linear weights enter as
 * 1 : 6 : 3. */
WENO_INLINE void weno_alpha(
  HcWenoWeights weights, double e0, double e1, double e2, double tau, double *a0, double *a1, double *a2) {
  const double p0 = e1 * e2, p1 = e0 * e2, p2 = e0 * e1; /* d_k/e_k^2, times (e0 e1 e2)^2 */
  double r0 = p0 * p0, r1 = p1 * p1, r2 = p2 * p2;
  if (weights == HC_WENO_Z) { /* d_k (1 + (tau/e_k)^2), times (e0 e1 e2)^2 */
    const double t = tau * tau;
    r0 *= e0 * e0 + t;
    r1 *= e1 * e1 + t;
    r2 *= e2 * e2 + t;
  }
  r1 *= 6.;
  r2 *= 3.;
  if (weights == HC_WENO_M) { /* g_k(w) = w (d + d^2 - 3 d w + w^2)/(d^2 + w (1 - 2 d)), denominators multiplied out */
    const double r = 1. / ((r0 + r2) + r1), w0 = r0 * r, w1 = r1 * r, w2 = r2 * r;
    const double n0 = w0 * ((WENO_D0 + WENO_D0 * WENO_D0) + w0 * (w0 - 3. * WENO_D0)),
                 g0 = WENO_D0 * WENO_D0 + w0 * (1. - 2. * WENO_D0);
    const double n1 = w1 * ((WENO_D1 + WENO_D1 * WENO_D1) + w1 * (w1 - 3. * WENO_D1)),
                 g1 = WENO_D1 * WENO_D1 + w1 * (1. - 2. * WENO_D1);
    const double n2 = w2 * ((WENO_D2 + WENO_D2 * WENO_D2) + w2 * (w2 - 3. * WENO_D2)),
                 g2 = WENO_D2 * WENO_D2 + w2 * (1. - 2. * WENO_D2);
    r0 = n0 * (g1 * g2);
    r1 = n1 * (g0 * g2);
    r2 = n2 * (g0 * g1);
  }
  *a0 = r0;
  *a1 = r1;
  *a2 = r2;
}

/* 4 w0 s + 2 w2 t from indicators; s = a-2b+c and t = b-2c+d are third differences of the stencil. */
WENO_INLINE double weno_correction(HcWenoWeights weights, double b0, double b1, double b2, double epsilon, double s, double t) {
  double a0, a1, a2;
  weno_alpha(weights, b0 + epsilon, b1 + epsilon, b2 + epsilon, __builtin_fabs(b0 - b2), &a0, &a1, &a2);
  return (a0 * (4. * s) + a2 * (t + t)) / ((a0 + a2) + a1);
}

/* Both biased reconstructions from six values v0..v5 on either side of one place: left from v0..v4, right from v5..v1.
 * For Hamilton-Jacobi v are the first differences around a cell, for faces the cell values around a face. */
WENO_INLINE void weno_both(HcWenoWeights weights, double v0, double v1, double v2, double v3, double v4, double v5, double factor,
  double *left, double *right) {
  const double inner =
    weno_max(weno_max(__builtin_fabs(v1), __builtin_fabs(v2)), weno_max(__builtin_fabs(v3), __builtin_fabs(v4)));
  const double scale = weno_scale(weno_max(inner, weno_max(__builtin_fabs(v0), __builtin_fabs(v5)))), scale2 = scale * scale;
  const double sl = weno_max(inner, __builtin_fabs(v0)) * scale, sr = weno_max(inner, __builtin_fabs(v5)) * scale;
  const double el = 4. * WENO_EPSILON * (sl * sl) + WENO_FLOOR, er = 4. * WENO_EPSILON * (sr * sr) + WENO_FLOOR;
  const double d1 = v1 - v0, d2 = v2 - v1, d3 = v3 - v2, d4 = v4 - v3, d5 = v5 - v4;
  const double h2 = 3. * d2, h3 = 3. * d3, h4 = 3. * d4;
  const double c12 = d2 - d1, c23 = d3 - d2, c34 = d4 - d3, c45 = d5 - d4;
  const double q12 = WENO_Q * (c12 * c12), q23 = WENO_Q * (c23 * c23), q34 = WENO_Q * (c34 * c34), q45 = WENO_Q * (c45 * c45);
  const double k1 = d1 - h2, k2 = d2 + d3, k3 = d4 - h3, k4 = d2 - h3, k5 = d3 + d4, k6 = d5 - h4;
  const double t2 = c23 - c12, t3 = c34 - c23, t4 = c45 - c34;
  const double centre = 7. * (v2 + v3) - (v1 + v4), twelfth = factor * (1. / 12.);
  const double fl =
    weno_correction(weights, scale2 * (q12 + k1 * k1), scale2 * (q23 + k2 * k2), scale2 * (q34 + k3 * k3), el, t2, t3);
  const double fr =
    weno_correction(weights, scale2 * (q45 + k6 * k6), scale2 * (q34 + k5 * k5), scale2 * (q23 + k4 * k4), er, t4, t3);
  *left = twelfth * (centre - (fl - t3));
  *right = twelfth * (centre + (fr - t3));
}

/* One biased reconstruction at the place between u2 and u3, from u0..u4. */
WENO_INLINE double weno_one(HcWenoWeights weights, double u0, double u1, double u2, double u3, double u4) {
  const double largest = weno_max(weno_max(__builtin_fabs(u0), __builtin_fabs(u4)),
    weno_max(weno_max(__builtin_fabs(u1), __builtin_fabs(u2)), __builtin_fabs(u3)));
  const double scale = weno_scale(largest), scale2 = scale * scale, size = largest * scale;
  const double epsilon = 4. * WENO_EPSILON * (size * size) + WENO_FLOOR;
  const double a = u1 - u0, b = u2 - u1, c = u3 - u2, d = u4 - u3, ab = b - a, bc = c - b, cd = d - c;
  const double k0 = a - 3. * b, k1 = b + c, k2 = d - 3. * c, s = bc - ab, t = cd - bc;
  const double f = weno_correction(weights, scale2 * (WENO_Q * (ab * ab) + k0 * k0), scale2 * (WENO_Q * (bc * bc) + k1 * k1),
    scale2 * (WENO_Q * (cd * cd) + k2 * k2), epsilon, s, t);
  return (1. / 12.) * ((7. * (u2 + u3) - (u1 + u4)) - (f - t));
}

/* Left- and right-biased derivative at f[0] from f[-3 stride] .. f[3 stride]. */
WENO_INLINE void weno_derivatives_at(
  HcWenoWeights weights, const double *f, ptrdiff_t stride, double inv_h, double *minus, double *plus) {
  const double m3 = f[-3 * stride], m2 = f[-2 * stride], m1 = f[-stride], c = f[0], p1 = f[stride], p2 = f[2 * stride],
               p3 = f[3 * stride];
  weno_both(weights, m2 - m3, m1 - m2, c - m1, p1 - c, p2 - p1, p3 - p2, inv_h, minus, plus);
}
