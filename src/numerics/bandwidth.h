/* Bandwidth from the shape of the data: improved Sheather-Jones. Pure: plain arrays. */
#pragma once
#include <stddef.h>

/** The bandwidth at which the estimated mean integrated square error is least, by the fixed point of Botev, Grotowski & Kroese,
 * Ann. Stat. 38 (2010) 2916, algorithm 1.
 * @param n       number of bins, a power of 2
 * @param share   of the points in each bin, adding up to 1; destroyed
 * @param points  how many there are
 * @param[out] bandwidth as a fraction of the range of all bins
 * @return 0; 1 when the fixed point has no solution (too few points, or all in a few bins) or memory runs out */
int HcBandwidthImproved(size_t n, double *share, double points, double *bandwidth);

/** out[k] = 2 sum over j < n of v[j] cos(pi k (2j+1) / (2n)), k < n, n a power of 2 (out[0] without the factor 2). v is
 * destroyed.
 * @return 0, or 1 when memory runs out */
int HcCosineTransform(size_t n, double *v, double *out);
