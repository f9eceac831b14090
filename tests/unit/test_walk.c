/* parallel: walks: laws of known processes, weak orders, walls, exits, conservation, the same paths on any number of ranks.
 * 10^4 steps of 10^5 particles, with HALOCLINE_LONG set of 10^6; a debug build, which checks every step, takes few. */
#include "tap.h"
#include <halocline/random.h>
#include <halocline/walk.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A remark of rank 0 among the results. */
#define remark(...)                                                                                                              \
  do {                                                                                                                           \
    int rank_;                                                                                                                   \
    MPI_Comm_rank(PETSC_COMM_WORLD, &rank_);                                                                                     \
    if (rank_ == 0) printf(__VA_ARGS__);                                                                                         \
  } while (0)

/* ---- plans and drifts ---- */

typedef int (*Region)(PetscInt i, PetscInt j, PetscInt k);

static PetscInt at(HcField f, PetscInt i, PetscInt j, PetscInt k) { return i + j * f->stride[1] + k * f->stride[2]; }

/* A plan from a rule for cells and one for faces without a wall (`shut`: the lower face in direction 0 of cells with this index).
 */
static PetscErrorCode make_plan(HcGrid g, Region region, PetscInt shut, HcFloorPlan *plan) {
  const PetscInt wy = g->dim > 1, wz = g->dim > 2;
  HcFloorPlan p;
  PetscFunctionBeginUser;
  PetscCall(PetscNew(&p));
  PetscCall(HcFieldCreate(g, 1, 1, &p->region));
  PetscCall(HcFieldCreate(g, (int)g->dim, 1, &p->open));
  for (PetscInt k = -wz; k < g->n[2] + wz; ++k)
    for (PetscInt j = -wy; j < g->n[1] + wy; ++j)
      for (PetscInt i = -1; i <= g->n[0]; ++i) {
        const PetscInt local[3] = {i, j, k};
        PetscInt cell[3];
        int outside = 0;
        for (int d = 0; d < 3; ++d) {
          cell[d] = g->start[d] + local[d];
          if (g->boundary[2 * d] == HC_PERIODIC) cell[d] = (cell[d] + g->cells[d]) % g->cells[d];
          outside = outside || cell[d] < 0 || cell[d] >= g->cells[d];
        }
        p->region->c[0][at(p->region, i, j, k)] = outside ? HC_WALL : region(cell[0], cell[1], cell[2]);
      }
  for (int d = 0; d < g->dim; ++d)
    for (PetscInt k = 0; k < g->n[2] + (d == 2); ++k)
      for (PetscInt j = 0; j < g->n[1] + (d == 1); ++j)
        for (PetscInt i = 0; i < g->n[0] + (d == 0); ++i) {
          const double a = p->region->c[0][at(p->region, i - (d == 0), j - (d == 1), k - (d == 2))];
          const double b = p->region->c[0][at(p->region, i, j, k)];
          double open = a == HC_WALL || b == HC_WALL || (a == HC_DOOR && b == HC_DOOR) ? 0 : a == HC_DOOR || b == HC_DOOR ? 2 : 1;
          if (d == 0 && g->start[0] + i == shut) open = 0;
          p->open->c[d][at(p->open, i, j, k)] = open;
        }
  *plan = p;
  PetscFunctionReturn(0);
}

typedef void (*Drift)(const double x[3], double b[3]);

static PetscErrorCode make_drift(HcGrid g, Drift drift, PetscInt width, HcField *f) {
  const PetscInt wy = g->dim > 1 ? width : 0, wz = g->dim > 2 ? width : 0;
  PetscFunctionBeginUser;
  PetscCall(HcFieldCreate(g, (int)g->dim, width, f));
  for (PetscInt k = -wz; k < g->n[2] + wz; ++k)
    for (PetscInt j = -wy; j < g->n[1] + wy; ++j)
      for (PetscInt i = -width; i < g->n[0] + width; ++i) {
        const double x[3] = {HcGridCentre(g, 0, i), HcGridCentre(g, 1, j), HcGridCentre(g, 2, k)};
        double b[3];
        drift(x, b);
        for (int d = 0; d < g->dim; ++d) (*f)->c[d][at(*f, i, j, k)] = b[d];
      }
  PetscCall(HcFieldExchange(*f, HC_BOX));
  PetscFunctionReturn(0);
}

static PetscErrorCode place_all(HcParticles p, PetscInt n, const double x[3], double weight) {
  HcGrid g = p->grid;
  const PetscInt first = n * g->rank / g->size, end = n * (g->rank + 1) / g->size;
  PetscFunctionBeginUser;
  PetscCall(HcParticlesReserve(p, end - first));
  for (PetscInt q = first; q < end; ++q) {
    for (int d = 0; d < g->dim; ++d) p->x[d][p->n] = x[d];
    p->id[p->n] = (uint64_t)q;
    p->weight[p->n++] = weight;
  }
  PetscCall(HcParticlesMigrate(p));
  PetscFunctionReturn(0);
}

static PetscErrorCode fingerprint(HcParticles p, uint64_t *print) {
  uint64_t sum = 0;
  PetscFunctionBeginUser;
  for (PetscInt q = 0; q < p->n; ++q) {
    uint64_t h = p->id[q] * 0x9E3779B97F4A7C15u, b;
    for (int d = 0; d < p->grid->dim; ++d) {
      memcpy(&b, &p->x[d][q], 8);
      h = (h ^ b) * 0xBF58476D1CE4E5B9u;
      h ^= h >> 29;
    }
    sum += h;
  }
  PetscCallMPI(MPI_Allreduce(&sum, print, 1, MPI_UINT64_T, MPI_SUM, p->grid->comm));
  PetscFunctionReturn(0);
}

static HcGridSpec box(PetscInt dim, PetscInt nx, PetscInt ny, PetscInt nz, double lower, double upper, HcBoundary b) {
  HcGridSpec s = {.dim = dim,
    .cells = {nx, ny, nz},
    .lower = {lower, lower, lower},
    .upper = {upper, upper, upper},
    .boundary = {b, b, b, b, b, b},
    .min_block = 1};
  return s;
}

/* ---- paths without noise ---- */

static void rush(const double x[3], double b[3]) {
  (void)x;
  b[0] = 5.3, b[1] = -3.1, b[2] = 0.7;
}

/* A mirror box unfolds into a straight line. */
static double folded(double x, double lower, double upper) {
  const double length = upper - lower, y = fmod(fmod(x - lower, 2 * length) + 2 * length, 2 * length);
  return lower + (y < length ? y : 2 * length - y);
}

static int no_walls(PetscInt i, PetscInt j, PetscInt k) {
  (void)i, (void)j, (void)k;
  return HC_FREE;
}

static int one_wall_far(PetscInt i, PetscInt j, PetscInt k) {
  (void)j, (void)k;
  return i == 0 ? HC_WALL : HC_FREE;
}

/* Constant velocity, many bounces or turns a step; with a plan too, whose wall shortens the box by a cell. */
static PetscErrorCode test_bounces(HcBoundary b, int walls) {
  HcGridSpec s = box(2, 10, 7, 1, 0, 1, b);
  HcGrid g;
  HcField f;
  HcParticles p;
  HcWalk walk;
  HcFloorPlan plan = NULL;
  double worst = 0;
  const double start[3] = {0.31, 0.42, 0}, dt = 0.9;
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
  PetscCall(make_drift(g, rush, 1, &f));
  PetscCall(HcParticlesCreate(g, 0, &p));
  if (walls) PetscCall(make_plan(g, b == HC_PERIODIC ? no_walls : one_wall_far, b == HC_PERIODIC ? -5 : -5, &plan));
  HcWalkSpec w = {.plan = plan};
  PetscCall(HcWalkCreate(g, &w, &walk));
  PetscCall(place_all(p, 5, start, 1));
  for (uint32_t n = 1; n <= 20; ++n) {
    PetscCall(HcWalkStep(walk, p, f, NULL, 0, n, dt));
    for (PetscInt q = 0; q < p->n; ++q)
      for (int d = 0; d < 2; ++d) {
        const double lower = walls && d == 0 && b == HC_REFLECTING ? 0.1 : 0;
        /* a reflected particle starts the next step with the drift as it is: only the first step is a straight line */
        if (n > 1 && b == HC_REFLECTING) {
          worst = fmax(worst, p->x[d][q] < lower || p->x[d][q] > 1);
          continue;
        }
        const double straight = start[d] + n * dt * (d ? -3.1 : 5.3);
        const double x = b == HC_PERIODIC ? straight - floor(straight) : folded(straight, lower, 1);
        worst = fmax(worst, fabs(p->x[d][q] - x));
      }
  }
  /* 20 steps, each rounded to a few units of its length 5 */
  tap_ok(worst < 20 * 20 * 2.3e-16, "%s box%s: several %s a step (%.1g)", b == HC_PERIODIC ? "periodic" : "reflecting",
    walls ? " with a plan" : "", b == HC_PERIODIC ? "turns" : "bounces", worst);
  double total;
  PetscCall(HcParticlesCount(p, &total));
  tap_ok(total == 5, "none is lost");
  PetscCall(HcWalkDestroy(&walk));
  PetscCall(HcFloorPlanDestroy(&plan));
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

/* ---- laws ---- */

enum { SAMPLES = 40000, CLASSES = 24 };

static double normal_below(double x) { return 0.5 * erfc(-x / sqrt(2.)); }

static void pull(const double x[3], double b[3]) {
  for (int d = 0; d < 3; ++d) b[d] = -0.8 * x[d];
}

/* Ornstein-Uhlenbeck: mean and variance of the scheme are known exactly; E of functions against the exact path driven by the same
 * deviates, which removes nearly all of the statistical error, gives the weak order. */
static PetscErrorCode ou_errors(
  HcWalkScheme scheme, int steps, double mean, double variance, double error[2], double moment[2], double *chi) {
  const double theta = 0.8, sigma = 0.7, end = 1, dt = end / steps, x0 = 1.3;
  const double decay = exp(-theta * dt), kick = sigma * sqrt(-expm1(-2 * theta * dt) / (2 * theta));
  HcGridSpec s = box(1, 40, 1, 1, -8, 8, HC_REFLECTING);
  HcGrid g;
  HcField f;
  HcParticles p;
  HcWalk walk;
  HcWalkSpec w = {.sigma = sigma, .scheme = scheme, .seed = 77};
  const double start[3] = {x0, 0, 0};
  double sum[4] = {0, 0, 0, 0}, count[CLASSES] = {0};
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
  PetscCall(make_drift(g, pull, 2, &f));
  PetscCall(HcParticlesCreate(g, 0, &p));
  PetscCall(HcWalkCreate(g, &w, &walk));
  PetscCall(place_all(p, SAMPLES, start, 1. / SAMPLES));
  for (int n = 0; n < steps; ++n) PetscCall(HcWalkStep(walk, p, f, NULL, 0, (uint32_t)n, dt));
  for (PetscInt q = 0; q < p->n; ++q) {
    double exact = x0, z;
    for (int n = 0; n < steps; ++n) {
      HcNormals(77, (uint32_t)n, HC_STREAM_NORMAL, 1, 1, &p->id[q], (double *[]){&z});
      exact = decay * exact + kick * z;
    }
    const double x = p->x[0][q];
    ++count[(int)fmin(CLASSES - 1, floor(CLASSES * normal_below((x - mean) / sqrt(variance))))];
    sum[0] += x;
    sum[1] += x * x;
    sum[2] += x * x - exact * exact;
    sum[3] += exp(x) - exp(exact);
  }
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, sum, 4, MPI_DOUBLE, MPI_SUM, PETSC_COMM_WORLD));
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, count, CLASSES, MPI_DOUBLE, MPI_SUM, PETSC_COMM_WORLD));
  *chi = 0;
  for (int c = 0; c < CLASSES; ++c) *chi += pow(count[c] - (double)SAMPLES / CLASSES, 2) * CLASSES / SAMPLES;
  moment[0] = sum[0] / SAMPLES;
  moment[1] = sum[1] / SAMPLES - moment[0] * moment[0];
  error[0] = sum[2] / SAMPLES;
  error[1] = sum[3] / SAMPLES;
  PetscCall(HcWalkDestroy(&walk));
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

static PetscErrorCode test_ou(HcWalkScheme scheme) {
  const char *name = scheme == HC_WALK_EULER ? "euler" : "weak2";
  const double order = scheme == HC_WALK_EULER ? 1 : 2;
  double error[4][2], moment[2] = {0, 0}, chi = 0;
  PetscFunctionBeginUser;
  for (int k = 0; k < 4; ++k) {
    const int steps = 4 << k;
    /* one step multiplies by m and adds c sigma dW */
    const double a = 0.8 / steps, m = scheme == HC_WALK_EULER ? 1 - a : 1 - a + a * a / 2,
                 c = scheme == HC_WALK_EULER ? 1 : 1 - a / 2;
    const double mean = 1.3 * pow(m, steps), variance = c * c * 0.49 / steps * (1 - pow(m, 2 * steps)) / (1 - m * m);
    PetscCall(ou_errors(scheme, steps, mean, variance, error[k], moment, &chi));
    tap_ok(fabs(moment[0] - mean) < 4 * sqrt(variance / SAMPLES) && fabs(moment[1] / variance - 1) < 4 * sqrt(2. / SAMPLES) &&
             fabs(chi - (CLASSES - 1)) < 4 * sqrt(2. * (CLASSES - 1)),
      "%s, %d steps: mean, variance and histogram of the process within 4 standard errors", name, steps);
  }
  for (int k = 0; k < 2; ++k) {
    const double measured = log2(fabs(error[2][k] / error[3][k]));
    remark("# %s: weak errors of %s %.3g %.3g %.3g %.3g\n", name, k ? "exp x" : "x^2", error[0][k], error[1][k], error[2][k],
      error[3][k]);
    /* what is left of the statistical error and of the next order changes the ratio by less than a third */
    tap_ok(
      fabs(measured - order) < 0.35, "%s: weak order %.0f in %s (measured %.2f)", name, order, k ? "exp x" : "x^2", measured);
  }
  PetscFunctionReturn(0);
}

static double moment_of_time; /* t in b(t,x) = (1 + t) sin x */

static void swing(const double x[3], double b[3]) {
  b[0] = (1 + moment_of_time) * sin(x[0]);
  b[1] = b[2] = 0;
}

/* Without noise the schemes are Euler's and Heun's for x' = (1 + t) sin x: tan(x/2) grows as exp(t + t^2/2). */
static PetscErrorCode test_orders(HcWalkScheme scheme) {
  const double order = scheme == HC_WALK_EULER ? 1 : 2, x0 = 0.7, exact = 2 * atan(tan(x0 / 2) * exp(1.5)), start[3] = {x0, 0, 0};
  HcGridSpec s = box(1, 600, 1, 1, 0, 2 * M_PI, HC_PERIODIC);
  double error[2];
  PetscFunctionBeginUser;
  for (int k = 0; k < 2; ++k) {
    const int steps = 32 << k;
    HcGrid g;
    HcField now, next;
    HcParticles p;
    HcWalk walk;
    HcWalkSpec w = {.scheme = scheme, .interpolation = HC_CUBIC};
    PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
    PetscCall(HcParticlesCreate(g, 0, &p));
    PetscCall(HcWalkCreate(g, &w, &walk));
    PetscCall(place_all(p, 1, start, 1));
    for (int n = 0; n < steps; ++n) {
      moment_of_time = (double)n / steps;
      PetscCall(make_drift(g, swing, 2, &now));
      moment_of_time = (n + 1.) / steps;
      PetscCall(make_drift(g, swing, 2, &next));
      PetscCall(HcWalkStep(walk, p, now, next, 0, (uint32_t)n, 1. / steps));
      PetscCall(HcFieldDestroy(&now));
      PetscCall(HcFieldDestroy(&next));
    }
    error[k] = p->n ? fabs(p->x[0][0] - exact) : 0;
    PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &error[k], 1, MPI_DOUBLE, MPI_MAX, PETSC_COMM_WORLD));
    PetscCall(HcWalkDestroy(&walk));
    PetscCall(HcParticlesDestroy(&p));
    PetscCall(HcGridDestroy(&g));
  }
  tap_ok(fabs(log2(error[0] / error[1]) - order) < 0.1, "order %.0f without noise, drift of time and place (%.2f, error %.1g)",
    order, log2(error[0] / error[1]), error[1]);
  PetscFunctionReturn(0);
}

/* Reflected Brownian motion on an interval: the density is a cosine series; folding is exact in law for any step. */
static PetscErrorCode test_reflected(void) {
  enum { CELLS = 25 };
  const double sigma = 0.6, x0 = 0.2, dt = 0.15;
  const int steps = 2;
  HcGridSpec s = box(1, CELLS, 1, 1, 0, 1, HC_REFLECTING);
  HcGrid g;
  HcParticles p;
  HcWalk walk;
  HcWalkSpec w = {.sigma = sigma, .seed = 5};
  const double start[3] = {x0, 0, 0}, t = steps * dt;
  double count[CELLS] = {0}, chi = 0;
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
  PetscCall(HcParticlesCreate(g, 0, &p));
  PetscCall(HcWalkCreate(g, &w, &walk));
  PetscCall(place_all(p, SAMPLES, start, 1));
  for (int n = 0; n < steps; ++n) PetscCall(HcWalkStep(walk, p, NULL, NULL, 0, (uint32_t)n, dt));
  for (PetscInt q = 0; q < p->n; ++q) ++count[HcGridCellOf(g, 0, p->x[0][q])];
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, count, CELLS, MPI_DOUBLE, MPI_SUM, PETSC_COMM_WORLD));
  for (int c = 0; c < CELLS; ++c) {
    double share = 1. / CELLS;
    for (int m = 1; m < 60; ++m) {
      const double a = m * M_PI;
      share +=
        2 * cos(a * x0) * exp(-a * a * sigma * sigma * t / 2) * (sin(a * (c + 1.) / CELLS) - sin(a * (double)c / CELLS)) / a;
    }
    chi += pow(count[c] - SAMPLES * share, 2) / (SAMPLES * share);
  }
  tap_ok(fabs(chi - (CELLS - 1)) < 4 * sqrt(2. * (CELLS - 1)),
    "reflected Brownian motion: the histogram is that of the law (chi squared %.1f of %d)", chi, CELLS - 1);
  PetscCall(HcWalkDestroy(&walk));
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

static void outward(const double x[3], double b[3]) {
  (void)x;
  b[0] = -0.35, b[1] = b[2] = 0;
}

static int door_left(PetscInt i, PetscInt j, PetscInt k) {
  (void)j, (void)k;
  return i == 0 ? HC_DOOR : HC_FREE;
}

/* First passage of Brownian motion with drift: the bridge makes it exact in law for any step, at faces and at doors. */
static PetscErrorCode test_first_passage(int door) {
  const double sigma = 0.5, x0 = 0.5, mu = -0.35, dt = 0.25, h = 0.6;
  HcGridSpec s = box(2, 20, 3, 1, 0, 12, HC_REFLECTING);
  HcGrid g;
  HcField f;
  HcParticles p;
  HcWalk walk;
  HcFloorPlan plan = NULL;
  double worst = 0;
  PetscFunctionBeginUser;
  s.boundary[0] = door ? HC_REFLECTING : HC_EXIT;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
  PetscCall(make_drift(g, outward, 1, &f));
  if (door) PetscCall(make_plan(g, door_left, -5, &plan));
  HcWalkSpec w = {.sigma = sigma, .seed = 99, .plan = plan};
  PetscCall(HcWalkCreate(g, &w, &walk));
  PetscCall(HcParticlesCreate(g, 0, &p));
  const double start[3] = {(door ? h : 0) + x0, 6.1, 0};
  PetscCall(place_all(p, SAMPLES, start, 1. / SAMPLES));
  for (int n = 1; n <= 12; ++n) {
    PetscCall(HcWalkStep(walk, p, f, NULL, 0, (uint32_t)n, dt));
    const double t = n * dt, r = sigma * sqrt(t);
    const double inside =
      normal_below((x0 + mu * t) / r) - exp(-2 * mu * x0 / (sigma * sigma)) * normal_below((-x0 + mu * t) / r);
    worst = fmax(worst, fabs(p->absorbed - SAMPLES * (1 - inside)) / sqrt(SAMPLES * inside * (1 - inside)));
  }
  /* a door is only seen from the cell beside it: exp(-2 h h / (sigma^2 dt)) = 1e-5 of the steps beyond might touch it */
  tap_ok(worst < 4, "first passage at %s: counts within 4 standard errors at 12 times (%.2f)", door ? "a door" : "a face", worst);
  const int e = door ? 6 : 0;
  tap_ok(walk->exited[e] == p->absorbed && fabs(walk->exited_weight[e] * SAMPLES - p->absorbed) < 1e-9 * SAMPLES,
    "the exit's account has their number and weight");
  PetscCall(HcWalkDestroy(&walk));
  PetscCall(HcFloorPlanDestroy(&plan));
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

/* ---- walls ---- */

/* Walls one cell thick with gaps, pillars, and a door; in 3D the same on every floor but the last. */
static int rooms(PetscInt i, PetscInt j, PetscInt k) {
  if (i == 6 && j != 2) return HC_WALL;
  if (j == 5 && i > 6 && i != 11) return HC_WALL;
  if (i == 3 && j == 7) return HC_WALL;
  if (i == 13 && (j == 8 || j == 9) && k < 4) return HC_DOOR;
  return HC_FREE;
}

static void whirl(const double x[3], double b[3]) {
  b[0] = sin(2 * x[1]) + 0.3;
  b[1] = cos(1.5 * x[0]);
  b[2] = 0.4 * sin(x[0] + x[2]);
}

typedef struct {
  uint64_t print;
  double absorbed, exited[3], weight[3], flights;
} Outcome;

static PetscErrorCode run_rooms(
  MPI_Comm comm, PetscInt dim, HcWalkScheme scheme, HcInterpolation rule, int walls, double dt, Outcome *out, int *free_cells) {
  HcGridSpec s = box(dim, 14, 11, dim > 2 ? 5 : 1, 0, 4, HC_REFLECTING);
  HcGrid g;
  HcField f, then, where, number;
  HcParticles p;
  HcWalk walk;
  HcFloorPlan plan = NULL;
  double blocked;
  PetscFunctionBeginUser;
  s.boundary[2] = s.boundary[3] = HC_PERIODIC;
  s.boundary[0] = HC_EXIT;
  PetscCall(HcGridCreate(comm, &s, &g));
  PetscInt width = 2;
  PetscCall(make_drift(g, whirl, width, &f));
  PetscCall(make_drift(g, whirl, width, &then));
  PetscCall(HcFieldCreate(g, 1, 0, &where));
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i)
        where->c[0][at(where, i, j, k)] = !walls || rooms(g->start[0] + i, g->start[1] + j, g->start[2] + k) == HC_FREE;
  if (walls) PetscCall(make_plan(g, rooms, -5, &plan));
  PetscCall(HcFieldCreate(g, 1, 1, &number)); /* the two cells of the door are two exits */
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i) {
        const PetscInt row = g->start[1] + j;
        number->c[0][at(number, i, j, k)] = rooms(g->start[0] + i, row, g->start[2] + k) == HC_DOOR ? (row == 8 ? 0 : 2) : -1;
      }
  HcWalkSpec w = {.sigma = 0.3,
    .scheme = scheme,
    .interpolation = rule,
    .seed = 3,
    .plan = plan,
    .exits = 3,
    .exit_id = number,
    .face_exit = {1, 1, 1, 1, 1, 1}};
  PetscCall(HcWalkCreate(g, &w, &walk));
  PetscCall(HcParticlesCreate(g, 0, &p));
  PetscCall(HcParticlesSample(p, where, 0, 3000, 1, 0, 1));
  *free_cells = 1;
  for (uint32_t n = 0; n < 30; ++n) {
    PetscCall(HcWalkStep(walk, p, f, n % 2 ? then : NULL, 0, n, dt));
    PetscBool owned;
    uint64_t hash;
    double total;
    PetscCall(HcParticlesCheck(p, &owned, &hash));
    PetscCall(HcWalkBlocked(walk, p, &blocked));
    PetscCall(HcParticlesCount(p, &total));
    *free_cells = *free_cells && owned && blocked == 0 && total + p->absorbed == 3000;
  }
  memset(out, 0, sizeof *out);
  PetscCall(fingerprint(p, &out->print));
  out->absorbed = p->absorbed;
  for (int e = 0; e < 3; ++e) out->exited[e] = walk->exited[e], out->weight[e] = walk->exited_weight[e];
  out->flights = walk->flights;
  PetscCall(HcWalkDestroy(&walk));
  PetscCall(HcFloorPlanDestroy(&plan));
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcFieldDestroy(&then));
  PetscCall(HcFieldDestroy(&where));
  PetscCall(HcFieldDestroy(&number));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

static PetscErrorCode test_ranks(PetscInt dim) {
  PetscFunctionBeginUser;
  for (int scheme = 0; scheme < 2; ++scheme)
    for (int rule = 0; rule < 2; ++rule)
      for (int walls = 0; walls < 2; ++walls)
        for (int big = 0; big < 2; ++big) {
          Outcome one, all;
          int good, fine;
          const double dt = big ? 3 : 0.03;
          PetscCall(run_rooms(PETSC_COMM_SELF, dim, (HcWalkScheme)scheme, (HcInterpolation)rule, walls, dt, &one, &good));
          PetscCall(run_rooms(PETSC_COMM_WORLD, dim, (HcWalkScheme)scheme, (HcInterpolation)rule, walls, dt, &all, &fine));
          remark(
            "# flights %g, absorbed %g (%g %g %g)\n", all.flights, all.absorbed, all.exited[0], all.exited[1], all.exited[2]);
          one.flights = all.flights;
          tap_ok(!memcmp(&one, &all, sizeof one) && all.absorbed > 0,
            "%dD %s, %s, %s, %s steps: paths and accounts as on one rank", (int)dim, scheme ? "weak2" : "euler",
            rule ? "cubic" : "linear", walls ? "walls" : "faces", big ? "long" : "short");
          tap_ok(good && fine, "  and at every step: all there, each with its owner, none in a wall");
        }
  PetscFunctionReturn(0);
}

/* A line of closed faces without a wall cell parts the box: steps as long as the box never pass it, nor do they pass diagonally.
 */
static PetscErrorCode test_thin_wall(void) {
  HcGridSpec s = box(2, 12, 9, 1, 0, 1, HC_REFLECTING);
  HcGrid g;
  HcParticles p;
  HcWalk walk;
  HcFloorPlan plan;
  int64_t left[2] = {0, 0};
  int same = 1;
  PetscFunctionBeginUser;
  s.boundary[2] = s.boundary[3] = HC_PERIODIC;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
  PetscCall(make_plan(g, no_walls, 5, &plan));
  HcWalkSpec w = {.sigma = 1, .seed = 8, .plan = plan};
  PetscCall(HcWalkCreate(g, &w, &walk));
  PetscCall(HcParticlesCreate(g, 0, &p));
  PetscCall(HcParticlesLattice(p, (PetscInt[3]){4, 4, 1}, NULL, 0, 1, 0));
  for (uint32_t n = 0; n < 40; ++n) {
    int64_t now[2] = {0, 0};
    for (PetscInt q = 0; q < p->n; ++q)
      if (HcGridCellOf(g, 0, p->x[0][q]) < 5) ++now[0], now[1] += (int64_t)(p->id[q] * p->id[q]);
    PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, now, 2, MPI_INT64_T, MPI_SUM, PETSC_COMM_WORLD));
    if (n == 0) memcpy(left, now, sizeof left);
    same = same && !memcmp(left, now, sizeof left);
    PetscCall(HcWalkStep(walk, p, NULL, NULL, 0, n, n % 2 ? 0.3 : 0.001));
  }
  tap_ok(same, "the same particles stay on each side of a wall without thickness");
  PetscCall(HcWalkDestroy(&walk));
  PetscCall(HcFloorPlanDestroy(&plan));
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

static int closed_rooms(PetscInt i, PetscInt j, PetscInt k) {
  const int r = rooms(i, j, k);
  return r == HC_DOOR ? HC_FREE : r;
}

/* Steps longer than a block (ten of them in all) among small ones: every id is there once, inside or absorbed. */
static PetscErrorCode test_conservation(PetscInt n, int steps, int exits) {
  const Region region = exits ? rooms : closed_rooms;
  const int every = steps / 10;
  HcGridSpec s = box(2, 28, 22, 1, 0, 4, HC_REFLECTING);
  HcGrid g;
  HcField where;
  HcParticles p;
  HcWalk walk;
  HcFloorPlan plan;
  uint8_t *seen;
  int ok = 1, once = 1;
  double total;
  PetscFunctionBeginUser;
  s.boundary[2] = s.boundary[3] = HC_PERIODIC;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
  PetscCall(make_plan(g, region, 20, &plan));
  PetscCall(HcFieldCreate(g, 1, 0, &where));
  for (PetscInt j = 0; j < g->n[1]; ++j)
    for (PetscInt i = 0; i < g->n[0]; ++i)
      where->c[0][at(where, i, j, 0)] = region(g->start[0] + i, g->start[1] + j, 0) == HC_FREE;
  HcWalkSpec w = {.sigma = 0.2, .seed = 4, .plan = plan};
  PetscCall(HcWalkCreate(g, &w, &walk));
  PetscCall(HcParticlesCreate(g, 0, &p));
  PetscCall(HcParticlesSample(p, where, 0, n, 1, 0, 2));
  for (int k = 0; k < steps; ++k) {
    PetscCall(HcWalkStep(walk, p, NULL, NULL, 0, (uint32_t)k, k % every == every - 1 ? 40 : 1e-4));
    if (k % every < every - 2) continue;
    PetscCall(HcParticlesCount(p, &total));
    ok = ok && total + p->absorbed == (double)n;
  }
  tap_ok(ok, "%d steps of %d particles, %s: inside and absorbed make all", steps, (int)n, exits ? "exits" : "no exits");
  PetscCall(PetscCalloc1(n, &seen));
  for (PetscInt q = 0; q < p->n; ++q) {
    once = once && p->id[q] < (uint64_t)n && !seen[p->id[q]];
    if (p->id[q] < (uint64_t)n) seen[p->id[q]] = 1;
  }
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, seen, (int)n, MPI_UINT8_T, MPI_SUM, PETSC_COMM_WORLD));
  for (PetscInt q = 0; q < n; ++q) once = once && seen[q] <= 1;
  tap_ok(once && (p->absorbed > 0) == (exits != 0), "no id is there twice; %.0f are absorbed", p->absorbed);
  PetscCall(PetscFree(seen));
  PetscCall(HcFieldDestroy(&where));
  PetscCall(HcWalkDestroy(&walk));
  PetscCall(HcFloorPlanDestroy(&plan));
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

/* Twenty steps, or ten, a checkpoint, and ten more of what it holds: the same paths and accounts. */
static PetscErrorCode test_restart(void) {
  HcGridSpec s = box(2, 14, 11, 1, 0, 4, HC_REFLECTING);
  HcGrid g;
  HcFloorPlan plan;
  char folder[64] = P_tmpdir "/halocline_walk_XXXXXX", file[PETSC_MAX_PATH_LEN];
  Outcome out[2];
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
  PetscCall(make_plan(g, rooms, -5, &plan));
  if (g->rank == 0 && !mkdtemp(folder)) abort();
  PetscCallMPI(MPI_Bcast(folder, (int)sizeof folder, MPI_CHAR, 0, PETSC_COMM_WORLD));
  for (int stop = 0; stop < 2; ++stop) {
    HcParticles p;
    HcWalk walk;
    HcCheckpoint ck;
    HcWalkSpec w = {.sigma = 0.4, .seed = 12, .plan = plan};
    PetscInt step;
    const double start[3] = {3.5, 3.6, 0};
    PetscCall(HcWalkCreate(g, &w, &walk));
    PetscCall(HcParticlesCreate(g, 0, &p));
    PetscCall(place_all(p, 500, start, 1. / 3));
    for (uint32_t n = 0; n < 20; ++n) {
      if (stop && n == 10) {
        PetscCall(HcCheckpointCreate(folder, "mfg", PETSC_COMM_WORLD, 10, &ck));
        PetscCall(HcCheckpointPutParticles(ck, "agents", p));
        PetscCall(HcCheckpointPutWalk(ck, "walk", walk));
        PetscCall(HcCheckpointClose(&ck, 0));
        PetscCall(HcWalkDestroy(&walk));
        PetscCall(HcParticlesDestroy(&p));
        PetscCall(HcWalkCreate(g, &w, &walk));
        PetscCall(HcParticlesCreate(g, 0, &p));
        PetscCall(HcCheckpointFind(folder, PETSC_COMM_WORLD, PETSC_MAX_INT, file, &step));
        PetscCall(HcCheckpointOpen(file, "mfg", PETSC_COMM_WORLD, &ck));
        PetscCall(HcCheckpointGetParticles(ck, "agents", p));
        PetscCall(HcCheckpointGetWalk(ck, "walk", walk));
        PetscCall(HcCheckpointClose(&ck, 0));
      }
      PetscCall(HcWalkStep(walk, p, NULL, NULL, 0, n, 0.05));
    }
    memset(&out[stop], 0, sizeof out[stop]);
    PetscCall(fingerprint(p, &out[stop].print));
    out[stop].absorbed = p->absorbed;
    out[stop].exited[0] = walk->exited[6];
    out[stop].weight[0] = walk->exited_weight[6];
    PetscCall(HcWalkDestroy(&walk));
    PetscCall(HcParticlesDestroy(&p));
  }
  tap_ok(!memcmp(&out[0], &out[1], sizeof out[0]) && out[0].exited[0] > 0, "a restart continues bit for bit (%.0f absorbed)",
    out[0].absorbed);
  if (g->rank == 0) {
    unlink(file);
    rmdir(folder);
  }
  PetscCall(HcFloorPlanDestroy(&plan));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

static void broken(const double x[3], double b[3]) {
  b[0] = x[0] > 0.5 ? NAN : 0.1;
  b[1] = b[2] = 0;
}

static PetscErrorCode test_errors(void) {
  HcGridSpec s = box(2, 8, 8, 1, 0, 1, HC_REFLECTING);
  HcGrid g;
  HcField f;
  HcParticles p;
  HcWalk walk;
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
  PetscCall(make_drift(g, broken, 1, &f));
  PetscCall(HcParticlesCreate(g, 0, &p));
  PetscCall(HcParticlesLattice(p, (PetscInt[3]){1, 1, 1}, NULL, 0, 1, 0));
  for (int scheme = 0; scheme < 2; ++scheme) {
    HcWalkSpec w = {.sigma = 0.1, .scheme = (HcWalkScheme)scheme};
    PetscCall(HcWalkCreate(g, &w, &walk));
    PetscErrorCode code = HcWalkStep(walk, p, f, NULL, 0, 0, 0.1);
    tap_ok(code && HcErrorKind(code) == HC_EXIT_FAILED && strstr(HcErrorMessage(), "not finite"),
      "a drift that is no number is an error");
    HcErrorClear();
    PetscCall(HcWalkDestroy(&walk));
  }
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  PetscCall(test_bounces(HC_REFLECTING, 0));
  PetscCall(test_bounces(HC_PERIODIC, 0));
  PetscCall(test_bounces(HC_REFLECTING, 1));
  PetscCall(test_bounces(HC_PERIODIC, 1));
  PetscCall(test_ou(HC_WALK_EULER));
  PetscCall(test_ou(HC_WALK_WEAK2));
  PetscCall(test_orders(HC_WALK_EULER));
  PetscCall(test_orders(HC_WALK_WEAK2));
  PetscCall(test_reflected());
  PetscCall(test_first_passage(0));
  PetscCall(test_first_passage(1));
  for (PetscInt dim = 2; dim <= 3; ++dim) PetscCall(test_ranks(dim));
  PetscCall(test_thin_wall());
  PetscCall(test_restart());
  for (int exits = 0; exits < 2; ++exits) {
    PetscCall(test_conservation(2000, 100, exits));
#if !defined(HC_DEBUG)
    PetscCall(test_conservation(getenv("HALOCLINE_LONG") ? 1000000 : 100000, 10000, exits));
#endif
  }
  PetscCall(test_errors());
  return tap_done();
}
