/* What the files of the walk share: state, records in flight, what happens at walls. */
#pragma once
#include "particles_private.h"
#include <halocline/random.h>
#include <halocline/walk.h>

enum { HC_NOT_EXITED = -2, HC_UNNUMBERED = -1 };

/** What a particle that cannot finish its step here has to do, and where. */
typedef enum {
  HC_FLIGHT_PREDICT, /* look up the drift at o + v, on the rank that has it */
  HC_FLIGHT_START,   /* begin to walk, where the step begins */
  HC_FLIGHT_ONWARD,  /* walk on from `cell` */
  HC_FLIGHT_LANDED,  /* stay at o */
} HcPhase;

/** A step under way: the particle is at o + s v after the share s of it; reflections and periodic faces change o and v. Words of
 * 8 bytes throughout, so that it travels as doubles. */
typedef struct {
  uint64_t id;
  double weight;
  int64_t phase, cell[3]; /* cell: where it is to be taken up */
  double o[3], v[3];
  double begin[3]; /* where the step began; while predicting, b dt at o */
  uint64_t doors;  /* exits beside the cell where the step began */
} HcFlight;
enum { HC_FLIGHT_LENGTH = sizeof(HcFlight) / sizeof(double) };

struct HcWalkState_ {
  PetscBool walls; /* are there faces inside the box that are not simply open? */
  HcField code;    /* what lies around each cell (walk_cells.c); NULL without walls */
  double scale;    /* of weights as whole multiples; 0 before the first step */
  /* of this step */
  uint32_t step;
  double dt, spread, touch;                               /* spread: sigma sqrt(dt); touch: 2/(sigma^2 dt), 0 without noise */
  int64_t number[HC_MAX_EXITS + 1], weight[HC_MAX_EXITS]; /* absorbed on this rank; the last number is of those without exit */
  uint64_t hash;                                          /* of the ids absorbed, as HcParticlesCheck() sums them */
  HcFlight *flight;
  PetscInt flights, flight_room;
};

/** Is the probability exp(-touch a b) of touching a face worth a random number? */
static inline int hc_may_touch(const struct HcWalkState_ *s, double a, double b) { return s->touch > 0 && s->touch * a * b < 40; }

/* walk_flights.c: steps one by one */
/** Note that the particle left through an exit. */
void hc_walk_absorb(HcWalk walk, int exit, uint64_t id, double weight);
/** The counts since the last call in one row for a sum over ranks; its length: flights, numbers, weights, hash. */
int hc_walk_gather(HcWalk walk, int64_t tally[]);
/** Enter the summed row: units[e] are the weights of the step as whole multiples, units[HC_MAX_EXITS] is the hash of those
 * absorbed. They are summed before they become doubles, so that these are rounded once a step. */
void hc_walk_add(HcWalk walk, HcParticles p, const int64_t tally[], int64_t units[]);
/** An error if the step from o by v is not finite or far too long. Not collective. */
PetscErrorCode hc_walk_check(HcWalk walk, uint64_t id, const double o[3], const double v[3]);
/** Walk on as far as this rank can. Then *gone is 0 and the end is in o, or 1: absorbed, or launched to another rank. */
PetscErrorCode hc_walk_advance(HcWalk walk, HcFlight *flight, int *gone);
/** Note a record in flight. */
PetscErrorCode hc_walk_launch(HcWalk walk, const HcFlight *flight);
/** Send and take up flights until none is left on any rank; tally[0] is how many there are now. Collective. */
PetscErrorCode hc_walk_land(HcWalk walk, HcParticles p, const HcProbe *next, int c0, int64_t tally[], int64_t units[]);

/* walk_block.c: steps in vectors */
typedef struct {
  double begin[3][HC_SCAN_BLOCK], end[3][HC_SCAN_BLOCK], v[3][HC_SCAN_BLOCK], b[3][HC_SCAN_BLOCK], drift[3][HC_SCAN_BLOCK];
  uint8_t rare[HC_SCAN_BLOCK], missing[HC_SCAN_BLOCK], gone[HC_SCAN_BLOCK];
} __attribute__((aligned(64))) HcWalkBlock;
/** Step particles begin .. begin+n-1 and note which leave. `next` is NULL for euler. */
PetscErrorCode hc_walk_block(
  HcWalk walk, HcParticles p, const HcProbe *now, const HcProbe *next, int c0, PetscInt begin, PetscInt n, HcWalkBlock *k);

/* walk_faces.c: boxes without walls inside */
/** The point x + v brought into the box at every face: wrapped, mirrored, or moved to the face that lets out. */
void hc_faces_place(HcGrid g, double x[3]);
/** Finish the step from o by v; the end is in x. @return HC_NOT_EXITED, or the exit (HC_UNNUMBERED: none) */
int hc_faces_finish(HcWalk walk, uint64_t id, const double o[3], const double v[3], double x[3]);

/* walk_cells.c: boxes with walls */
PetscErrorCode hc_cells_create(HcWalk walk);
/** Flag steps from `begin` to `end` that may meet something. */
void hc_cells_flag(HcWalk walk, PetscInt n, double *const begin[], double *const end[], uint8_t *flag);
typedef enum { HC_CELLS_LANDED, HC_CELLS_EXITED, HC_CELLS_AWAY } HcCellsResult;
/** Take up a flight (its cell is owned by this rank) from the beginning. */
void hc_cells_start(HcWalk walk, HcFlight *flight);
/** Walk on. Landed: the end is in o and cell; exited: through *exit; away: to be taken up at cell. */
HcCellsResult hc_cells_finish(HcWalk walk, HcFlight *flight, int *exit);
