/* Convolution of rows with a short list of coefficients. Pure: plain arrays. */
#pragma once
#include <stddef.h>

/** out[i] = sum over k < taps of g[k] in[i + k], i < n: along a row. Terms are added in the order of k. */
void HcConvolveAlong(size_t n, size_t taps, const double *g, const double *in, double *out);

/** out[i] = sum over k < taps of g[k] in[k][i], i < n: across rows, the same order. A row that is NULL counts as zero. */
void HcConvolveAcross(size_t n, size_t taps, const double *g, const double *const in[], double *out);
