/* What the two files of the density by particles share. */
#pragma once
#include "particles.h"
#include <halocline/kde.h>
#include <halocline/walk.h>

typedef struct MfgParticles_ {
  /* from the options */
  PetscInt number, seed;
  HcWalkScheme scheme;
  PetscInt sample; /* files hold every so many-th agent; 0: all */
  PetscBool write; /* particles files? */
  int rule;        /* HcBandwidthRule, -1: the bandwidth is given */
  double bandwidth[3];

  HcParticles agents;
  HcWalk walk; /* exits as mfg->exits numbers them, then one for all `given` faces */
  HcKde kde;
  HcField b[4];       /* drift: of an interval's first level; for weak2 of its last one, and of a substep's begin and end */
  HcField m;          /* a level of m, width 1 */
  HcField free;       /* 1 in free cells, width 1, 0 beyond the box */
  PetscBool inside;   /* are there walls or doors inside the box? */
  ptrdiff_t *blocked; /* offsets of owned cells that are not free and have a free neighbour */
  PetscInt nblocked;
  PetscInt *parts;     /* [steps] substeps of each interval; 0: not yet chosen */
  PetscInt most_parts; /* a power of two */
  double noise_parts;  /* the least number of substeps that the noise asks for */
  double weight;       /* of an agent */
  PetscInt at;         /* level that the agents are at */
  PetscInt written;    /* particles files so far */
} * MfgParticles;

/** The bandwidth, from the agents at the start where a rule gives it, and the kernels. */
PetscErrorCode MfgParticlesKernels(Mfg mfg);
