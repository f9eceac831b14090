/* What the files of src/particles/ share. */
#pragma once
#include <halocline/particles.h>

enum { HC_SCAN_BLOCK = 256 };

/** State of migration: who is leaving, and buffers that are kept. */
typedef struct HcMigration_ {
  MPI_Comm comm;
  double lo[3], hi[3];                     /* this rank owns lo <= x < hi */
  int neighbours, neighbour[26], slot[27]; /* distinct ranks beside this one; place in neighbour[] of each offset, -1: none */
  PetscInt leavers, leaver_room;
  PetscInt *leaver; /* ascending */
  int *destination; /* its new rank; -1: it is only taken out */
  double *send, *receive;
  size_t send_room, receive_room; /* in doubles */
  int round;                      /* of exchanges between any ranks */
  PetscErrorCode bad;             /* this rank's error */
} * HcMigration;

/** Doubles of a particle in a message: position, id, weight. */
static inline int hc_record_length(HcGrid g) { return (int)g->dim + 2; }

PetscErrorCode hc_migration_create(HcGrid grid, HcMigration *m);
PetscErrorCode hc_migration_destroy(HcMigration *m);

/** Note which of particles begin .. begin+n-1 (n <= HC_SCAN_BLOCK) leave, after those noted before; blocks ascend. Positions are
 * wrapped at periodic faces.
 * @param gone if not NULL: gone[q] nonzero takes particle begin+q out for good */
PetscErrorCode hc_migration_scan(HcParticles p, PetscInt begin, PetscInt n, const uint8_t *gone);

/** Take out and send those noted; receive. tally[0..n-1] are summed over all ranks on the way. Collective. */
PetscErrorCode hc_migration_send(HcParticles p, int n, int64_t tally[]);

/** Send records of `length` doubles to any ranks (own one too): record r, at records + r*length, to destination[r]. What arrives
 * is in *received (PetscFree). No message but to those that get something. Collective. */
PetscErrorCode hc_sparse_exchange(
  HcMigration m, int length, PetscInt n, const int *destination, const double *records, PetscInt *arrived, double **received);

/** Add a particle; the set grows if need be. */
PetscErrorCode hc_particles_add(HcParticles p, const double x[3], uint64_t id, double weight);

/** The periodic image in [lower, upper). */
static inline double hc_wrap(double x, double lower, double upper) {
  if (x >= lower && x < upper) return x;
  const double length = upper - lower;
  x -= length * floor((x - lower) / length);
  return x >= upper || x < lower ? lower : x;
}

/** Finaliser of splitmix64 (Steele, Lea & Flood 2014). */
static inline uint64_t hc_hash(uint64_t z) {
  z += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/** The least double in [lower, upper] whose HcGridCellOf() in direction d is `cell` or above. */
double hc_cell_edge(HcGrid g, int d, PetscInt cell);

/** x, or if rounding has put it on another cell's side, the nearest position that is the cell's by the rule of ownership. */
static inline double hc_into_cell(HcGrid g, int d, PetscInt cell, double x) {
  const PetscInt now = HcGridCellOf(g, d, x);
  if (now > cell) return nextafter(hc_cell_edge(g, d, cell + 1), -INFINITY);
  return now < cell ? hc_cell_edge(g, d, cell) : x;
}

/** A field to be interpolated at positions. */
typedef struct {
  HcField f;
  HcInterpolation rule;
  double lower[3], per_h[3];
} HcProbe;

static inline HcProbe hc_probe(HcField f, HcInterpolation rule) {
  HcProbe p = {.f = f, .rule = rule};
  for (int d = 0; d < 3; ++d) p.lower[d] = f->grid->lower[d], p.per_h[d] = 1. / f->grid->h[d];
  return p;
}

/** out[k][q] = component c0+k at x[.][q], k < nc, q < n <= HC_SCAN_BLOCK. The value depends on the position alone, not on the
 * rank that computes it.
 * @param missing NULL: all positions are in the block; else missing[q] = 1 where the field is not at hand on this rank */
void hc_probe_values(
  const HcProbe *p, int c0, int nc, PetscInt n, const double *const x[], double *const out[], uint8_t *missing);

/** The power of two by which values up to `most` are multiplied so that whole multiples sum below 2^bits for `count` of them. */
static inline double hc_fixed_scale(double most, double count, int bits) {
  int e;
  (void)frexp(most * fmax(count, 1), &e);
  return ldexp(1, bits - 1 - e);
}
