/*
 * Fifth-order WENO derivatives and fluxes over rows. Pure kernels: plain arrays, no MPI, no PETSc.
 *
 * Indicators and linear weights: Jiang & Shu, JCP 126 (1996) 202; Jiang & Peng, SIAM J. Sci. Comput. 21 (2000) 2126 for
 * Hamilton-Jacobi (the stencil holds first differences); z: Borges et al., JCP 227 (2008) 3191; m: Henrick, Aslam & Powers,
 * JCP 207 (2005) 542. z is used with power 2, which keeps order 5 also at critical points: alpha_k = d_k (1 + (tau5/(b_k +
 * eps))^2). eps = 1e-6 max u^2 over each stencil's own values u (for derivatives: its first differences), so that results scale
 * with the data: f -> c f gives c times the result, bit for bit when c is a power of two, for values of 1e-150 to 1e150 in size.
 * Orders measured with smooth data with critical points (tests/unit/test_weno.c): z and m 5.0 in the mean and the maximum, with
 * the errors of the linear scheme from 40 cells a wave on; js 5.0 in the mean, 4.7 in the maximum, errors up to 7 times larger.
 * Mirrored data give mirrored results bit for bit. Each element's result depends only on its stencil, not on n, alignment or
 * position.
 */
#pragma once
#include <stddef.h>

typedef enum { HC_WENO_JS, HC_WENO_Z, HC_WENO_M } HcWenoWeights;

/** One-sided derivatives at n consecutive cells of a row.
 * @param f     value at the first cell; neighbours at f[i + s], s = -3*stride .. 3*stride in steps of stride (stride 1: along the
 * row; larger: across rows, still n cells contiguous in memory)
 * @param inv_h 1/h
 * @param[out] minus,plus left- and right-biased derivative, n values each */
void HcWenoDerivatives(
  HcWenoWeights weights, size_t n, const double *f, ptrdiff_t stride, double inv_h, double *minus, double *plus);

/** The same in first order: minus = (f[i]-f[i-stride])/h, plus = (f[i+stride]-f[i])/h. */
void HcUpwindDerivatives(size_t n, const double *f, ptrdiff_t stride, double inv_h, double *minus, double *plus);

/** WENO5 reconstruction of a flux at faces from point values (Shu-Osher): for face i between cells i-1 and i,
 * left[i] from cells i-3..i+1 of `fp` (right-going part), right[i] from cells i-2..i+2 of `fm` (left-going part). n faces. */
void HcWenoFaces(
  HcWenoWeights weights, size_t n, const double *fp, const double *fm, ptrdiff_t stride, double *left, double *right);

/** Smoothness indicators and nonlinear weights of n stencils u0..u4 (arrays), for tests and benchmarks. The size of the data is
 * not known to the weights here: their eps is 1e-40 of the largest indicator. */
void HcWenoIndicators(size_t n, const double *u0, const double *u1, const double *u2, const double *u3, const double *u4,
  double *b0, double *b1, double *b2);
/** Nonlinear weights of n stencils from their indicators. */
void HcWenoNonlinearWeights(
  HcWenoWeights weights, size_t n, const double *b0, const double *b1, const double *b2, double *w0, double *w1, double *w2);
