/* Gaussian kernels on rows of equally spaced points. Pure: plain arrays. */
#pragma once
#include <stddef.h>

/** out[i] = scale exp(-(u + i du)^2 / 2), i < n, to a few units in the last place of the factor, for arguments of up to 37 in
 * size. Each element depends only on u, i, du and scale. */
void HcGaussianRow(size_t n, double u, double du, double scale, double *out);
