/* Indicators and nonlinear weights by themselves, for tests and benchmarks. */
#include "weno_inline.h"

void HcWenoIndicators(size_t n, const double *u0, const double *u1, const double *u2, const double *u3, const double *u4,
  double *restrict b0, double *restrict b1, double *restrict b2) {
  WENO_VECTOR_LOOP
  for (size_t i = 0; i < n; ++i) {
    const double a = u1[i] - u0[i], b = u2[i] - u1[i], c = u3[i] - u2[i], d = u4[i] - u3[i];
    const double ab = b - a, bc = c - b, cd = d - c, k0 = a - 3. * b, k1 = b + c, k2 = d - 3. * c;
    b0[i] = (13. / 12.) * (ab * ab) + 0.25 * (k0 * k0);
    b1[i] = (13. / 12.) * (bc * bc) + 0.25 * (k1 * k1);
    b2[i] = (13. / 12.) * (cd * cd) + 0.25 * (k2 * k2);
  }
}

WENO_INLINE void nonlinear_weights(HcWenoWeights weights, size_t n, const double *b0, const double *b1, const double *b2,
  double *restrict w0, double *restrict w1, double *restrict w2) {
  WENO_VECTOR_LOOP
  for (size_t i = 0; i < n; ++i) {
    const double scale = weno_scale(weno_max(weno_max(b0[i], b2[i]), b1[i]));
    const double e0 = b0[i] * scale, e1 = b1[i] * scale, e2 = b2[i] * scale;
    double a0, a1, a2, r;
    weno_alpha(weights, e0 + WENO_FLOOR, e1 + WENO_FLOOR, e2 + WENO_FLOOR, e0 > e2 ? e0 - e2 : e2 - e0, &a0, &a1, &a2);
    r = 1. / ((a0 + a2) + a1);
    w0[i] = a0 * r;
    w1[i] = a1 * r;
    w2[i] = a2 * r;
  }
}

void HcWenoNonlinearWeights(
  HcWenoWeights weights, size_t n, const double *b0, const double *b1, const double *b2, double *w0, double *w1, double *w2) {
  switch (weights) {
  case HC_WENO_JS:
    nonlinear_weights(HC_WENO_JS, n, b0, b1, b2, w0, w1, w2);
    break;
  case HC_WENO_Z:
    nonlinear_weights(HC_WENO_Z, n, b0, b1, b2, w0, w1, w2);
    break;
  case HC_WENO_M:
    nonlinear_weights(HC_WENO_M, n, b0, b1, b2, w0, w1, w2);
    break;
  }
}
