/*
 * Fokker-Planck by particles: walks between levels, exits' accounts, density by kernels. Options and files: particles_io.c.
 *
 * Drift between levels: euler takes that of the interval's first level, as the implicit grid scheme does; weak2 goes linearly
 * from the first to the last. A level is walked in substeps, a power of two, so that no drift step is longer than a cell and,
 * where there are walls or doors, the noise has a standard deviation of at most half a cell.
 */
#include "particles_private.h"

/* ---- drift ------------------------------------------------------------------------------------------------------ */

/* Interpolation beside walls and doors reads cells that have no drift. They take the mean of their free neighbours behind
 * faces, else behind edges and corners, so that agents neither slow down along walls nor in front of doors. */
static void extend_drift(MfgParticles s, HcField b) {
  HcGrid g = b->grid;
  const PetscInt wy = g->dim > 1, wz = g->dim > 2;

  for (PetscInt q = 0; q < s->nblocked; q++)
    for (int c = 0; c < g->dim; c++) {
      double sum[2] = {0}, n[2] = {0};
      for (PetscInt dz = -wz; dz <= wz; dz++)
        for (PetscInt dy = -wy; dy <= wy; dy++)
          for (PetscInt dx = -1; dx <= 1; dx++) {
            const ptrdiff_t at = s->blocked[q] + dx + dy * b->stride[1] + dz * b->stride[2];
            const int far = PetscAbsInt(dx) + PetscAbsInt(dy) + PetscAbsInt(dz) > 1;
            if (s->free->c[0][at] == 0) continue;
            sum[far] += b->c[c][at];
            n[far] += 1;
          }
      b->c[c][s->blocked[q]] = n[0] > 0 ? sum[0] / n[0] : n[1] > 0 ? sum[1] / n[1] : 0;
    }
}

/* The drift of a level with its ghosts: mirrored at reflecting faces, where its normal part vanishes. */
static PetscErrorCode load_drift(Mfg mfg, MfgParticles s, PetscInt level, HcField b) {
  HcGrid g = mfg->grid;

  PetscFunctionBeginUser;
  PetscCall(mfg->scheme->drift(mfg, level, b));
  if (s->inside) {
    PetscCall(HcFieldExchange(b, HC_BOX));
    extend_drift(s, b);
  }
  PetscCall(HcFieldExchange(b, HC_BOX));
  for (int c = 0; c < g->dim; c++) {
    HcFill rule[6];
    for (int f = 0; f < 6; f++) {
      const HcBoundary kind = g->boundary[f];
      rule[f] = f >= 2 * g->dim || kind == HC_PERIODIC ? HC_FILL_NONE
                : kind == HC_GIVEN                     ? HC_FILL_LINEAR
                : kind != HC_EXIT && f / 2 == c        ? HC_FILL_ODD
                                                       : HC_FILL_COPY;
    }
    PetscCall(HcFieldFillBoundary(b, c, 1, rule, NULL));
  }
  PetscFunctionReturn(0);
}

/* Most cells that the drift crosses in a unit of time, in any direction, on all ranks. */
static PetscErrorCode fastest(MfgParticles s, HcField b, double *rate) {
  HcGrid g = b->grid;
  double most = 0;

  PetscFunctionBeginUser;
  for (int d = 0; d < g->dim; d++)
    for (PetscInt k = 0; k < g->n[2]; k++)
      for (PetscInt j = 0; j < g->n[1]; j++)
        for (PetscInt i = 0; i < g->n[0]; i++) {
          const PetscInt at = i + j * b->stride[1] + k * b->stride[2];
          const double v = s->free->c[0][at] * PetscAbsReal(b->c[d][at]) / g->h[d];
          if (!(v <= most)) most = v; /* a NaN shows */
        }
  PetscCallMPI(MPI_Allreduce(&most, rate, 1, MPI_DOUBLE, MPI_MAX, g->comm));
  PetscFunctionReturn(0);
}

/* w = a + part (b - a), ghosts too. */
static void blend(HcField a, HcField b, double part, HcField w) {
  HcGrid g = a->grid;
  const PetscInt wy = g->dim > 1, wz = g->dim > 2;

  for (int c = 0; c < g->dim; c++)
    for (PetscInt k = -wz; k < g->n[2] + wz; k++)
      for (PetscInt j = -wy; j < g->n[1] + wy; j++) {
        const ptrdiff_t o = j * a->stride[1] + k * a->stride[2];
        const double *restrict x = a->c[c] + o, *restrict y = b->c[c] + o;
        double *restrict z = w->c[c] + o;
        for (PetscInt i = -1; i <= g->n[0]; i++) z[i] = x[i] + part * (y[i] - x[i]);
      }
}

/* ---- walks ------------------------------------------------------------------------------------------------------ */

/* Everyone back to where m0 puts them. */
static PetscErrorCode start(Mfg mfg, MfgParticles s) {
  double mass;

  PetscFunctionBeginUser;
  s->agents->n = 0;
  s->agents->absorbed = 0;
  PetscCall(PetscArrayzero(s->walk->exited, HC_MAX_EXITS));
  PetscCall(PetscArrayzero(s->walk->exited_weight, HC_MAX_EXITS));
  HcFieldFromArray(s->m, 0, mfg->m);
  PetscCall(MfgIntegral(mfg, mfg->m, &mass));
  PetscCall(HcParticlesSample(s->agents, s->m, 0, (double)s->number, mass, 0, (uint64_t)s->seed));
  s->weight = mass / (double)s->number;
  s->at = 0;
  PetscFunctionReturn(0);
}

/* Substeps of an interval. A number once chosen is kept until it is too small, or four times too large: different numbers mean
 * different noise, which must not change back and forth while the coupling converges. */
static PetscErrorCode choose_parts(Mfg mfg, MfgParticles s, PetscInt l, double rate) {
  const double cells = PetscMax(rate * mfg->dt, s->noise_parts);
  PetscInt need = 1;

  PetscFunctionBeginUser;
  HcRequire(rate < PETSC_INFINITY, HC_EXIT_FAILED, "the drift is not a number at time %g", mfg->dt * (double)l);
  while ((double)need < cells && need < s->most_parts) need *= 2;
  HcRequire((double)need >= cells, HC_EXIT_FAILED,
    "agents cross %.3g cells between two time levels at time %g; more than %lld substeps are not taken: use more time_steps",
    cells, mfg->dt * (double)l, (long long)s->most_parts);
  if (need > s->parts[l] || 4 * need <= s->parts[l]) s->parts[l] = need;
  PetscFunctionReturn(0);
}

/* Walk from level l to the next. On entry s->b[0] holds the drift of level l, and for weak2 after the first interval s->b[1] that
 * too; `choose` the number of substeps or take the last one. */
static PetscErrorCode walk_interval(Mfg mfg, MfgParticles s, PetscInt l, PetscBool choose) {
  const PetscBool twice = s->scheme == HC_WALK_WEAK2 ? PETSC_TRUE : PETSC_FALSE;
  double rate, after = 0;

  PetscFunctionBeginUser;
  if (!twice || l == 0) PetscCall(load_drift(mfg, s, l, s->b[0]));
  if (twice && l > 0) {
    HcField swap = s->b[0];
    s->b[0] = s->b[1];
    s->b[1] = swap;
  }
  /* at the horizon u jumps at exits from the terminal to the exit cost: the drift there is that of the level before */
  if (twice) PetscCall(load_drift(mfg, s, mfg->exits > 0 ? PetscMin(l + 1, mfg->steps - 1) : l + 1, s->b[1]));
  if (choose) {
    PetscCall(fastest(s, s->b[0], &rate));
    if (twice) PetscCall(fastest(s, s->b[1], &after));
    PetscCall(choose_parts(mfg, s, l, PetscMax(rate, after)));
  }
  const PetscInt parts = s->parts[l];
  const double dt = mfg->dt / (double)parts;
  for (PetscInt q = 0; q < parts && s->agents->absorbed < (double)s->number; q++) {
    HcField from = s->b[0], to = twice ? s->b[1] : NULL;
    if (twice && parts > 1) {
      blend(s->b[0], s->b[1], (double)q / (double)parts, s->b[2]);
      blend(s->b[0], s->b[1], (double)(q + 1) / (double)parts, s->b[3]);
      from = s->b[2];
      to = s->b[3];
    }
    PetscCall(HcWalkStep(s->walk, s->agents, from, to, 0, (uint32_t)(l * s->most_parts + q), dt));
  }
  s->at = l + 1;
  PetscFunctionReturn(0);
}

PetscErrorCode MfgParticlesFp(Mfg mfg) {
  MfgParticles s = mfg->particles;
  double before[HC_MAX_EXITS] = {0}, amount[MFG_MAX_EXITS];

  PetscFunctionBeginUser;
  PetscCall(start(mfg, s));
  for (PetscInt l = 0; l < mfg->steps; l++) {
    PetscCall(walk_interval(mfg, s, l, PETSC_TRUE));
    PetscCall(HcKdeEvaluate(s->kde, s->agents->n, s->agents->x, s->agents->weight, s->m, 0));
    HcFieldToArray(s->m, 0, MfgLevel(mfg, mfg->m, l + 1));
    for (PetscInt e = 0; e < mfg->exits; e++) amount[e] = s->walk->exited_weight[e] - before[e];
    MfgAccountExits(mfg, l + 1, amount);
    mfg->gained_level[l + 1] = -s->walk->exited_weight[mfg->exits];
    PetscCall(PetscArraycpy(before, s->walk->exited_weight, HC_MAX_EXITS));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode MfgParticlesWrite(Mfg mfg, double t) {
  MfgParticles s = mfg->particles;
  const PetscInt level = PetscMin(PetscMax((PetscInt)floor(t / mfg->dt + 0.5), 0), mfg->steps);

  PetscFunctionBeginUser;
  if (!s->write) PetscFunctionReturn(0);
  if (s->written == 0) PetscCall(start(mfg, s));
  while (s->at < level) PetscCall(walk_interval(mfg, s, s->at, PETSC_FALSE));
  PetscCall(HcParticlesWrite(HcRunDir(mfg->run), s->agents, s->written++, mfg->iterations, mfg->dt * (double)level, s->sample));
  PetscFunctionReturn(0);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

/* 1 in free cells, the cells without drift that have a free neighbour, and whether walls are inside the box. */
static PetscErrorCode survey_cells(Mfg mfg, MfgParticles s) {
  HcGrid g = mfg->grid;
  HcField region = mfg->plan->region, open = mfg->plan->open, f;
  const PetscInt wy = g->dim > 1, wz = g->dim > 2;
  PetscInt n = 0;

  PetscFunctionBeginUser;
  PetscCall(HcFieldCreate(g, 1, 1, &s->free));
  f = s->free;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++)
      for (PetscInt i = 0; i < g->n[0]; i++) {
        const PetscInt local[3] = {i, j, k}, at = i + j * region->stride[1] + k * region->stride[2];
        f->c[0][i + j * f->stride[1] + k * f->stride[2]] = region->c[0][at] == HC_FREE;
        if (region->c[0][at] != HC_FREE) s->inside = PETSC_TRUE, n++;
        for (int d = 0; d < g->dim; d++) {
          const PetscBool edge = local[d] == 0 && HcGridAtEdge(g, 2 * d) && g->boundary[2 * d] != HC_PERIODIC;
          if (!edge && open->c[d][at] != 1) s->inside = PETSC_TRUE;
        }
      }
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &s->inside, 1, MPIU_BOOL, MPI_LOR, g->comm));
  if (!s->inside) PetscFunctionReturn(0);
  PetscCall(HcFieldExchange(f, HC_BOX));
  PetscCall(PetscMalloc1(n, &s->blocked));
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++)
      for (PetscInt i = 0; i < g->n[0]; i++) {
        const ptrdiff_t at = i + j * f->stride[1] + k * f->stride[2];
        double near = 0;
        for (PetscInt dz = -wz; dz <= wz; dz++)
          for (PetscInt dy = -wy; dy <= wy; dy++)
            for (PetscInt dx = -1; dx <= 1; dx++) near += f->c[0][at + dx + dy * f->stride[1] + dz * f->stride[2]];
        if (f->c[0][at] == 0 && near > 0) s->blocked[s->nblocked++] = at;
      }
  PetscFunctionReturn(0);
}

static PetscErrorCode create_walk(Mfg mfg, MfgParticles s) {
  HcGrid g = mfg->grid;
  HcWalkSpec spec = {.sigma = mfg->sigma,
    .scheme = s->scheme,
    .interpolation = HC_LINEAR,
    .seed = (uint64_t)s->seed,
    .plan = mfg->plan,
    .exits = (int)mfg->exits + 1, /* the last is behind `given` faces */
    .exit_id = mfg->exit_id};
  double h = PETSC_INFINITY;

  PetscFunctionBeginUser;
  for (int f = 0; f < 6; f++)
    spec.face_exit[f] = f < 2 * g->dim && g->boundary[f] == HC_GIVEN ? (int)mfg->exits : mfg->face_exit[f];
  PetscCall(HcWalkCreate(g, &spec, &s->walk));
  for (int d = 0; d < g->dim; d++) h = PetscMin(h, g->h[d]);
  s->noise_parts = s->inside ? 4 * mfg->sigma * mfg->sigma * mfg->dt / (h * h) : 1;
  /* numbers of steps are 32 bits */
  s->most_parts = 1 << 14;
  while ((double)s->most_parts * (double)mfg->steps > 0x1p32) s->most_parts /= 2;
  PetscFunctionReturn(0);
}

PetscErrorCode MfgParticlesCreate(Mfg mfg) {
  MfgParticles s = mfg->particles;
  HcGrid g = mfg->grid;
  const double share = (double)s->number / g->size;

  PetscFunctionBeginUser;
  PetscCall(survey_cells(mfg, s));
  PetscCall(create_walk(mfg, s));
  PetscCall(PetscCalloc1(mfg->steps, &s->parts));
  PetscCall(HcFieldCreate(g, 1, 1, &s->m));
  for (int q = 0; q < (s->scheme == HC_WALK_WEAK2 ? 4 : 1); q++) PetscCall(HcFieldCreate(g, (int)g->dim, 1, &s->b[q]));
  PetscCall(HcParticlesCreate(g, (PetscInt)PetscMin(share, 1e9), &s->agents));
  PetscCall(start(mfg, s));
  PetscCall(MfgParticlesKernels(mfg));
  if ((s->inside || mfg->exits > 0) && mfg->tolerance < 2 / (double)s->number)
    PetscCall(HcRunWarn(mfg->run,
      "mfg_tolerance = %g is less than what one agent counts (2/number = %g): where an agent meets a wall's corner or an exit, m "
      "jumps by that, and the coupling may not converge",
      mfg->tolerance, 2 / (double)s->number));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgParticlesDestroy(Mfg mfg) {
  MfgParticles s = mfg->particles;

  PetscFunctionBeginUser;
  if (!s) PetscFunctionReturn(0);
  PetscCall(HcKdeDestroy(&s->kde));
  if (s->walk) PetscCall(HcWalkDestroy(&s->walk));
  if (s->agents) PetscCall(HcParticlesDestroy(&s->agents));
  for (int q = 0; q < 4; q++) PetscCall(HcFieldDestroy(&s->b[q]));
  PetscCall(HcFieldDestroy(&s->m));
  PetscCall(HcFieldDestroy(&s->free));
  PetscCall(PetscFree(s->blocked));
  PetscCall(PetscFree(s->parts));
  PetscCall(PetscFree(mfg->particles));
  PetscFunctionReturn(0);
}
