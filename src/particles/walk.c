/*
 * Steps of all particles: noise, drift and new positions in vectors of a block; what meets a face, a wall or the end of this
 * rank's fields one by one.
 */
#include "walk_private.h"
#include <stdlib.h>
#include <string.h>

enum { N = HC_SCAN_BLOCK, LONGEST = 1000 };

/* ---- set-up ---- */

static PetscErrorCode check_spec(HcGrid g, const HcWalkSpec *spec) {
  PetscFunctionBeginUser;
  PetscCheck(spec->sigma >= 0 && spec->sigma < INFINITY, g->comm, PETSC_ERR_ARG_OUTOFRANGE, "sigma = %g", spec->sigma);
  PetscCheck(spec->exits >= 0 && spec->exits <= HC_MAX_EXITS, g->comm, PETSC_ERR_ARG_OUTOFRANGE, "%d exits", spec->exits);
  for (int f = 0; f < 6 && spec->exits; ++f)
    PetscCheck(spec->face_exit[f] >= -1 && spec->face_exit[f] < spec->exits, g->comm, PETSC_ERR_ARG_OUTOFRANGE,
      "exit %d behind face %d of %d exits", spec->face_exit[f], f, spec->exits);
  PetscFunctionReturn(0);
}

PetscErrorCode HcWalkCreate(HcGrid grid, const HcWalkSpec *spec, HcWalk *walk) {
  HcWalk w;
  PetscFunctionBeginUser;
  *walk = NULL;
  PetscCall(check_spec(grid, spec));
  PetscCall(PetscNew(&w));
  PetscCall(PetscNew(&w->state));
  *walk = w;
  w->grid = grid;
  w->spec = *spec;
  w->exits = spec->exits ? spec->exits : 7;
  for (int f = 0; f < 6 && !spec->exits; ++f) w->spec.face_exit[f] = f;
  PetscCall(hc_cells_create(w));
  w->spec.exit_id = NULL; /* its numbers are in the codes now */
  PetscFunctionReturn(0);
}

PetscErrorCode HcWalkDestroy(HcWalk *walk) {
  PetscFunctionBeginUser;
  if (!*walk) PetscFunctionReturn(0);
  PetscCall(HcFieldDestroy(&(*walk)->state->code));
  free((*walk)->state->flight);
  PetscCall(PetscFree((*walk)->state));
  PetscCall(PetscFree(*walk));
  PetscFunctionReturn(0);
}

void HcWalkReset(HcWalk walk) {
  memset(walk->exited, 0, sizeof walk->exited);
  memset(walk->exited_weight, 0, sizeof walk->exited_weight);
  walk->flights = 0;
}

double HcWalkLargestStep(HcWalk walk) {
  HcGrid g = walk->grid;
  double h = INFINITY;
  int exits = walk->state->walls && walk->spec.plan->exits > 0;
  for (int d = 0; d < g->dim; ++d) {
    h = fmin(h, g->h[d]);
    exits = exits || (walk->state->walls && (g->boundary[2 * d] == HC_EXIT || g->boundary[2 * d + 1] == HC_EXIT));
  }
  if (!exits || !(walk->spec.sigma > 0)) return INFINITY;
  return pow(0.5 * h / walk->spec.sigma, 2);
}

PetscErrorCode HcWalkBlocked(HcWalk walk, HcParticles p, double *number) {
  HcFloorPlan plan = walk->spec.plan;
  HcGrid g = p->grid;
  double mine = 0;
  PetscFunctionBeginUser;
  for (PetscInt q = 0; q < p->n && plan; ++q) {
    PetscInt at = 0;
    for (int d = 0; d < g->dim; ++d) at += (HcGridCellOf(g, d, p->x[d][q]) - g->start[d]) * plan->region->stride[d];
    mine += plan->region->c[0][at] != HC_FREE;
  }
  PetscCallMPI(MPI_Allreduce(&mine, number, 1, MPI_DOUBLE, MPI_SUM, g->comm));
  PetscFunctionReturn(0);
}

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

/* Weights as whole multiples, so that their sums do not depend on the ranks. */
static PetscErrorCode choose_scale(HcWalk walk, HcParticles p) {
  struct HcWalkState_ *s = walk->state;
  double most = 0, count;
  PetscFunctionBeginUser;
  if (s->scale > 0) PetscFunctionReturn(0);
  PetscCall(HcParticlesCount(p, &count));
  for (PetscInt q = 0; q < p->n; ++q) most = fmax(most, fabs(p->weight[q]));
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_DOUBLE, MPI_MAX, p->grid->comm));
  if (most > 0) s->scale = hc_fixed_scale(most, count, 60);
  PetscFunctionReturn(0);
}

/* The counts of this step in one row for the reduction: flights, numbers, weights. */
static int gather_tally(HcWalk walk, int64_t tally[]) {
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

/* Units of weight of a step are summed before they become a double, which is rounded once a step. The last unit is the hash of
 * those absorbed. */
static void add_tally(HcWalk walk, HcParticles p, const int64_t tally[], int64_t units[]) {
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

static PetscErrorCode check_step(HcWalk walk, uint64_t id, const double o[3], const double v[3]) {
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

/* What becomes of a flight here: it lands (0), or it is gone: absorbed, or launched to another rank (1). Its end is in o. */
static PetscErrorCode advance(HcWalk walk, HcFlight *flight, int *gone) {
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

/* ---- blocks ---- */

typedef struct {
  double begin[3][N], end[3][N], v[3][N], b[3][N], drift[3][N];
  uint8_t rare[N], missing[N], gone[N];
} __attribute__((aligned(64))) Block;

static void flag_faces(
  HcWalk walk, int d, PetscInt n, const double *restrict o, const double *restrict x, uint8_t *restrict rare) {
  HcGrid g = walk->grid;
  const double lower = g->lower[d], upper = g->upper[d];
  const double last = g->boundary[2 * d] == HC_PERIODIC ? nextafter(upper, -INFINITY) : upper;
  const double near = walk->state->touch > 0 ? 40 / walk->state->touch : 0;
  /* the walk among walls looks for exits itself */
  const int watch = !walk->state->walls && near > 0 && (g->boundary[2 * d] == HC_EXIT || g->boundary[2 * d + 1] == HC_EXIT);
  if (!watch) {
    for (PetscInt q = 0; q < n; ++q) rare[q] |= !((x[q] >= lower) & (x[q] <= last));
    return;
  }
  const double below = g->boundary[2 * d] == HC_EXIT ? near : -1, above = g->boundary[2 * d + 1] == HC_EXIT ? near : -1;
  for (PetscInt q = 0; q < n; ++q)
    rare[q] |=
      !((x[q] >= lower) & (x[q] <= last)) | ((x[q] - lower) * (o[q] - lower) < below) | ((upper - x[q]) * (upper - o[q]) < above);
}

/* v = b dt + sigma dW and the end of the Euler step. */
static void euler(PetscInt n, double dt, double spread, const double *restrict x, double *restrict begin, double *restrict b,
  double *restrict v, double *restrict end) {
  for (PetscInt q = 0; q < n; ++q) {
    begin[q] = x[q];
    b[q] = b[q] * dt;
    v[q] = b[q] + spread * v[q];
    end[q] = x[q] + v[q];
  }
}

/* The step with the mean of both drifts. */
static void correct(PetscInt n, double dt, const double *restrict begin, const double *restrict b, const double *restrict next,
  double *restrict v, double *restrict end) {
  for (PetscInt q = 0; q < n; ++q) {
    v[q] += 0.5 * (next[q] * dt - b[q]);
    end[q] = begin[q] + v[q];
  }
}

static void flight_of(HcParticles p, const Block *k, PetscInt begin, PetscInt q, HcFlight *flight) {
  memset(flight, 0, sizeof *flight);
  flight->id = p->id[begin + q];
  flight->weight = p->weight[begin + q];
  flight->phase = HC_FLIGHT_START;
  for (int d = 0; d < p->grid->dim; ++d) {
    flight->o[d] = k->begin[d][q];
    flight->v[d] = k->v[d][q];
  }
}

/* The second drift, at the end of the Euler step. Particles whose end is not covered by this rank's fields fly there. */
static PetscErrorCode predict(HcWalk walk, HcParticles p, const HcProbe *next, int c0, PetscInt begin, PetscInt n, Block *k) {
  HcGrid g = walk->grid;
  const int dim = (int)g->dim;
  const double *x[3] = {k->end[0], k->end[1], k->end[2]};
  double *drift[3] = {k->drift[0], k->drift[1], k->drift[2]};
  HcFlight flight;
  PetscFunctionBeginUser;
  memset(k->rare, 0, sizeof k->rare);
  for (int d = 0; d < dim; ++d) {
    const double last = g->boundary[2 * d] == HC_PERIODIC ? nextafter(g->upper[d], -INFINITY) : g->upper[d];
    for (PetscInt q = 0; q < n; ++q) k->rare[q] |= !((k->end[d][q] >= g->lower[d]) & (k->end[d][q] <= last));
  }
  memset(k->missing, 0, sizeof k->missing);
  for (PetscInt q = 0; q < n; ++q) {
    if (!k->rare[q]) continue;
    flight_of(p, k, begin, q, &flight);
    PetscErrorCode bad = check_step(walk, flight.id, flight.o, flight.v);
    double e[3] = {k->end[0][q], k->end[1][q], k->end[2][q]};
    if (bad) {
      if (!p->migration->bad) p->migration->bad = bad;
      for (int d = 0; d < dim; ++d) e[d] = k->begin[d][q], k->v[d][q] = 0;
    } else
      hc_faces_place(g, e);
    for (int d = 0; d < dim; ++d) k->end[d][q] = e[d];
  }
  hc_probe_values(next, c0, dim, n, x, drift, k->missing);
  for (PetscInt q = 0; q < n; ++q) {
    if (!k->missing[q]) continue;
    flight_of(p, k, begin, q, &flight);
    flight.phase = HC_FLIGHT_PREDICT;
    for (int d = 0; d < dim; ++d) {
      flight.begin[d] = k->b[d][q];
      flight.cell[d] = HcGridCellOf(g, d, k->end[d][q]);
    }
    PetscCall(hc_walk_launch(walk, &flight));
    k->gone[q] = 1;
  }
  for (int d = 0; d < dim; ++d) correct(n, walk->state->dt, k->begin[d], k->b[d], k->drift[d], k->v[d], k->end[d]);
  PetscFunctionReturn(0);
}

static PetscErrorCode finish_rare(HcWalk walk, HcParticles p, PetscInt begin, PetscInt q, Block *k) {
  HcFlight flight;
  int gone;
  PetscFunctionBeginUser;
  flight_of(p, k, begin, q, &flight);
  PetscErrorCode bad = check_step(walk, flight.id, flight.o, flight.v);
  if (bad) {
    if (!p->migration->bad) p->migration->bad = bad;
    for (int d = 0; d < walk->grid->dim; ++d) k->end[d][q] = k->begin[d][q];
    PetscFunctionReturn(0);
  }
  PetscCall(advance(walk, &flight, &gone));
  k->gone[q] = (uint8_t)gone;
  for (int d = 0; d < walk->grid->dim; ++d) k->end[d][q] = gone ? k->begin[d][q] : flight.o[d];
  PetscFunctionReturn(0);
}

static int any(const uint8_t *flag) {
  uint64_t sum = 0, word;
  for (int q = 0; q < N; q += 8) {
    memcpy(&word, flag + q, 8);
    sum |= word;
  }
  return sum != 0;
}

static PetscErrorCode step_block(
  HcWalk walk, HcParticles p, const HcProbe *now, const HcProbe *next, int c0, PetscInt begin, PetscInt n, Block *k) {
  struct HcWalkState_ *s = walk->state;
  const int dim = (int)walk->grid->dim;
  double *v[3] = {k->v[0], k->v[1], k->v[2]}, *b[3] = {k->b[0], k->b[1], k->b[2]};
  double *from[3] = {k->begin[0], k->begin[1], k->begin[2]}, *to[3] = {k->end[0], k->end[1], k->end[2]};
  const double *x[3];
  PetscFunctionBeginUser;
  memset(k->gone, 0, sizeof k->gone);
  for (int d = 0; d < 3; ++d) x[d] = d < dim ? p->x[d] + begin : NULL;
  if (s->spread > 0) HcNormals(walk->spec.seed, s->step, HC_STREAM_NORMAL, dim, (size_t)n, p->id + begin, v);
  if (now) hc_probe_values(now, c0, dim, n, x, b, NULL);
  for (int d = 0; d < dim; ++d) {
    if (!(s->spread > 0)) memset(v[d], 0, sizeof k->v[d]);
    if (!now) memset(b[d], 0, sizeof k->b[d]);
    euler(n, s->dt, s->spread, x[d], from[d], b[d], v[d], to[d]);
  }
  if (next) PetscCall(predict(walk, p, next, c0, begin, n, k));
  memset(k->rare, 0, sizeof k->rare);
  for (int d = 0; d < dim; ++d) flag_faces(walk, d, n, from[d], to[d], k->rare);
  if (s->walls) hc_cells_flag(walk, n, from, to, k->rare);
  if (any(k->rare))
    for (PetscInt q = 0; q < n; ++q)
      if (k->rare[q] && !k->gone[q]) PetscCall(finish_rare(walk, p, begin, q, k));
  for (int d = 0; d < dim; ++d) memcpy(p->x[d] + begin, to[d], (size_t)n * sizeof(double));
  PetscCall(hc_migration_scan(p, begin, n, any(k->gone) ? k->gone : NULL));
  PetscFunctionReturn(0);
}

/* ---- flights ---- */

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
  PetscErrorCode bad = check_step(walk, flight->id, flight->o, flight->v);
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
  if (flight->phase != HC_FLIGHT_LANDED) PetscCall(advance(walk, flight, &gone));
  if (gone) PetscFunctionReturn(0);
  for (int d = 0; d < g->dim; ++d) flight->cell[d] = HcGridCellOf(g, d, flight->o[d]);
  flight->phase = HC_FLIGHT_LANDED;
  if (destination_of(g, flight) == g->rank)
    PetscCall(hc_particles_add(p, flight->o, flight->id, flight->weight));
  else
    PetscCall(hc_walk_launch(walk, flight));
  PetscFunctionReturn(0);
}

/* Until nothing is in flight on any rank. */
static PetscErrorCode land(HcWalk walk, HcParticles p, const HcProbe *next, int c0, int64_t tally[], int64_t units[]) {
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
    const int n = gather_tally(walk, tally);
    tally[n] = p->migration->bad != 0;
    PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, tally, n + 1, MPI_INT64_T, MPI_SUM, p->migration->comm));
    const PetscErrorCode bad = p->migration->bad;
    p->migration->bad = 0;
    if (tally[n]) PetscCall(HcAgree(p->migration->comm, bad));
    add_tally(walk, p, tally, units);
  }
  PetscFunctionReturn(0);
}

/* ---- the step ---- */

static PetscErrorCode check_drift(HcWalk walk, HcField f, int c0) {
  PetscFunctionBeginUser;
  if (!f) PetscFunctionReturn(0);
  PetscCheck(f->width >= HcInterpolationWidth(walk->spec.interpolation), walk->grid->comm, PETSC_ERR_ARG_WRONG,
    "%d ghost layers of the drift are too few", (int)f->width);
  PetscCheck(c0 + walk->grid->dim <= f->components, walk->grid->comm, PETSC_ERR_ARG_OUTOFRANGE, "the drift has %d components",
    f->components);
  PetscFunctionReturn(0);
}

PetscErrorCode HcWalkStep(HcWalk walk, HcParticles p, HcField drift, HcField next, int c0, uint32_t step, double dt) {
  struct HcWalkState_ *s = walk->state;
  int64_t tally[2 * HC_MAX_EXITS + 4], units[HC_MAX_EXITS + 1] = {0};
  HcProbe now = {0}, then = {0};
  const PetscBool twice = walk->spec.scheme == HC_WALK_WEAK2 && drift ? PETSC_TRUE : PETSC_FALSE;
  Block block;
  PetscFunctionBeginUser;
  PetscCall(check_drift(walk, drift, c0));
  PetscCall(check_drift(walk, next, c0));
  PetscCheck(dt > 0, walk->grid->comm, PETSC_ERR_ARG_OUTOFRANGE, "dt = %g", dt);
  PetscCall(choose_scale(walk, p));
#if defined(HC_DEBUG)
  PetscBool owned;
  uint64_t before, after;
  double number, left;
  PetscCall(HcParticlesCheck(p, &owned, &before));
  PetscCheck(owned, p->grid->comm, PETSC_ERR_ARG_WRONGSTATE, "particles that are not with their owner: migrate first");
  PetscCall(HcParticlesCount(p, &number));
  number += p->absorbed;
#endif
  if (drift) now = hc_probe(drift, walk->spec.interpolation);
  if (twice) then = hc_probe(next ? next : drift, walk->spec.interpolation);
  s->step = step;
  s->dt = dt;
  s->spread = walk->spec.sigma * sqrt(dt);
  s->touch = s->spread > 0 ? 2 / (s->spread * s->spread) : 0;
  s->flights = 0;
  for (PetscInt q = 0; q < p->n; q += N)
    PetscCall(step_block(walk, p, drift ? &now : NULL, twice ? &then : NULL, c0, q, PetscMin(N, p->n - q), &block));
  const int n = gather_tally(walk, tally);
  PetscCall(hc_migration_send(p, n, tally));
  add_tally(walk, p, tally, units);
  PetscCall(land(walk, p, twice ? &then : NULL, c0, tally, units));
  for (int e = 0; e < walk->exits; ++e)
    if (s->scale > 0) walk->exited_weight[e] += (double)units[e] / s->scale;
#if defined(HC_DEBUG)
  PetscCall(HcParticlesCheck(p, &owned, &after));
  PetscCall(HcParticlesCount(p, &left));
  PetscCheck(owned && before == after + (uint64_t)units[HC_MAX_EXITS] && number == left + p->absorbed, p->grid->comm,
    PETSC_ERR_PLIB, "particles lost or doubled: %.0f of %.0f", left + p->absorbed, number);
#endif
  PetscFunctionReturn(0);
}

/* ---- checkpoints ---- */

PetscErrorCode HcCheckpointPutWalk(HcCheckpoint ck, const char *name, HcWalk walk) {
  double v[2 * HC_MAX_EXITS + 2];
  int k = 0;
  PetscFunctionBeginUser;
  v[k++] = walk->state->scale;
  v[k++] = walk->flights;
  for (int e = 0; e < walk->exits; ++e) v[k++] = walk->exited[e];
  for (int e = 0; e < walk->exits; ++e) v[k++] = walk->exited_weight[e];
  PetscCall(HcCheckpointPutReals(ck, name, k, v));
  PetscFunctionReturn(0);
}

PetscErrorCode HcCheckpointGetWalk(HcCheckpoint ck, const char *name, HcWalk walk) {
  double v[2 * HC_MAX_EXITS + 2];
  int k = 0;
  PetscFunctionBeginUser;
  PetscCall(HcCheckpointGetReals(ck, name, 2 + 2 * walk->exits, v));
  walk->state->scale = v[k++];
  walk->flights = v[k++];
  for (int e = 0; e < walk->exits; ++e) walk->exited[e] = v[k++];
  for (int e = 0; e < walk->exits; ++e) walk->exited_weight[e] = v[k++];
  PetscFunctionReturn(0);
}
