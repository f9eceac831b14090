/* Kernel density estimation against sums over all images in long double; parallel. */
#include "tap.h"
#include <halocline/kde.h>
#include <halocline/run.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  PetscInt n;
  double *x[3], *w;
} Cloud;

/* A congruential generator: the same points on every rank. */
static double next(uint64_t *state) {
  *state = *state * 6364136223846793005ull + 1442695040888963407ull;
  return (double)(*state >> 11) * 0x1p-53;
}

static Cloud cloud_new(PetscInt n) {
  Cloud c = {.n = 0};
  for (int d = 0; d < 3; ++d) c.x[d] = malloc(sizeof(double) * (size_t)(n + 1));
  c.w = malloc(sizeof(double) * (size_t)(n + 1));
  return c;
}

static void cloud_free(Cloud *c) {
  for (int d = 0; d < 3; ++d) free(c->x[d]);
  free(c->w);
}

/* Two clumps and a background, all inside the box; weights between 0.5 and 1.5 over n. */
static Cloud cloud_all(HcGrid g, PetscInt n) {
  Cloud c = cloud_new(n);
  uint64_t state = 20;
  for (PetscInt q = 0; q < n; ++q) {
    const int kind = (int)(3 * next(&state));
    for (int d = 0; d < 3; ++d) {
      const double u = next(&state), v = next(&state);
      const double s = kind == 0 ? u : kind == 1 ? 0.02 + 0.2 * u * v : 0.7 + 0.15 * (u + v - 1);
      c.x[d][q] = g->lower[d] + s * (g->upper[d] - g->lower[d]);
    }
    c.w[q] = (0.5 + next(&state)) / (double)n;
  }
  c.n = n;
  return c;
}

static Cloud cloud_mine(HcGrid g, const Cloud *all) {
  Cloud c = cloud_new(all->n);
  for (PetscInt q = 0; q < all->n; ++q) {
    int mine = 1;
    for (int d = 0; d < g->dim; ++d) {
      PetscInt cell = (PetscInt)floor((all->x[d][q] - g->lower[d]) / g->h[d]);
      cell = PetscMin(PetscMax(cell, 0), g->cells[d] - 1);
      mine = mine && cell >= g->start[d] && cell < g->start[d] + g->n[d];
    }
    if (!mine) continue;
    for (int d = 0; d < 3; ++d) c.x[d][c.n] = all->x[d][q];
    c.w[c.n++] = all->w[q];
  }
  return c;
}

static double *at(HcField f, PetscInt i, PetscInt j, PetscInt k) { return f->c[0] + i + j * f->stride[1] + k * f->stride[2]; }

/* One direction's kernel with all images, not cut off. */
static long double kernel(HcGrid g, int d, double b, int reflect, long double centre, long double x) {
  const long double length = (long double)g->upper[d] - g->lower[d], lower = g->lower[d];
  const int periodic = g->boundary[2 * d] == HC_PERIODIC, images = periodic || reflect ? (int)(40 * b / length) + 2 : 0;
  long double sum = 0;
  for (int m = -images; m <= images; ++m) {
    const long double period = periodic ? length : 2 * length, s = (centre - x + m * period) / b;
    sum += expl(-s * s / 2);
    if (!periodic && reflect) {
      const long double t = (centre - (2 * lower - x) + m * period) / b;
      sum += expl(-t * t / 2);
    }
  }
  return sum / (sqrtl(2 * acosl(-1)) * b);
}

static long double exact(HcGrid g, const HcKdeSpec *s, const Cloud *all, int weighted, const double centre[3]) {
  long double sum = 0;
  for (PetscInt q = 0; q < all->n; ++q) {
    long double v = weighted ? all->w[q] : 1.0L / (long double)all->n;
    for (int d = 0; d < g->dim; ++d) v *= kernel(g, d, s->bandwidth[d], s->reflect, centre[d], all->x[d][q]);
    sum += v;
  }
  return sum;
}

/* Largest difference from the exact sum, and the largest exact value, over all ranks' cells. */
static void compare(HcField f, const HcKdeSpec *s, const Cloud *all, int weighted, double *worst, double *peak) {
  HcGrid g = f->grid;
  double both[2] = {0, 0};
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i) {
        const double centre[3] = {HcGridCentre(g, 0, i), HcGridCentre(g, 1, j), HcGridCentre(g, 2, k)};
        const long double e = exact(g, s, all, weighted, centre);
        both[0] = fmax(both[0], fabs((double)(*at(f, i, j, k) - e)));
        both[1] = fmax(both[1], (double)e);
      }
  MPI_Allreduce(MPI_IN_PLACE, both, 2, MPI_DOUBLE, MPI_MAX, g->comm);
  *worst = both[0];
  *peak = both[1];
}

/* Does every cell hold the bits that one rank alone computes? */
static int same_bits(HcField f, HcField alone) {
  HcGrid g = f->grid;
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i)
        if (memcmp(at(f, i, j, k), at(alone, i + g->start[0], j + g->start[1], k + g->start[2]), sizeof(double))) return 0;
  return 1;
}

typedef struct {
  const char *name;
  PetscInt dim, cells[3];
  HcBoundary boundary[6];
  PetscInt points;
  HcKdeSpec kde;
  int weighted;
} Case;

static HcGridSpec box(const Case *c) {
  HcGridSpec s = {.dim = c->dim, .lower = {-1, 0.5, 0}, .upper = {1, 2, 0.8}};
  for (int d = 0; d < 3; ++d) {
    s.cells[d] = d < c->dim ? c->cells[d] : 1;
    s.boundary[2 * d] = s.boundary[2 * d + 1] = d < c->dim ? c->boundary[2 * d] : HC_REFLECTING;
  }
  return s;
}

/* Mass in the box of the exact kernels, image by image: erf. */
static long double exact_mass(HcGrid g, const HcKdeSpec *s, const Cloud *all, int weighted) {
  long double sum = 0;
  for (PetscInt q = 0; q < all->n; ++q) {
    long double v = weighted ? all->w[q] : 1.0L / (long double)all->n;
    for (int d = 0; d < g->dim; ++d) {
      if (s->reflect || g->boundary[2 * d] == HC_PERIODIC) continue;
      const long double scale = sqrtl(2) * s->bandwidth[d], x = all->x[d][q];
      v *= 0.5L * (erfl((g->upper[d] - x) / scale) - erfl((g->lower[d] - x) / scale));
    }
    sum += v;
  }
  return sum;
}

static PetscErrorCode run_case(const Case *c, HcKdeMethod method) {
  const HcGridSpec spec = box(c);
  const char *way = method == HC_KDE_DIRECT ? "direct" : "binned";
  HcKdeSpec s = c->kde;
  HcGrid g, one;
  HcField f, alone;
  HcKde kde;
  double worst, peak, mass;
  PetscFunctionBeginUser;
  s.method = method;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, &g));
  PetscCall(HcGridCreate(PETSC_COMM_SELF, &spec, &one));
  PetscCall(HcFieldCreate(g, 1, 1, &f));
  PetscCall(HcFieldCreate(one, 1, 0, &alone));
  Cloud all = cloud_all(g, c->points), mine = cloud_mine(g, &all);

  PetscCall(HcKdeCreate(g, &s, &kde));
  const double bound = HcKdeBinningBound(kde);
  PetscCall(HcKdeEvaluate(kde, mine.n, mine.x, c->weighted ? mine.w : NULL, f, 0));
  PetscCall(HcKdeDestroy(&kde));
  PetscCall(HcKdeCreate(one, &s, &kde));
  PetscCall(HcKdeEvaluate(kde, all.n, all.x, c->weighted ? all.w : NULL, alone, 0));
  PetscCall(HcKdeDestroy(&kde));
  tap_ok(same_bits(f, alone), "%s, %s: the bits of one rank", c->name, way);

  compare(f, &s, &all, c->weighted, &worst, &peak);
  /* one kernel's peak times the sum of weights, which is at most 1.5; images may lie on one another */
  double kernels = 1.5;
  for (int d = 0; d < g->dim; ++d) kernels *= fmax(1, 3 * s.bandwidth[d]) * 2 / (sqrt(2 * M_PI) * s.bandwidth[d]);
  if (!s.renormalise) {
    const double allowed = method == HC_KDE_DIRECT ? 1e-10 * peak : bound * kernels;
    if (worst > allowed) fprintf(stderr, "# %s, %s: %.3g of %.3g, allowed %.3g\n", c->name, way, worst, peak, allowed);
    tap_ok(worst <= allowed, "%s, %s: the exact sum", c->name, way);
  }

  PetscCall(HcFieldNorm(f, 0, HC_NORM_SUM, &mass));
  const double total = (double)exact_mass(g, &s, &all, c->weighted);
  double slack = s.renormalise ? 1e-12 : 1e-12 * total;
  for (int d = 0; d < g->dim && !s.renormalise; ++d) slack += 2 * exp(-2 * M_PI * M_PI * pow(s.bandwidth[d] / g->h[d], 2));
  for (int d = 0; d < g->dim; ++d)
    if (!s.reflect && g->boundary[2 * d] != HC_PERIODIC)
      slack += pow(g->h[d] / s.bandwidth[d], 2); /* the midpoint rule at the edge */
  tap_near(mass * g->volume, total, slack, c->name);
  cloud_free(&all);
  cloud_free(&mine);
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcFieldDestroy(&alone));
  PetscCall(HcGridDestroy(&g));
  PetscCall(HcGridDestroy(&one));
  PetscFunctionReturn(0);
}

#define P HC_PERIODIC
#define R HC_REFLECTING
#define O HC_OUTFLOW

static const Case cases[] = {
  {"1D reflecting", 1, {37, 1, 1}, {R, R}, 300, {.bandwidth = {0.09}, .reflect = PETSC_TRUE}, 0},
  {"1D free", 1, {37, 1, 1}, {O, O}, 300, {.bandwidth = {0.09}}, 1},
  {"1D periodic", 1, {37, 1, 1}, {P, P}, 300, {.bandwidth = {0.09}}, 1},
  {"1D periodic, wider than the box", 1, {24, 1, 1}, {P, P}, 100, {.bandwidth = {1.3}}, 0},
  {"1D reflecting, wider than the box", 1, {23, 1, 1}, {R, R}, 100, {.bandwidth = {2.9}, .reflect = PETSC_TRUE}, 1},
  {"1D free, wider than the box", 1, {23, 1, 1}, {R, R}, 100, {.bandwidth = {1.9}}, 1},
  {"1D narrow", 1, {200, 1, 1}, {R, R}, 100, {.bandwidth = {0.011}, .reflect = PETSC_TRUE}, 0},
  {"1D renormalised", 1, {40, 1, 1}, {P, P}, 200, {.bandwidth = {0.013}, .renormalise = PETSC_TRUE}, 1},
  {"1D renormalised point masses", 1, {40, 1, 1}, {R, R}, 200,
    {.bandwidth = {1e-4}, .renormalise = PETSC_TRUE, .reflect = PETSC_TRUE}, 1},
  {"2D reflecting", 2, {23, 30, 1}, {R, R, R, R}, 200, {.bandwidth = {0.2, 0.11}, .reflect = PETSC_TRUE}, 1},
  {"2D periodic and free", 2, {23, 18, 1}, {P, P, O, O}, 200, {.bandwidth = {0.25, 0.15}}, 0},
  {"2D periodic, wide", 2, {13, 18, 1}, {P, P, P, P}, 60, {.bandwidth = {0.7, 0.5}}, 1},
  {"2D renormalised", 2, {23, 30, 1}, {R, R, P, P}, 200,
    {.bandwidth = {0.03, 0.02}, .reflect = PETSC_TRUE, .renormalise = PETSC_TRUE}, 1},
  {"3D mixed", 3, {11, 14, 9}, {R, R, P, P, R, R}, 40, {.bandwidth = {0.25, 0.2, 0.15}, .reflect = PETSC_TRUE}, 1},
  {"3D free", 3, {10, 8, 9}, {O, O, O, O, O, O}, 40, {.bandwidth = {0.4, 0.3, 0.2}}, 0},
};

/* The binned way against the direct one on finer and finer grids: order 2 in the maximum at points of all grids. */
static PetscErrorCode convergence(void) {
  const PetscInt points = 2000;
  double before = 0, order = 0;
  PetscFunctionBeginUser;
  for (PetscInt n = 27; n <= 243; n *= 3) { /* centres of a grid are centres of the grid three times finer */
    const Case c = {.dim = 2, .cells = {n, n, 1}, .boundary = {R, R, P, P}};
    const HcGridSpec spec = box(&c);
    HcGrid g;
    HcField f[2];
    double error;
    PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, &g));
    Cloud all = cloud_all(g, points), mine = cloud_mine(g, &all);
    for (int m = 0; m < 2; ++m) {
      HcKde kde;
      const HcKdeSpec s = {.bandwidth = {0.2, 0.15}, .reflect = PETSC_TRUE, .method = m ? HC_KDE_BINNED : HC_KDE_DIRECT};
      PetscCall(HcFieldCreate(g, 1, 0, &f[m]));
      PetscCall(HcKdeCreate(g, &s, &kde));
      PetscCall(HcKdeEvaluate(kde, mine.n, mine.x, NULL, f[m], 0));
      PetscCall(HcKdeDestroy(&kde));
    }
    PetscCall(HcFieldNormDifference(f[0], 0, f[1], 0, HC_NORM_LINF, &error));
    order = log(before / error) / log(3);
    before = error;
    cloud_free(&all);
    cloud_free(&mine);
    for (int m = 0; m < 2; ++m) PetscCall(HcFieldDestroy(&f[m]));
    PetscCall(HcGridDestroy(&g));
  }
  tap_near(order, 2, 0.15, "binned way: order 2 in the cell width");
  PetscFunctionReturn(0);
}

/* A wall one cell thick across the box with a door beside it: two halves, each keeps its mass. */
static PetscErrorCode walls(void) {
  const HcGridSpec spec = {
    .dim = 2, .cells = {40, 30, 1}, .lower = {-1, 0.5, 0}, .upper = {1, 2, 1}, .boundary = {R, R, R, R, R, R}};
  HcGrid g, both[2];
  HcField f[2];
  Cloud all = {0};
  double least = 0;
  int right = 1;
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, &both[0]));
  PetscCall(HcGridCreate(PETSC_COMM_SELF, &spec, &both[1]));
  for (int m = 0; m < 2; ++m) {
    struct HcFloorPlan_ plan = {0};
    HcKde kde;
    double mass = 0, left = 0, want = 0;
    g = both[m];
    PetscCall(HcFieldCreate(g, 1, 1, &plan.region));
    PetscCall(HcFieldCreate(g, 2, 1, &plan.open));
    PetscCall(HcFieldCreate(g, 1, 0, &f[m]));
    /* wall cells i = 15; a thin wall between j = 19 and 20 right of it */
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i) {
        const PetscInt x = i + g->start[0], y = j + g->start[1], o = i + j * plan.open->stride[1];
        plan.region->c[0][i + j * plan.region->stride[1]] = x == 15 ? HC_WALL : HC_FREE;
        plan.open->c[0][o] = x != 15 && x != 16 && x > 0;
        plan.open->c[1][o] = x != 15 && !(x > 15 && y == 20) && y > 0;
      }
    if (m == 0) {
      all = cloud_all(g, 400);
      for (PetscInt q = 0; q < all.n; ++q) /* nobody stands in the wall */
        if (floor((all.x[0][q] + 1) / g->h[0]) == 15) all.x[0][q] += g->h[0];
    }
    Cloud mine = cloud_mine(g, &all);
    const HcKdeSpec s = {.bandwidth = {0.13, 0.21}, .plan = &plan, .renormalise = PETSC_TRUE};
    PetscCall(HcKdeCreate(g, &s, &kde));
    PetscCall(HcKdeEvaluate(kde, mine.n, mine.x, mine.w, f[m], 0));
    PetscCall(HcKdeDestroy(&kde));
    if (m == 0) {
      for (PetscInt q = 0; q < all.n; ++q) want += all.x[0][q] < -1 + 15 * g->h[0] ? all.w[q] : 0;
      for (PetscInt j = 0; j < g->n[1]; ++j)
        for (PetscInt i = 0; i < g->n[0]; ++i) {
          const double v = *at(f[0], i, j, 0) * g->volume;
          mass += v;
          if (i + g->start[0] < 15) left += v;
          if (i + g->start[0] == 15 && v != 0) right = 0;
          least = fmin(least, v);
        }
      double sums[2] = {mass, left}, total = 0;
      MPI_Allreduce(MPI_IN_PLACE, sums, 2, MPI_DOUBLE, MPI_SUM, g->comm);
      for (PetscInt q = 0; q < all.n; ++q) total += all.w[q];
      tap_near(sums[0], total, 1e-12, "walls: mass");
      tap_near(sums[1], want, 1e-12, "walls: mass on one side");
      tap_ok(right && least >= 0, "walls: none in the wall, none negative");
    }
    cloud_free(&mine);
    PetscCall(HcFieldDestroy(&plan.region));
    PetscCall(HcFieldDestroy(&plan.open));
  }
  tap_ok(same_bits(f[0], f[1]), "walls: the bits of one rank");
  cloud_free(&all);
  for (int m = 0; m < 2; ++m) {
    PetscCall(HcFieldDestroy(&f[m]));
    PetscCall(HcGridDestroy(&both[m]));
  }
  PetscFunctionReturn(0);
}

/* A plan without walls in a reflecting box is the reflecting box; with a wall between two halves it is two boxes. */
static PetscErrorCode plans_are_boxes(PetscInt dim) {
  HcGridSpec spec = {.dim = dim,
    .cells = {20, dim > 1 ? 15 : 1, dim > 2 ? 12 : 1},
    .lower = {-1, 0.5, 0},
    .upper = {1, 2, 0.8},
    .boundary = {R, R, P, P, R, R}};
  struct HcFloorPlan_ plan = {0};
  HcGrid g, half;
  HcField f[3], h;
  double error, most;
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, &g));
  spec.cells[0] = 10;
  spec.upper[0] = 0;
  PetscCall(HcGridCreate(PETSC_COMM_SELF, &spec, &half));
  PetscCall(HcFieldCreate(g, (int)dim, 1, &plan.open));
  Cloud all = cloud_all(g, 300), mine = cloud_mine(g, &all), left = cloud_new(300);
  for (PetscInt q = 0; q < all.n; ++q) {
    if (all.x[0][q] >= 0) continue;
    for (int d = 0; d < 3; ++d) left.x[d][left.n] = all.x[d][q];
    left.w[left.n++] = all.w[q];
  }
  for (int m = 0; m < 3; ++m) { /* without a plan, without walls, with one in the middle */
    HcKde kde;
    const HcKdeSpec s = {
      .bandwidth = {0.25, 0.2, 0.15}, .reflect = PETSC_TRUE, .method = HC_KDE_BINNED, .plan = m ? &plan : NULL};
    for (PetscInt k = 0; k < g->n[2]; ++k)
      for (PetscInt j = 0; j < g->n[1]; ++j)
        for (PetscInt i = 0; i < g->n[0]; ++i)
          for (int d = 0; d < dim; ++d) {
            const PetscInt x = i + g->start[0], z = k + g->start[2];
            plan.open->c[d][i + j * plan.open->stride[1] + k * plan.open->stride[2]] =
              d == 0 ? x > 0 && !(m == 2 && x == 10) : d == 1 || z > 0;
          }
    PetscCall(HcFieldCreate(g, 1, 0, &f[m]));
    PetscCall(HcKdeCreate(g, &s, &kde));
    PetscCall(HcKdeEvaluate(kde, mine.n, mine.x, mine.w, f[m], 0));
    PetscCall(HcKdeDestroy(&kde));
    if (m < 2) continue;
    const HcKdeSpec alone = {.bandwidth = {0.25, 0.2, 0.15}, .reflect = PETSC_TRUE, .method = HC_KDE_BINNED};
    PetscCall(HcFieldCreate(half, 1, 0, &h));
    PetscCall(HcKdeCreate(half, &alone, &kde));
    PetscCall(HcKdeEvaluate(kde, left.n, left.x, left.w, h, 0));
    PetscCall(HcKdeDestroy(&kde));
  }
  PetscCall(HcFieldNormDifference(f[0], 0, f[1], 0, HC_NORM_LINF, &error));
  PetscCall(HcFieldNorm(f[0], 0, HC_NORM_MAX, &most));
  tap_ok(error <= 1e-14 * most, "%dD: a plan without walls is the reflecting box (%.2g)", (int)dim, error / most);
  error = 0;
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i)
        if (i + g->start[0] < 10)
          error = fmax(error, fabs(*at(f[2], i, j, k) - *at(h, i + g->start[0], j + g->start[1], k + g->start[2])));
  tap_ok(error <= 1e-13 * most, "%dD: a wall makes two boxes (%.2g)", (int)dim, error / most);
  cloud_free(&all);
  cloud_free(&mine);
  cloud_free(&left);
  for (int m = 0; m < 3; ++m) PetscCall(HcFieldDestroy(&f[m]));
  PetscCall(HcFieldDestroy(&h));
  PetscCall(HcFieldDestroy(&plan.open));
  PetscCall(HcGridDestroy(&g));
  PetscCall(HcGridDestroy(&half));
  PetscFunctionReturn(0);
}

static int refused(HcGrid g, HcKdeSpec s) {
  HcKde kde = NULL;
  const PetscErrorCode err = HcKdeCreate(g, &s, &kde);
  const int ok = err && HcErrorKind(err) == HC_EXIT_INPUT && HcErrorMessage()[0];
  HcErrorClear();
  HcKdeDestroy(&kde);
  return ok;
}

static PetscErrorCode specification(void) {
  const HcGridSpec spec = {.dim = 2, .cells = {64, 64, 1}, .upper = {1, 1, 1}, .boundary = {P, P, P, P, R, R}};
  struct HcFloorPlan_ plan = {0};
  double *none[3] = {NULL, NULL, NULL}, most;
  HcGrid g;
  HcKde kde;
  HcField f;
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, &g));
  tap_ok(refused(g, (HcKdeSpec){.bandwidth = {0.1, 0}}), "bandwidth 0 is refused");
  tap_ok(refused(g, (HcKdeSpec){.bandwidth = {-1, 1}}), "a negative bandwidth is refused");
  tap_ok(refused(g, (HcKdeSpec){.bandwidth = {0.1, NAN}}), "a bandwidth that is not a number is refused");
  tap_ok(refused(g, (HcKdeSpec){.bandwidth = {0.1, 1e9}}), "a bandwidth out of all proportion is refused");
  tap_ok(refused(g, (HcKdeSpec){.bandwidth = {0.1, 0.1}, .truncation = 40}), "a cut-off too far away is refused");
  tap_ok(
    refused(g, (HcKdeSpec){.bandwidth = {0.1, 0.1}, .method = HC_KDE_DIRECT, .plan = &plan}), "direct with walls is refused");
  PetscCall(HcKdeCreate(g, &(HcKdeSpec){.bandwidth = {0.1, 0.1}}, &kde));
  tap_ok(HcKdeMethodFor(kde, 1e6) == HC_KDE_BINNED && HcKdeMethodFor(kde, 1) == HC_KDE_DIRECT,
    "auto: many points are binned, few are not");
  PetscCall(HcKdeSetBandwidth(kde, (double[3]){0.02, 0.02, 0}));
  tap_ok(HcKdeMethodFor(kde, 1e6) == HC_KDE_DIRECT, "auto: kernels as narrow as cells are not binned");
  PetscCall(HcFieldCreate(g, 1, 0, &f));
  *at(f, 0, 0, 0) = 1;
  PetscCall(HcKdeEvaluate(kde, 0, none, NULL, f, 0));
  PetscCall(HcFieldNorm(f, 0, HC_NORM_LINF, &most));
  tap_ok(most == 0, "no points: no density");
  PetscCall(HcKdeDestroy(&kde));
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
    for (int m = 0; m < 2; ++m) PetscCall(run_case(&cases[i], m ? HC_KDE_BINNED : HC_KDE_DIRECT));
  PetscCall(convergence());
  PetscCall(walls());
  for (PetscInt dim = 1; dim <= 3; ++dim) PetscCall(plans_are_boxes(dim));
  PetscCall(specification());
  return tap_done();
}
