/* Row kernels of WENO5: one vectorised loop for each kind of weights. */
#include "weno_inline.h"

WENO_INLINE void derivatives(HcWenoWeights weights, size_t n, const double *f, ptrdiff_t stride, double inv_h,
  double *restrict minus, double *restrict plus) {
  WENO_VECTOR_LOOP
  for (size_t i = 0; i < n; ++i) {
    double l, r;
    weno_derivatives_at(weights, f + i, stride, inv_h, &l, &r);
    minus[i] = l;
    plus[i] = r;
  }
}

void HcWenoDerivatives(
  HcWenoWeights weights, size_t n, const double *f, ptrdiff_t stride, double inv_h, double *minus, double *plus) {
  switch (weights) {
  case HC_WENO_JS:
    derivatives(HC_WENO_JS, n, f, stride, inv_h, minus, plus);
    break;
  case HC_WENO_Z:
    derivatives(HC_WENO_Z, n, f, stride, inv_h, minus, plus);
    break;
  case HC_WENO_M:
    derivatives(HC_WENO_M, n, f, stride, inv_h, minus, plus);
    break;
  }
}

void HcUpwindDerivatives(
  size_t n, const double *f, ptrdiff_t stride, double inv_h, double *restrict minus, double *restrict plus) {
  WENO_VECTOR_LOOP
  for (size_t i = 0; i < n; ++i) {
    minus[i] = inv_h * (f[i] - f[(ptrdiff_t)i - stride]);
    plus[i] = inv_h * (f[(ptrdiff_t)i + stride] - f[i]);
  }
}

WENO_INLINE void faces(HcWenoWeights weights, size_t n, const double *fp, const double *fm, ptrdiff_t s, double *restrict left,
  double *restrict right) {
  WENO_VECTOR_LOOP
  for (size_t i = 0; i < n; ++i) {
    const double *p = fp + i, *m = fm + i;
    left[i] = weno_one(weights, p[-3 * s], p[-2 * s], p[-s], p[0], p[s]);
    right[i] = weno_one(weights, m[2 * s], m[s], m[0], m[-s], m[-2 * s]);
  }
}

void HcWenoFaces(
  HcWenoWeights weights, size_t n, const double *fp, const double *fm, ptrdiff_t stride, double *left, double *right) {
  switch (weights) {
  case HC_WENO_JS:
    faces(HC_WENO_JS, n, fp, fm, stride, left, right);
    break;
  case HC_WENO_Z:
    faces(HC_WENO_Z, n, fp, fm, stride, left, right);
    break;
  case HC_WENO_M:
    faces(HC_WENO_M, n, fp, fm, stride, left, right);
    break;
  }
}
