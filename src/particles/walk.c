/* Walks: set-up, the step of all particles, checkpoints. */
#include "walk_private.h"
#include <stdlib.h>
#include <string.h>

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

/* ---- the step ---- */

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
  HcWalkBlock block;
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
  for (PetscInt q = 0; q < p->n; q += HC_SCAN_BLOCK)
    PetscCall(
      hc_walk_block(walk, p, drift ? &now : NULL, twice ? &then : NULL, c0, q, PetscMin(HC_SCAN_BLOCK, p->n - q), &block));
  const int n = hc_walk_gather(walk, tally);
  PetscCall(hc_migration_send(p, n, tally));
  hc_walk_add(walk, p, tally, units);
  PetscCall(hc_walk_land(walk, p, twice ? &then : NULL, c0, tally, units));
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
