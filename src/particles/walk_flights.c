/* Steps one by one, those that other ranks take up among them, and the accounts of what is absorbed. */
#include "walk_private.h"
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 1000 }; /* boxes that a step may be long */

/* ---- accounts ---- */

void hc_walk_absorb(HcWalk walk, int exit, uint64_t id, double weight) {
  struct HcWalkState_ *s = walk->state;
  s->hash += hc_hash(id);
  if (exit < 0) {
    ++s->number[HC_MAX_EXITS];
    return;
  }
  ++s->number[exit];
  s->weight[exit] += (int64_t)rint(weight * s->scale);
}

int hc_walk_gather(HcWalk walk, int64_t tally[]) {
  struct HcWalkState_ *s = walk->state;
  int k = 0;
  tally[k++] = s->flights;
  tally[k++] = s->number[HC_MAX_EXITS];
  for (int e = 0; e < walk->exits; ++e) tally[k++] = s->number[e];
  for (int e = 0; e < walk->exits; ++e) tally[k++] = s->weight[e];
  tally[k++] = (int64_t)s->hash;
  s->hash = 0;
  memset(s->number, 0, sizeof s->number);
  memset(s->weight, 0, sizeof s->weight);
  return k;
}

void hc_walk_add(HcWalk walk, HcParticles p, const int64_t tally[], int64_t units[]) {
  const int exits = walk->exits;
  walk->flights += (double)tally[0];
  p->absorbed += (double)tally[1];
  for (int e = 0; e < exits; ++e) {
    walk->exited[e] += (double)tally[2 + e];
    p->absorbed += (double)tally[2 + e];
    units[e] += tally[2 + exits + e];
  }
  units[HC_MAX_EXITS] = (int64_t)((uint64_t)units[HC_MAX_EXITS] + (uint64_t)tally[2 + 2 * exits]);
}

/* ---- one by one ---- */

PetscErrorCode hc_walk_check(HcWalk walk, uint64_t id, const double o[3], const double v[3]) {
  HcGrid g = walk->grid;
  for (int d = 0; d < g->dim; ++d) {
    if (!isfinite(o[d] + v[d]))
      return HcFail(
        HC_EXIT_FAILED, "the step of particle %llu at %c = %.6g is not finite: %g", (unsigned long long)id, "xyz"[d], o[d], v[d]);
    if (fabs(v[d]) > LONGEST * (g->upper[d] - g->lower[d]))
      return HcFail(HC_EXIT_FAILED,
        "the step %g of particle %llu in direction %c is more than %d times the box; take a smaller dt", v[d],
        (unsigned long long)id, "xyz"[d], LONGEST);
  }
  return 0;
}

PetscErrorCode hc_walk_advance(HcWalk walk, HcFlight *flight, int *gone) {
  int exit = HC_NOT_EXITED;
  PetscFunctionBeginUser;
  *gone = 1;
  if (walk->state->walls) {
    if (flight->phase == HC_FLIGHT_START) hc_cells_start(walk, flight);
    if (hc_cells_finish(walk, flight, &exit) == HC_CELLS_AWAY) {
      PetscCall(hc_walk_launch(walk, flight));
      PetscFunctionReturn(0);
    }
  } else {
    double x[3];
    exit = hc_faces_finish(walk, flight->id, flight->o, flight->v, x);
    for (int d = 0; d < walk->grid->dim; ++d) flight->o[d] = x[d];
  }
  if (exit != HC_NOT_EXITED)
    hc_walk_absorb(walk, exit, flight->id, flight->weight);
  else
    *gone = 0;
  PetscFunctionReturn(0);
}

/* ---- flights ---- */

PetscErrorCode hc_walk_launch(HcWalk walk, const HcFlight *flight) {
  struct HcWalkState_ *s = walk->state;
  PetscFunctionBeginUser;
  if (s->flights == s->flight_room) {
    const PetscInt room = 2 * s->flight_room + 64;
    HcFlight *more = realloc(s->flight, sizeof *more * (size_t)room);
    HcRequire(more, HC_EXIT_FAILED, "this rank cannot get %.1f MB to send particles", (double)room * sizeof *more / 1e6);
    s->flight = more;
    s->flight_room = room;
  }
  s->flight[s->flights++] = *flight;
  PetscFunctionReturn(0);
}

static int destination_of(HcGrid g, const HcFlight *flight) {
  const PetscInt cell[3] = {(PetscInt)flight->cell[0], (PetscInt)flight->cell[1], (PetscInt)flight->cell[2]};
  return HcGridOwner(g, cell);
}

static PetscErrorCode look_up(HcWalk walk, HcParticles p, const HcProbe *next, int c0, HcFlight *flight) {
  HcGrid g = walk->grid;
  double e[3] = {0, 0, 0}, drift[3];
  PetscFunctionBeginUser;
  for (int d = 0; d < g->dim; ++d) e[d] = flight->o[d] + flight->v[d];
  hc_faces_place(g, e);
  hc_probe_values(
    next, c0, (int)g->dim, 1, (const double *[]){&e[0], &e[1], &e[2]}, (double *[]){&drift[0], &drift[1], &drift[2]}, NULL);
  for (int d = 0; d < g->dim; ++d) {
    flight->v[d] += 0.5 * (drift[d] * walk->state->dt - flight->begin[d]);
    flight->cell[d] = HcGridCellOf(g, d, flight->o[d]);
  }
  flight->phase = HC_FLIGHT_START;
  PetscErrorCode bad = hc_walk_check(walk, flight->id, flight->o, flight->v);
  if (bad) {
    if (!p->migration->bad) p->migration->bad = bad;
    flight->phase = HC_FLIGHT_LANDED;
  }
  PetscFunctionReturn(0);
}

/* Take up what has arrived: look up, walk, land. */
static PetscErrorCode take_up(HcWalk walk, HcParticles p, const HcProbe *next, int c0, HcFlight *flight) {
  HcGrid g = walk->grid;
  int gone = 0;
  PetscFunctionBeginUser;
  if (flight->phase == HC_FLIGHT_PREDICT) {
    PetscCall(look_up(walk, p, next, c0, flight));
    if (flight->phase == HC_FLIGHT_START && walk->state->walls && destination_of(g, flight) != g->rank) {
      PetscCall(hc_walk_launch(walk, flight));
      PetscFunctionReturn(0);
    }
  }
  if (flight->phase != HC_FLIGHT_LANDED) PetscCall(hc_walk_advance(walk, flight, &gone));
  if (gone) PetscFunctionReturn(0);
  for (int d = 0; d < g->dim; ++d) flight->cell[d] = HcGridCellOf(g, d, flight->o[d]);
  flight->phase = HC_FLIGHT_LANDED;
  if (destination_of(g, flight) == g->rank)
    PetscCall(hc_particles_add(p, flight->o, flight->id, flight->weight));
  else
    PetscCall(hc_walk_launch(walk, flight));
  PetscFunctionReturn(0);
}

PetscErrorCode hc_walk_land(HcWalk walk, HcParticles p, const HcProbe *next, int c0, int64_t tally[], int64_t units[]) {
  struct HcWalkState_ *s = walk->state;
  HcGrid g = walk->grid;
  PetscFunctionBeginUser;
  while (tally[0] > 0) {
    int *destination;
    double *received;
    PetscInt arrived;
    PetscCall(PetscMalloc1(s->flights, &destination));
    for (PetscInt r = 0; r < s->flights; ++r) destination[r] = destination_of(g, &s->flight[r]);
    PetscCall(hc_sparse_exchange(
      p->migration, HC_FLIGHT_LENGTH, s->flights, destination, (const double *)s->flight, &arrived, &received));
    PetscCall(PetscFree(destination));
    s->flights = 0;
    for (PetscInt r = 0; r < arrived; ++r) {
      HcFlight flight;
      memcpy(&flight, received + r * HC_FLIGHT_LENGTH, sizeof flight);
      PetscCall(take_up(walk, p, next, c0, &flight));
    }
    PetscCall(PetscFree(received));
    const int n = hc_walk_gather(walk, tally);
    tally[n] = p->migration->bad != 0;
    PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, tally, n + 1, MPI_INT64_T, MPI_SUM, p->migration->comm));
    const PetscErrorCode bad = p->migration->bad;
    p->migration->bad = 0;
    if (tally[n]) PetscCall(HcAgree(p->migration->comm, bad));
    hc_walk_add(walk, p, tally, units);
  }
  PetscFunctionReturn(0);
}
