/*
 * Particles: points with a position, an identity and a weight, each owned by the rank whose block it is in.
 *
 * Storage is structure of arrays: x[d][q], id[q], weight[q] for q < n. A particle's random numbers are keyed by (seed, id,
 * step), so that its path does not depend on the number of ranks; the order of particles on a rank does depend on it.
 * Positions are in the grid's box; in periodic directions lower <= x < upper. After a step that moved particles, call
 * HcParticlesMigrate(): every other function takes owned particles (HcParticlesAreOwned()).
 */
#pragma once
#include "grid.h"
#include <stdint.h>

typedef struct HcParticles_ {
  HcGrid    grid;
  PetscInt  n, room;      /* owned particles; allocated places */
  double   *x[3];         /* positions; NULL in unused directions */
  uint64_t *id;
  double   *weight;
  double    absorbed;     /* number absorbed so far on all ranks, by exits (whole numbers) */
  struct HcMigration_ *migration; /* private: buffers kept between steps */
} *HcParticles;

/** An empty set. `room` places at first; grows by half when full. */
PetscErrorCode HcParticlesCreate(HcGrid grid, PetscInt room, HcParticles *p);
PetscErrorCode HcParticlesDestroy(HcParticles *p);
/** Make place for at least `room` particles. */
PetscErrorCode HcParticlesReserve(HcParticles p, PetscInt room);
/** Bytes per rank of n owned particles with migration buffers for a share `moving` of them. */
double HcParticlesBytes(HcGrid grid, double n, double moving);
/** Total number over all ranks (exact below 2^53). Collective. */
PetscErrorCode HcParticlesCount(HcParticles p, double *total);
/** Debug check, collective: positions finite and owned, ids distinct in sum (sum and hash of ids), counts. */
PetscErrorCode HcParticlesCheck(HcParticles p, PetscBool *owned, uint64_t *id_hash);
/** Send every particle to the rank that owns its position (any distance, corners, around periodic faces). Particles beyond
 * non-periodic faces are an error unless a step has reflected or absorbed them. Conserves number and ids. Collective. */
PetscErrorCode HcParticlesMigrate(HcParticles p);
