/* A block of particles: noise, drift and new positions in vectors; what meets a face or a wall, one by one. */
#include "walk_private.h"
#include <string.h>

enum { N = HC_SCAN_BLOCK };

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

static void flight_of(HcParticles p, const HcWalkBlock *k, PetscInt begin, PetscInt q, HcFlight *flight) {
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
static PetscErrorCode predict(
  HcWalk walk, HcParticles p, const HcProbe *next, int c0, PetscInt begin, PetscInt n, HcWalkBlock *k) {
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
    PetscErrorCode bad = hc_walk_check(walk, flight.id, flight.o, flight.v);
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

static PetscErrorCode finish_rare(HcWalk walk, HcParticles p, PetscInt begin, PetscInt q, HcWalkBlock *k) {
  HcFlight flight;
  int gone;
  PetscFunctionBeginUser;
  flight_of(p, k, begin, q, &flight);
  PetscErrorCode bad = hc_walk_check(walk, flight.id, flight.o, flight.v);
  if (bad) {
    if (!p->migration->bad) p->migration->bad = bad;
    for (int d = 0; d < walk->grid->dim; ++d) k->end[d][q] = k->begin[d][q];
    PetscFunctionReturn(0);
  }
  PetscCall(hc_walk_advance(walk, &flight, &gone));
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

PetscErrorCode hc_walk_block(
  HcWalk walk, HcParticles p, const HcProbe *now, const HcProbe *next, int c0, PetscInt begin, PetscInt n, HcWalkBlock *k) {
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
