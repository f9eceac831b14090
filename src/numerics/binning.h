/*
 * Linear binning: each point's weight is spread over the 2^dim nodes around it, in whole numbers, so that sums do not depend on
 * their order. Pure: plain arrays.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/** Nodes and the points' coordinates in them: node i of direction d lies at x = lower[d] + (i + 1/2) h[d]; the array holds
 * nodes first[d] .. first[d] + n[d] - 1, x fastest. */
typedef struct {
  int dim;
  double lower[3], h[3];
  int64_t first[3], n[3];
} HcBins;

/** bins += shares of n points.
 * @param unit   what one point of weight 1 adds in all, a power of two; times the weight at most 2^51
 * @param weight NULL: all 1
 * A point of weight w adds exactly rint(w unit), no share has the other sign.
 * @return 0, or 1 if some point's nodes are not all in the array or it is not a number; bins are then not to be used */
int HcBinLinear(const HcBins *shape, size_t n, const double *const x[3], double unit, const double *weight, int64_t *bins);

enum { HC_BIN_BLOCK = 256 };

/** The same for n <= HC_BIN_BLOCK points, leaving out those whose lowest node is marked; they are listed in skipped[].
 * @param mark one byte a node
 * @return the number of skipped points, or -1 where HcBinLinear returns 1 */
int HcBinLinearUnmarked(const HcBins *shape, size_t n, const double *const x[3], double unit, const double *weight,
  const uint8_t *mark, int64_t *bins, uint16_t skipped[HC_BIN_BLOCK]);
