/* Particles (ranks: 1 2): random numbers, steps, migration, memory; processor time a particle of each rank's million. */
#include "bench.h"
#include <halocline/kde.h>
#include <halocline/random.h>
#include <halocline/walk.h>
#include <string.h>

enum { PARTICLES = 1000000, REPEATS = 9, BATCH = 4096 };

static int rank, size;

static void say(const char *name, double value, const char *unit, const char *note) {
  char full[96];
  snprintf(full, sizeof full, "particles_%s", name);
  if (rank == 0) bench_print(full, value, unit, note);
}

/* ---- random numbers ---- */

typedef struct {
  uint64_t id[BATCH];
  double out[3][BATCH];
  int dim;
} Numbers;

static void uniforms(void *data) {
  Numbers *n = data;
  HcUniforms(1, 2, 0, n->dim, BATCH, n->id, (double *[]){n->out[0], n->out[1], n->out[2]});
  bench_use(n->out);
}

static void normals(void *data) {
  Numbers *n = data;
  HcNormals(1, 2, 0, n->dim, BATCH, n->id, (double *[]){n->out[0], n->out[1], n->out[2]});
  bench_use(n->out);
}

static void bench_numbers(void) {
  static Numbers n;
  for (size_t q = 0; q < BATCH; ++q) n.id[q] = q;
  n.dim = 2;
  say("uniforms_2d", bench_median(uniforms, &n, 0.1) / BATCH * 1e9, "ns", "two uniform numbers");
  say("normals_2d", bench_median(normals, &n, 0.1) / BATCH * 1e9, "ns", "two normal deviates");
  n.dim = 3;
  say("normals_3d", bench_median(normals, &n, 0.1) / BATCH * 1e9, "ns", "three normal deviates");
}

/* ---- steps and migration ---- */

typedef struct {
  HcGrid g;
  HcField drift, flat;
  HcParticles p;
  HcWalk walk;
  HcFloorPlan plan;
  uint32_t step;
  double dt;
} Case;

/* How a case differs from a periodic box with particles in the order of cells. */
typedef enum { PLAIN, EXITS, SCATTERED, PILLARS } Kind;

static int pillar(HcGrid g, PetscInt i, PetscInt j) {
  return (g->start[0] + i + g->cells[0]) % 16 == 7 && (g->start[1] + j + g->cells[1]) % 16 > 3;
}

/* Walls one cell thick, 12 long, every 16 cells: a particle in three has one within two cells. */
static PetscErrorCode make_pillars(Case *c) {
  HcGrid g = c->g;
  PetscFunctionBeginUser;
  PetscCall(PetscNew(&c->plan));
  PetscCall(HcFieldCreate(g, 1, 1, &c->plan->region));
  PetscCall(HcFieldCreate(g, 2, 1, &c->plan->open));
  for (PetscInt j = 0; j <= g->n[1]; ++j)
    for (PetscInt i = 0; i <= g->n[0]; ++i) {
      const PetscInt at = i + j * c->plan->open->stride[1];
      c->plan->open->c[0][at] = !pillar(g, i, j) && !pillar(g, i - 1, j);
      c->plan->open->c[1][at] = !pillar(g, i, j) && !pillar(g, i, j - 1);
      c->plan->region->c[0][at] = c->flat->c[0][PetscMin(i, g->n[0] - 1) + PetscMin(j, g->n[1] - 1) * c->flat->stride[1]] =
        pillar(g, i, j) ? HC_WALL : HC_FREE;
    }
  PetscFunctionReturn(0);
}

static PetscErrorCode create(PetscInt dim, HcWalkScheme scheme, HcInterpolation rule, Kind kind, Case *c) {
  const HcBoundary b = kind == EXITS ? HC_EXIT : HC_PERIODIC;
  const PetscInt n = dim == 1 ? 65536 : dim == 2 ? 256 : 40;
  HcGridSpec s = {.dim = dim,
    .cells = {n * (size > 1 && dim == 1 ? 2 : 1), dim > 1 ? n : 1, dim > 2 ? n : 1},
    .upper = {1, 1, 1},
    .boundary = {b, b, b, b, b, b},
    .min_block = 2};
  PetscFunctionBeginUser;
  memset(c, 0, sizeof *c);
  if (size > 1 && dim > 1) s.cells[dim - 1] *= size, s.upper[dim - 1] = size;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &c->g));
  PetscCall(HcFieldCreate(c->g, (int)dim, 2, &c->drift));
  PetscCall(HcFieldCreate(c->g, 1, 0, &c->flat));
  for (PetscInt k = 0; k < c->g->n[2]; ++k)
    for (PetscInt j = 0; j < c->g->n[1]; ++j)
      for (PetscInt i = 0; i < c->g->n[0]; ++i) {
        c->flat->c[0][i + j * c->flat->stride[1] + k * c->flat->stride[2]] = 1;
        for (int d = 0; d < dim; ++d)
          c->drift->c[d][i + j * c->drift->stride[1] + k * c->drift->stride[2]] =
            0.3 * sin(6.28 * HcGridCentre(c->g, d, d ? j : i));
      }
  PetscCall(HcFieldExchange(c->drift, HC_BOX));
  if (kind == PILLARS) PetscCall(make_pillars(c));
  const double dt = 1e-5, sigma = 0.3 * c->g->h[0] / sqrt(dt); /* a third of a cell a step */
  HcWalkSpec w = {.sigma = sigma, .scheme = scheme, .interpolation = rule, .seed = 1, .plan = c->plan};
  PetscCall(HcWalkCreate(c->g, &w, &c->walk));
  PetscCall(HcParticlesCreate(c->g, PARTICLES + PARTICLES / 20, &c->p));
  PetscCall(HcParticlesSample(c->p, c->flat, 0, (double)PARTICLES * size, 1, 0, 1));
  c->dt = dt;
  if (kind == SCATTERED) PetscCall(HcWalkStep(c->walk, c->p, c->drift, NULL, 0, c->step++, pow(c->g->cells[0], 2) * dt));
  PetscFunctionReturn(0);
}

static PetscErrorCode destroy(Case *c) {
  PetscFunctionBeginUser;
  PetscCall(HcWalkDestroy(&c->walk));
  PetscCall(HcFloorPlanDestroy(&c->plan));
  PetscCall(HcParticlesDestroy(&c->p));
  PetscCall(HcFieldDestroy(&c->drift));
  PetscCall(HcFieldDestroy(&c->flat));
  PetscCall(HcGridDestroy(&c->g));
  PetscFunctionReturn(0);
}

static PetscErrorCode bench_step(PetscInt dim, HcWalkScheme scheme, HcInterpolation rule, Kind kind, const char *name) {
  Case c;
  double t[REPEATS];
  char note[96];
  PetscFunctionBeginUser;
  PetscCall(create(dim, scheme, rule, kind, &c));
  for (int r = -2; r < REPEATS; ++r) {
    const double start = bench_cpu();
    PetscCall(HcWalkStep(c.walk, c.p, c.drift, NULL, 0, c.step++, c.dt));
    if (r >= 0) t[r] = bench_cpu() - start;
  }
  qsort(t, REPEATS, sizeof *t, bench_compare);
  snprintf(note, sizeof note, "a particle and step, noise and migration included; fastest %.1f", t[0] / PARTICLES * 1e9);
  say(name, t[REPEATS / 2] / PARTICLES * 1e9, "ns", note);
  PetscCall(destroy(&c));
  PetscFunctionReturn(0);
}

/* Everyone moves a tenth of a cell, forth and back, so that about 0.1 / (cells a block) of them change their owner. */
static PetscErrorCode bench_migration(PetscInt dim) {
  Case c;
  double t[REPEATS], memory;
  char name[48], note[96];
  PetscFunctionBeginUser;
  PetscCall(create(dim, HC_WALK_EULER, HC_LINEAR, PLAIN, &c));
  for (int r = -2; r < REPEATS; ++r) {
    const double shift = (r & 1 ? 0.1 : -0.1) * c.g->h[dim - 1];
    for (PetscInt q = 0; q < c.p->n; ++q) c.p->x[dim - 1][q] += shift;
    const double start = bench_cpu();
    PetscCall(HcParticlesMigrate(c.p));
    if (r >= 0) t[r] = bench_cpu() - start;
  }
  qsort(t, REPEATS, sizeof *t, bench_compare);
  snprintf(name, sizeof name, "migration_%dd", (int)dim);
  snprintf(note, sizeof note, "a particle; fastest %.2f", t[0] / PARTICLES * 1e9);
  say(name, t[REPEATS / 2] / PARTICLES * 1e9, "ns", note);
  memory = HcParticlesMemory(c.p) / (double)c.p->n;
  snprintf(name, sizeof name, "memory_%dd", (int)dim);
  say(name, memory, "bytes", "a particle, buffers included");
  PetscCall(destroy(&c));
  PetscFunctionReturn(0);
}

/* A step, migration and the density of a million a rank, by the wall clock: the ratio of the figures on one and on two ranks
 * is the weak efficiency. */
static PetscErrorCode bench_cycle(void) {
  Case c;
  HcKde kde;
  double t[REPEATS];
  char note[96];
  PetscFunctionBeginUser;
  PetscCall(create(2, HC_WALK_EULER, HC_LINEAR, PLAIN, &c));
  HcKdeSpec spec = {.bandwidth = {2.5 * c.g->h[0], 2.5 * c.g->h[1], 1}, .method = HC_KDE_BINNED};
  PetscCall(HcKdeCreate(c.g, &spec, &kde));
  for (int r = -2; r < REPEATS; ++r) {
    PetscCallMPI(MPI_Barrier(PETSC_COMM_WORLD));
    const double start = MPI_Wtime();
    PetscCall(HcWalkStep(c.walk, c.p, c.drift, NULL, 0, c.step++, c.dt));
    PetscCall(HcKdeEvaluate(kde, c.p->n, c.p->x, NULL, c.flat, 0));
    if (r >= 0) t[r] = MPI_Wtime() - start;
  }
  qsort(t, REPEATS, sizeof *t, bench_compare);
  snprintf(note, sizeof note, "step, migration, density of 10^6 a rank, wall; fastest %.1f", t[0] * 1e3);
  say("cycle_2d", t[REPEATS / 2] * 1e3, "ms", note);
  PetscCall(HcKdeDestroy(&kde));
  PetscCall(destroy(&c));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  PetscCall(PetscInitialize(&argc, &argv, NULL, NULL));
  MPI_Comm_rank(PETSC_COMM_WORLD, &rank);
  MPI_Comm_size(PETSC_COMM_WORLD, &size);
  if (size == 1) bench_numbers();
  PetscCall(bench_step(1, HC_WALK_EULER, HC_LINEAR, PLAIN, "euler_1d"));
  PetscCall(bench_step(2, HC_WALK_EULER, HC_LINEAR, PLAIN, "euler_2d"));
  PetscCall(bench_step(2, HC_WALK_EULER, HC_LINEAR, EXITS, "euler_2d_exits"));
  PetscCall(bench_step(2, HC_WALK_EULER, HC_CUBIC, PLAIN, "euler_2d_cubic"));
  PetscCall(bench_step(2, HC_WALK_WEAK2, HC_LINEAR, PLAIN, "weak2_2d"));
  PetscCall(bench_step(3, HC_WALK_EULER, HC_LINEAR, PLAIN, "euler_3d"));
  PetscCall(bench_step(2, HC_WALK_EULER, HC_LINEAR, SCATTERED, "euler_2d_scattered"));
  PetscCall(bench_step(3, HC_WALK_EULER, HC_LINEAR, SCATTERED, "euler_3d_scattered"));
  PetscCall(bench_step(2, HC_WALK_EULER, HC_LINEAR, PILLARS, "euler_2d_walls"));
  PetscCall(bench_cycle());
  PetscCall(bench_migration(2));
  PetscCall(bench_migration(3));
  PetscCall(PetscFinalize());
  return 0;
}
