/*
 * Particles: points with a position, an identity and a weight, each owned by the rank whose block it is in.
 *
 * Storage is structure of arrays: x[d][q], id[q], weight[q] for q < n. A particle's random numbers are keyed by (seed, id,
 * step), so that its path does not depend on the number of ranks; the order of particles on a rank does depend on it.
 * Positions are in the grid's box: lower <= x <= upper, and x < upper in periodic directions. After code of your own that moved
 * particles, call HcParticlesMigrate(): every other function takes owned particles. HcWalkStep() (walk.h) leaves them owned.
 */
#pragma once
#include "grid.h"
#include "io.h"
#include <math.h>
#include <stdint.h>

typedef struct HcParticles_ {
  HcGrid grid;
  PetscInt n, room; /* owned particles; allocated places */
  double *x[3];     /* positions; NULL in unused directions. Room is a multiple of 8: whole vectors may be read */
  uint64_t *id;     /* below 2^53, so that files can hold it */
  double *weight;
  double absorbed;                /* number absorbed so far on all ranks, by exits (whole numbers) */
  struct HcMigration_ *migration; /* private: buffers kept between steps */
} * HcParticles;

/** The cell of a position in direction d, 0 .. cells-1: the rule by which particles are owned, the same on every rank. */
static inline PetscInt HcGridCellOf(HcGrid g, int d, double x) {
  const double t = (x - g->lower[d]) * (1. / g->h[d]), last = (double)(g->cells[d] - 1);
  return (PetscInt)(t < 1. ? 0. : t > last ? last : t);
}

/** The rank that owns a cell of the whole grid. */
int HcGridOwner(HcGrid g, const PetscInt cell[3]);

/** An empty set. `room` places at first; grows by half when full. */
PetscErrorCode HcParticlesCreate(HcGrid grid, PetscInt room, HcParticles *p);
/** Free everything and set the handle to NULL; NULL is allowed. */
PetscErrorCode HcParticlesDestroy(HcParticles *p);
/** Empty the set; its memory is kept. */
void HcParticlesClear(HcParticles p);
/** Make place for at least `room` particles. */
PetscErrorCode HcParticlesReserve(HcParticles p, PetscInt room);
/** Bytes per rank of n owned particles with migration buffers for a share `moving` of them. */
double HcParticlesBytes(HcGrid grid, double n, double moving);
/** Bytes that this set holds on this rank now, buffers included. */
double HcParticlesMemory(HcParticles p);
/** Total number over all ranks (exact below 2^53). Collective. */
PetscErrorCode HcParticlesCount(HcParticles p, double *total);
/** Largest number on a rank over the mean (1 is perfect balance; 1 for an empty set). Collective. */
PetscErrorCode HcParticlesImbalance(HcParticles p, double *largest_over_mean);
/** Are all positions finite, in the box and in this rank's block? `id_hash` is a sum over all particles of a mix of the id: equal
 * for equal sets of ids, whatever the ranks. Collective. */
PetscErrorCode HcParticlesCheck(HcParticles p, PetscBool *owned, uint64_t *id_hash);
/** Send every particle to the rank that owns its position (any distance, corners). Positions beyond periodic faces are wrapped;
 * beyond others, or not finite, are an error (HC_EXIT_FAILED) that names the particle. Conserves number and ids (checked in
 * debug builds). Allocates nothing once its buffers have grown. Collective. */
PetscErrorCode HcParticlesMigrate(HcParticles p);

/* ---- creation --------------------------------------------------------------------------------------------------- */

/** Add `number` particles sampled from a density: with C the cumulative mass in the order of cells (x fastest), cell c gets
 * floor(number C[c+1]/C[end] + u) - floor(number C[c]/C[end] + u), u one uniform number of the seed: its share, rounded up or
 * down. Ids id0, id0+1, ... in the order of cells; positions uniform in the cell. The same set of particles on any number of
 * ranks. Weights total_weight/number.
 * Negative or not finite density, or none at all: HC_EXIT_INPUT. number and cells below 2^37. Collective. */
PetscErrorCode HcParticlesSample(
  HcParticles p, HcField density, int c, double number, double total_weight, uint64_t id0, uint64_t seed);

/** Add a lattice of per[0] x per[1] x per[2] evenly spaced points a cell, only in cells where component c of `where` is positive
 * (NULL: everywhere). Ids id0 + (number of the cell) * points + (number of the point). Each gets `weight`. Not collective. */
PetscErrorCode HcParticlesLattice(HcParticles p, const PetscInt per[3], HcField where, int c, double weight, uint64_t id0);

/** A cloud of points as a file has it, spread over the ranks by rows: row first + q is x[.][q]. */
typedef struct HcPoints_ {
  MPI_Comm comm;
  PetscInt dim, n;       /* directions; rows of this rank */
  double first, total;   /* this rank's first row; rows of the file */
  double *x[3], *weight; /* weight is 1 without a weights file */
  int csv;
} * HcPoints;

/** Read `file.h5:/path` (N x dim; N for dim 1) or `file.csv` (dim columns by commas, semicolons, tabs or spaces; a first line
 * of names and lines that begin with # are passed over) named by a HC_OPT_TEXT or HC_OPT_FILE key; weights likewise (N values,
 * none negative), weights_key may be NULL or unset. Each rank reads its slice. HC_EXIT_INPUT naming the row or line: not a
 * number, wrong number of columns, no rows, different number of weights. Collective. */
PetscErrorCode HcPointsRead(
  MPI_Comm comm, HcOptions opts, const char *points_key, const char *weights_key, PetscInt dim, HcPoints *points);
/** Free everything and set the handle to NULL; NULL is allowed. */
PetscErrorCode HcPointsDestroy(HcPoints *points);
/** Least and greatest coordinate of all ranks. Collective. */
PetscErrorCode HcPointsBox(HcPoints points, double lower[3], double upper[3]);
/** Add the points, ids id0 + row, and migrate them to their owners. A point outside the box is HC_EXIT_INPUT naming key and row;
 * in periodic directions points on the upper face go to the lower one. Collective. */
PetscErrorCode HcParticlesAddPoints(HcParticles p, HcPoints points, uint64_t id0, HcOptions opts, const char *points_key);

/* ---- grid to particles and back --------------------------------------------------------------------------------- */

typedef enum { HC_LINEAR, HC_CUBIC } HcInterpolation;

/** Ghost layers of a field that interpolation at owned particles reads: 1 or 2, behind edges and corners too (HC_BOX), filled
 * by the caller, also beyond domain faces. */
static inline PetscInt HcInterpolationWidth(HcInterpolation rule) { return rule == HC_CUBIC ? 2 : 1; }
/** out[q] = component c at particle q < n: (multi)linear, or cubic (Lagrange through four centres a direction; exact for cubics).
 * Not collective. */
PetscErrorCode HcParticlesInterpolate(HcParticles p, HcField f, int c, HcInterpolation rule, double *out);
/** Add to component c of f (width >= 1) the weights of all particles divided by the cell volume, spread linearly over the 2^dim
 * nearest centres; what falls beyond a non-periodic face goes to the cell at the face. The integral is the total weight. Added as
 * whole multiples of 2^-61 or more of the number of particles times the largest weight: the same bits on any number of ranks.
 * Ghosts of f are left alone. Collective. */
PetscErrorCode HcParticlesDeposit(HcParticles p, HcField f, int c);

/* ---- files ------------------------------------------------------------------------------------------------------ */

/** Write dir/particles_<index>.h5: /particles/position [N][dim], /particles/id, /particles/weight, attributes time, step; and
 * rewrite dir/particles.xmf, the series up to this one. Same guarantees as fields files. Rows lie in the order of ranks.
 * @param sample 0: all particles; else only those with id % sample == 0, sorted by id, so that the series of files holds
 * their trajectories. Collective. */
PetscErrorCode HcParticlesWrite(const char *dir, HcParticles p, PetscInt index, PetscInt step, double time, PetscInt sample);
/** Bytes of such a file with n particles. */
double HcParticlesFileBytes(HcGrid grid, double n);
/** Save to / load from a checkpoint under a name; loading replaces all particles, on any number of ranks. Collective. */
PetscErrorCode HcCheckpointPutParticles(HcCheckpoint ck, const char *name, HcParticles p);
/** Read what HcCheckpointPutParticles stored; every particle to its owner. Collective. */
PetscErrorCode HcCheckpointGetParticles(HcCheckpoint ck, const char *name, HcParticles p);
