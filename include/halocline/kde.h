/*
 * Kernel density estimation: the density of weighted points at the cell centres of a grid.
 *
 *   density(c) = sum over points q of w_q prod over directions d of K_d(c_d - x_{q,d}),
 *   K_d(s) = exp(-s^2 / (2 b_d^2)) / (sqrt(2 pi) b_d),   cut off at |s| > truncation * b_d
 *
 * (Silverman, Density Estimation for Statistics and Data Analysis, 1986, chapters 3 and 4). Around periodic faces the points
 * repeat; with `reflect` the other faces and the walls of a floor plan mirror them, so that no mass leaves; without it what lies
 * beyond a face is lost.
 *
 * Two ways to the sum. HC_KDE_DIRECT adds each point's kernel to the cells that it reaches. HC_KDE_BINNED spreads each point
 * linearly over the 2^dim nearest centres and convolves the result one direction after the other: it costs far less per point,
 * and replaces K_d by its linear interpolation between centres, an error of at most binning_bound times the peak of one kernel
 * for each unit of weight. HC_KDE_AUTO takes the binned way where that bound is at most `binning_error` and either the
 * estimate of cost (HcKdeCost) is lower or a kernel spans more than 128 cells.
 *
 * Accuracy of the direct way: cells miss what lies beyond the cut. With D the largest density anywhere, points in a cube of
 * side b weigh at most D (2 pi)^(d/2) b^d exp(d/2), so a cell misses at most D times the sum of exp(d/2 - s^2/2) over the cubes
 * beyond the cut, s their distance in b. For HC_KDE_TRUNCATION that is less than 10^-12, 10^-11, 10^-10 D in 1, 2, 3 dimensions.
 *
 * Walls: the binned way convolves along each row within the stretch between two walls, mirrored at both, first in x, then
 * y, then z. Mass on either side of a wall stays there, cell by connected cell. Doors are treated as walls.
 *
 * The same bits on any number of ranks. Deposits of the binned way are 64-bit integers in units of 2^-p of a point's weight,
 * where p is chosen so that the sum of all weights stays below 2^62: with N points of equal weight p = min(51, 61 - ceil(log2
 * N)), the weights of a point add up exactly, and a share is off by at most 2^-p of the point. With different weights the unit is
 * 2^-61 of their sum (not below 2^-51 of the largest). Deposits of the direct way are sums of doubles on two levels whose
 * roundings are independent of the order: off by less than N^2 2^-100 of the sum of weights times the peak of one kernel.
 *
 * Kernels may be wider than a block or than the whole grid: rows are fetched from as many blocks as the kernel reaches, a few
 * rows at a time in the binned way; the direct way adds into an array that is as much larger than the block as the kernel
 * reaches.
 */
#pragma once
#include "io.h"

/** Default cut-off in bandwidths. */
#define HC_KDE_TRUNCATION 7.7
/** Default of the largest binning bound that HC_KDE_AUTO takes: kernels 2, 3, 3.5 cells wide (b/h) in 1, 2, 3 dimensions. */
#define HC_KDE_BINNING_ERROR 0.03

typedef enum { HC_KDE_AUTO, HC_KDE_DIRECT, HC_KDE_BINNED } HcKdeMethod;

typedef struct {
  double bandwidth[3];  /* b_d > 0 in used directions: the standard deviation of the kernel */
  double truncation;    /* (0,37]; 0 means HC_KDE_TRUNCATION */
  double binning_error; /* HC_KDE_AUTO: the largest binning_bound allowed; 0 means HC_KDE_BINNING_ERROR */
  HcKdeMethod method;
  PetscBool reflect;     /* at non-periodic faces */
  PetscBool renormalise; /* scale each point's kernel so that its sum over centres (images included) is exactly its weight */
  HcFloorPlan plan;      /* NULL, or walls; borrowed. Binned way only, and always reflecting */
} HcKdeSpec;

typedef struct HcKde_ *HcKde;

/** Check the specification. HC_EXIT_INPUT for values out of range or HC_KDE_DIRECT with walls. Collective. */
PetscErrorCode HcKdeCreate(HcGrid grid, const HcKdeSpec *spec, HcKde *kde);
/** Free everything and set the handle to NULL; NULL is allowed. */
PetscErrorCode HcKdeDestroy(HcKde *kde);
/** New bandwidths, from the next call of HcKdeEvaluate on. Collective. */
PetscErrorCode HcKdeSetBandwidth(HcKde kde, const double bandwidth[3]);

/** density -> owned cells of component c of `out`. Collective.
 * @param n      points of this rank, each in its block (HcParticlesMigrate; with walls, in free cells)
 * @param x      x[d][q], d < dim
 * @param weight of each point; NULL: 1 over the number of points on all ranks
 * No points at all give density 0. */
PetscErrorCode HcKdeEvaluate(HcKde kde, PetscInt n, double *const x[3], const double *weight, HcField out, int c);

/** The way that HcKdeEvaluate takes for `points` points on all ranks. */
HcKdeMethod HcKdeMethodFor(HcKde kde, double points);
/** The way that it took last; HC_KDE_AUTO before its first call. */
HcKdeMethod HcKdeLastMethod(HcKde kde);
/** Estimated seconds of one evaluation on each rank, with measured constants of one core: direct a N prod(m_d), where m_d
 * are the cells that a kernel spans in direction d; binned a' N + cells sum(m_d) a''. */
double HcKdeCost(HcKde kde, HcKdeMethod method, double points);
/** Bound of the binned way's error, sum over d of (h_d/b_d)^2 / 8, in units of the peak of one kernel times the weight. */
double HcKdeBinningBound(HcKde kde);
/** Bytes that an evaluation allocates on this rank at its peak. */
double HcKdeBytes(HcKde kde, HcKdeMethod method);

/* ---- bandwidths from data ---------------------------------------------------------------------------------------- */

typedef enum {
  HC_BANDWIDTH_SCOTT,     /* s_d N^(-1/(d+4)) (Scott, Multivariate Density Estimation, 1992) */
  HC_BANDWIDTH_SILVERMAN, /* s_d (N (d+2)/4)^(-1/(d+4)) (Silverman 1986, eq. 4.14) */
  HC_BANDWIDTH_ISJ,       /* improved Sheather-Jones: Botev, Grotowski & Kroese, Ann. Stat. 38 (2010) 2916, of each direction's
                             marginal, times N^(1/5 - 1/(d+4)) */
} HcBandwidthRule;

/** A bandwidth in each direction from the points of all ranks. s_d is the sample's standard deviation, N the effective number
 * (sum w)^2 / sum w^2, as in scipy's gaussian_kde. The same bits on any number of ranks. Collective.
 * HC_EXIT_INPUT when a direction has no spread, or where ISJ finds no solution (it needs some 50 points). */
PetscErrorCode HcBandwidthFromPoints(
  HcGrid grid, HcBandwidthRule rule, PetscInt n, double *const x[3], const double *weight, double bandwidth[3]);
