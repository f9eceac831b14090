/* What the files of density estimation share. */
#pragma once
#include "numerics/binning.h"
#include "reach.h"
#include <halocline/kde.h>

struct HcKde_ {
  HcGrid grid;
  HcKdeSpec spec;
  HcKdeMethod last; /* the way of the last evaluation, HC_KDE_AUTO before it */
  HcField open;     /* with walls: component d is 1 where a cell's lower face in direction d lets pass; ghosts of all shapes */
  uint8_t *mark;    /* of nodes -1 .. n: is a face between the 2^dim cells from this one up closed? */
};

/** The points of one evaluation. */
typedef struct {
  PetscInt n;
  double *x[3];
  const double *weight; /* NULL on ranks without points, or where not weighted */
  int weighted;         /* do weights differ anywhere? else all are `each` */
  double each;
  double points;            /* on all ranks */
  double most, total_bound; /* max |w|, and at least the sum of |w|, over all ranks */
} HcCloud;

/** Cells from a centre to the farthest one within the cut-off: floor(truncation b/h). */
PetscInt hc_kde_half_width(HcKde kde, int d);

/** One direction's kernel on the centres of cells, images included: node first + i takes value[i], i < count. */
typedef struct {
  PetscInt first, count;
  double *value; /* room for hc_kde_row_room() */
  double *work;
} HcKernelRow;

PetscInt hc_kde_row_room(HcKde kde, int d);
/** The row of a point at x. Cells that two images reach take their sum. In periodic directions `first` may lie outside 0 .. N-1.
 */
void hc_kde_point_row(HcKde kde, int d, double x, HcKernelRow *row);
/** The row of a node, as taps: the value at node i of a source at node i + first + k is value[k]. Folded to at most one period
 * (two where it is mirrored), unless `fold` is false. */
void hc_kde_taps(HcKde kde, int d, PetscBool fold, HcKernelRow *taps);

/** Bytes of an evaluation. */
double hc_kde_direct_bytes(HcKde kde);
double hc_kde_binned_bytes(HcKde kde);

PetscErrorCode hc_kde_direct(HcKde kde, const HcCloud *p, HcField out, int c);
PetscErrorCode hc_kde_binned(HcKde kde, const HcCloud *p, HcField out, int c);

/** kde->open from the plan. */
PetscErrorCode hc_kde_walls_create(HcKde kde);
/** Linear binning that respects walls: shares that would pass a closed face stay in front of it. 0, or 1 as HcBinLinear. */
int hc_kde_bin_within_walls(HcKde kde, const HcBins *shape, const HcCloud *p, double unit, int64_t *bins);
/** v (owned cells, [n2][n1][n0]) is replaced by its convolution in direction d between walls. */
PetscErrorCode hc_kde_convolve_between_walls(HcKde kde, int d, double *v);
