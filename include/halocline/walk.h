/*
 * Walks: particles that follow dX = b(t,X) dt + sigma dW between walls.
 *
 * Schemes, both with one normal deviate a direction and step (constant sigma):
 *   euler  X1 = X + b(t,X) dt + sigma dW                                       weak order 1
 *   weak2  P = X + b(t,X) dt + sigma dW,
 *          X1 = X + (b(t,X) + b(t+dt,P)) dt/2 + sigma dW                       weak order 2 for smooth b, away from walls
 *          (Kloeden & Platen 1992, section 15.1: the explicit scheme for additive noise, in Heun's form)
 *
 * Faces of the domain: reflecting and symmetry reflect the step, as often as it takes; periodic wrap; exit absorbs, also
 * when the Brownian bridge between the ends of the step touches the face (probability exp(-2ab/(sigma^2 dt)) for distances a, b);
 * outflow and given let go those that end a step beyond the face (there is no wall to touch). Of several faces the one
 * met first takes the particle.
 * Floor plans: the straight step is followed from cell to cell through the faces' openness, reflected at closed ones and absorbed
 * at those of doors: no step, however long, passes a wall. The bridge counts for the doors beside the cells in which a
 * step begins and ends, so sigma sqrt(dt) should not be larger than about half a cell at doors.
 *
 * Paths are the same bits on any number of ranks: whatever lies on other ranks (walls along a long step, the drift at P) is asked
 * where it is, by records in flight; that needs no message unless such a record exists.
 */
#pragma once
#include "particles.h"

typedef enum { HC_WALK_EULER, HC_WALK_WEAK2 } HcWalkScheme;

#define HC_MAX_EXITS 64

/** How particles walk. Zero is: no noise, euler, linear, no plan. */
typedef struct {
  double sigma;
  HcWalkScheme scheme;
  HcInterpolation interpolation;
  uint64_t seed;
  HcFloorPlan plan; /* NULL: no walls inside. Borrowed */
  int exits;        /* numbers of exits; 0: 7 exits are numbered by default, 0..5 the faces, 6 all doors */
  HcField exit_id;  /* component 0 is the exit's number in door cells; owned values are read at creation; may be NULL: 0 */
  int face_exit[6]; /* the number of the exit behind a face that lets particles out (exit, outflow, given); read if exits > 0.
                       -1: not numbered, counted in `absorbed` only */
} HcWalkSpec;

typedef struct HcWalk_ {
  HcGrid grid;
  HcWalkSpec spec;
  int exits;
  double exited[HC_MAX_EXITS];        /* particles absorbed by each exit so far, on all ranks (whole numbers) */
  double exited_weight[HC_MAX_EXITS]; /* their weight, the same bits on any number of ranks */
  double flights;                     /* records in flight so far, all ranks: how often steps asked other ranks */
  struct HcWalkState_ *state;         /* private */
} * HcWalk;

/** Collective. Keeps a reference to spec's plan and copies what it needs of it. */
PetscErrorCode HcWalkCreate(HcGrid grid, const HcWalkSpec *spec, HcWalk *walk);
/** Free everything and set the handle to NULL; NULL is allowed. */
PetscErrorCode HcWalkDestroy(HcWalk *walk);

/** Move all particles by one step of length dt, absorb, migrate; they are owned afterwards.
 * @param drift components c0 .. c0+dim-1 are b(t, .) at cell centres; ghosts exchanged (HC_BOX) over the whole width of the
 * field, and filled beyond domain faces over HcInterpolationWidth() layers at least. NULL: b = 0. weak2 asks other ranks less
 * often when the width covers a step. In walls the field should continue that of the cells beside them, for it is interpolated
 * @param next  the same at t + dt for weak2; NULL: that of `drift`
 * @param step  number of the step: keys the noise, so equal numbers give equal noise
 * Not finite drift or position, or a step longer than 1000 times the box: HC_EXIT_FAILED. Collective. */
PetscErrorCode HcWalkStep(HcWalk walk, HcParticles p, HcField drift, HcField next, int c0, uint32_t step, double dt);

/** Set the counts to zero, for another sweep with the same walls. Not collective. */
void HcWalkReset(HcWalk walk);
/** The largest dt for which bridges to doors are exact but for exp(-8): sigma sqrt(dt) is half the smallest cell's width.
 * INFINITY without a plan that has walls or doors, without exits, or without noise. */
double HcWalkLargestStep(HcWalk walk);

/** How many particles are in walls or doors of the plan (to be refused as input). Collective. */
PetscErrorCode HcWalkBlocked(HcWalk walk, HcParticles p, double *number);

/** Save and load the counts (not the particles). */
PetscErrorCode HcCheckpointPutWalk(HcCheckpoint ck, const char *name, HcWalk walk);
/** Read what HcCheckpointPutWalk stored. Collective. */
PetscErrorCode HcCheckpointGetWalk(HcCheckpoint ck, const char *name, HcWalk walk);
