/* Model `density`: the density of a cloud of points from a file, by kernel density estimation. */
#include <halocline/halocline.h>
#include <halocline/kde.h>
#include <halocline/particles.h>
#include <string.h>

static const HcOption options[] = {
  {"grid_lower", HC_OPT_REALS, "", "length", "",
    "Lower corner of the box: one number for all directions, or one a direction; unset: a tenth of the points' extent below "
    "them."},
  {"grid_upper", HC_OPT_REALS, "", "length", "", "Upper corner of the box; unset: a tenth of the points' extent above them."},
  {"density_points", HC_OPT_FILE, NULL, "length", "",
    "Positions: file.h5:/path, N x d numbers, or file.csv, d columns; a first line of names is passed over."},
  {"density_weights", HC_OPT_FILE, "", "", "",
    "Weights of the points: N numbers, none negative, in the same formats; unset: all 1."},
  {"density_bandwidth", HC_OPT_TEXT, "silverman", "length", "",
    "Standard deviation of the kernel: a number, one a direction, scott, silverman, or isj (improved Sheather-Jones)."},
  {"density_method", HC_OPT_WORD, "auto", "", "auto|direct|binned",
    "Sum over points; linear binning and convolution; or whichever is estimated faster, within binning_error."},
  {"density_binning_error", HC_OPT_REAL, "0.03", "", "(0,inf)",
    "Largest error of one binned kernel that auto takes, as a fraction of its peak: the sum over directions of (h/b)^2/8."},
  {"density_truncation", HC_OPT_REAL, "7.7", "bandwidths", "(0,37]", "Distance at which kernels are cut off."},
  {"density_reflect", HC_OPT_BOOL, "true", "", "",
    "Mirror kernels at faces that are not periodic, so that no mass leaves the box."},
  {"density_renormalise", HC_OPT_BOOL, "false", "", "",
    "Scale each point's kernel so that its sum over cells is exactly the point's weight."},
  {"density_normalise", HC_OPT_BOOL, "true", "", "", "Divide by the sum of all weights, so that the density integrates to 1."},
  {"density_outside", HC_OPT_WORD, "refuse", "", "refuse|drop",
    "Points outside the box: an error, or left out (they count in the sum of weights). At periodic faces all are wrapped."},
  {"density_floor_plan", HC_OPT_FILE, "", "", "",
    "PNG of walls that mirror kernels: black wall, white free, green exit (a wall here)."},
  {"density_obstacle", HC_OPT_FIELD, "", "", "x,y,z", "Positive inside walls; a formula or file.h5:/path."},
  {.key = NULL},
};

static const HcColumn columns[] = {{"mass", ""}, {"min", "1/length^d"}, {"max", "1/length^d"}, {NULL, NULL}};

typedef struct Density_ {
  HcRun run;
  HcGrid grid;
  HcPoints points; /* as read, until they are particles */
  HcParticles particles;
  HcFloorPlan plan;
  HcKde kde;
  HcField density;
  HcKdeSpec spec;
  PetscBool normalise, drop;
  double inside, weight; /* points in the box; sum of all weights */
  double reading;        /* bytes of this rank's share of the file */
} * Density;

static const char *const key_points = "density_points", *const key_bandwidth = "density_bandwidth";

/* ---- create ---- */

static PetscErrorCode read_switches(Density m, HcOptions o) {
  PetscInt word;
  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetWord(o, "density_method", &word));
  m->spec.method = (HcKdeMethod)word;
  if (m->spec.method == HC_KDE_AUTO) PetscCall(HcOptionsGetReal(o, "density_binning_error", &m->spec.binning_error));
  PetscCall(HcOptionsGetReal(o, "density_truncation", &m->spec.truncation));
  PetscCall(HcOptionsGetBool(o, "density_reflect", &m->spec.reflect));
  PetscCall(HcOptionsGetBool(o, "density_renormalise", &m->spec.renormalise));
  PetscCall(HcOptionsGetBool(o, "density_normalise", &m->normalise));
  PetscCall(HcOptionsGetWord(o, "density_outside", &word));
  m->drop = word == 1 ? PETSC_TRUE : PETSC_FALSE;
  PetscFunctionReturn(0);
}

/* The number of directions before there is a grid. What is wrong with the keys shows when the grid is made. */
static PetscErrorCode read_dimension(HcOptions o, PetscInt *dim) {
  PetscInt cells[16], n = 16;
  PetscFunctionBeginUser;
  *dim = 0;
  PetscCall(HcOptionsGetInt(o, "grid_dim", dim));
  PetscCall(HcOptionsGetInts(o, "grid_cells", &n, cells));
  if (*dim == 0) *dim = n;
  if (n == 0 || n > 3)
    PetscCall(HcOptionsFail(o, "grid_cells", "give the number of cells in each of 1 to 3 directions, such as 64,64"));
  PetscFunctionReturn(0);
}

/* A box around the points where none is given. */
static PetscErrorCode choose_box(Density m, HcOptions o, PetscInt dim) {
  double corner[2][3];
  PetscFunctionBeginUser;
  if (HcOptionsIsSet(o, "grid_lower") && HcOptionsIsSet(o, "grid_upper")) PetscFunctionReturn(0);
  PetscCall(HcPointsBox(m->points, corner[0], corner[1]));
  for (int side = 0; side < 2; ++side) {
    char text[3 * 32] = "";
    size_t at = 0;
    for (PetscInt d = 0; d < dim; ++d) {
      const double extent = corner[1][d] - corner[0][d], margin = extent > 0 ? 0.1 * extent : 0.5;
      at += (size_t)snprintf(text + at, sizeof text - at, "%s%.17g", d ? "," : "", corner[side][d] + (side ? margin : -margin));
    }
    PetscCall(HcOptionsSetDerived(o, side ? "grid_upper" : "grid_lower", text));
  }
  PetscFunctionReturn(0);
}

/* Bring points into periodic directions, and leave out those outside the others if that is wanted. */
static PetscErrorCode place_points(Density m) {
  HcGrid g = m->grid;
  HcPoints p = m->points;
  PetscInt kept = 0;
  PetscFunctionBeginUser;
  PetscCall(HcSum(g->comm, p->total, p->n, p->weight, &m->weight));
  for (PetscInt q = 0; q < p->n; ++q) {
    PetscBool inside = PETSC_TRUE;
    for (int d = 0; d < g->dim; ++d) {
      const double lower = g->lower[d], upper = g->upper[d];
      double *x = &p->x[d][q];
      if (*x >= lower && *x <= upper) continue;
      if (g->boundary[2 * d] == HC_PERIODIC)
        *x = PetscMin(PetscMax(*x - (upper - lower) * floor((*x - lower) / (upper - lower)), lower), upper);
      else
        inside = PETSC_FALSE;
    }
    if (m->drop && !inside) continue;
    for (int d = 0; d < g->dim; ++d) p->x[d][kept] = p->x[d][q];
    p->weight[kept++] = p->weight[q];
  }
  p->n = kept;
  PetscFunctionReturn(0);
}

static PetscErrorCode take_points(Density m, HcOptions o) {
  PetscFunctionBeginUser;
  PetscCall(place_points(m));
  PetscCall(HcParticlesCreate(m->grid, m->points->n, &m->particles));
  PetscCall(HcParticlesAddPoints(m->particles, m->points, 0, o, key_points));
  m->reading = 8.0 * (double)(m->grid->dim + 1) * (double)m->points->n;
  PetscCall(HcPointsDestroy(&m->points));
  PetscCall(HcParticlesCount(m->particles, &m->inside));
  if (m->normalise) {
    if (!(m->weight > 0))
      PetscCall(HcOptionsFail(o, "density_weights", "the sum of the weights is %g: nothing to normalise", m->weight));
    for (PetscInt q = 0; q < m->particles->n; ++q) m->particles->weight[q] /= m->weight;
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode read_walls(Density m, HcOptions o) {
  const char *plan, *obstacle;
  long long buried = 0;
  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetText(o, "density_floor_plan", &plan));
  PetscCall(HcOptionsGetText(o, "density_obstacle", &obstacle));
  if (!plan[0] && !obstacle[0]) PetscFunctionReturn(0);
  if (m->spec.method == HC_KDE_DIRECT)
    PetscCall(HcOptionsFail(o, "density_method", "between walls the density is binned: auto or binned"));
  PetscCall(HcFloorPlanCreate(o, "density_floor_plan", "density_obstacle", m->grid, &m->plan));
  m->spec.plan = m->plan;
  HcField region = m->plan->region;
  for (PetscInt q = 0; q < m->particles->n; ++q) {
    PetscInt cell[3] = {0, 0, 0};
    for (int d = 0; d < m->grid->dim; ++d) cell[d] = HcGridCellOf(m->grid, d, m->particles->x[d][q]) - m->grid->start[d];
    buried += region->c[0][cell[0] + cell[1] * region->stride[1] + cell[2] * region->stride[2]] == HC_WALL;
  }
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &buried, 1, MPI_LONG_LONG, MPI_SUM, m->grid->comm));
  if (buried) PetscCall(HcOptionsFail(o, key_points, "%lld of the points lie inside walls", buried));
  PetscFunctionReturn(0);
}

/* A failure in words without a key becomes one about the bandwidth. */
static PetscErrorCode blame_bandwidth(HcOptions o, PetscErrorCode err) {
  char message[512];
  PetscFunctionBeginUser;
  if (!err || HcErrorKind(err) != HC_EXIT_INPUT) PetscFunctionReturn(err);
  PetscCall(PetscStrncpy(message, HcErrorMessage(), sizeof message));
  HcErrorClear();
  PetscFunctionReturn(HcOptionsFail(o, key_bandwidth, "%s", message));
}

static PetscErrorCode read_bandwidth(Density m, HcOptions o) {
  static const char *const rule[] = {"scott", "silverman", "isj"};
  const char *text;
  char *end;
  double value[3];
  PetscInt n = 0, dim = m->grid->dim;
  HcParticles p = m->particles;
  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetText(o, key_bandwidth, &text));
  for (int r = 0; r < 3; ++r)
    if (!strcmp(text, rule[r])) {
      const PetscErrorCode err = HcBandwidthFromPoints(m->grid, (HcBandwidthRule)r, p->n, p->x, p->weight, m->spec.bandwidth);
      PetscCall(blame_bandwidth(o, err));
      PetscFunctionReturn(0);
    }
  for (const char *at = text;; at = end + 1) {
    const double b = strtod(at, &end);
    while (*end == ' ') ++end;
    if (end == at || (*end && *end != ',') || n == 3)
      PetscCall(HcOptionsFail(o, key_bandwidth, "must be a number, %lld of them, scott, silverman or isj", (long long)dim));
    if (!(b > 0 && b < PETSC_INFINITY)) PetscCall(HcOptionsFail(o, key_bandwidth, "must be greater than 0"));
    value[n++] = b;
    if (!*end) break;
  }
  if (n != 1 && n != dim)
    PetscCall(HcOptionsFail(o, key_bandwidth, "%lld numbers for a grid of %lld dimensions; give one, or one a direction",
      (long long)n, (long long)dim));
  for (PetscInt d = 0; d < dim; ++d) m->spec.bandwidth[d] = value[n == 1 ? 0 : d];
  PetscFunctionReturn(0);
}

static PetscErrorCode density_create(HcRun run, void **ctx) {
  const unsigned allowed = 1u << HC_PERIODIC | 1u << HC_REFLECTING | 1u << HC_OUTFLOW;
  HcOptions o = HcRunOptions(run);
  HcGridSpec spec;
  PetscInt dim;
  Density m;
  PetscFunctionBeginUser;
  PetscCall(PetscNew(&m));
  *ctx = m;
  m->run = run;
  PetscCall(read_switches(m, o));
  PetscCall(read_dimension(o, &dim));
  PetscCall(HcPointsRead(HcRunComm(run), o, key_points, "density_weights", dim, &m->points));
  PetscCall(choose_box(m, o, dim));
  if (!HcOptionsIsSet(o, "grid_boundary"))
    PetscCall(HcOptionsSetDerived(o, "grid_boundary", m->spec.reflect ? "reflecting" : "outflow"));
  PetscCall(HcGridSpecFromOptions(o, allowed, &spec));
  PetscCall(HcGridCreate(HcRunComm(run), &spec, &m->grid));
  PetscCall(take_points(m, o));
  PetscCall(read_walls(m, o));
  PetscCall(read_bandwidth(m, o));
  PetscCall(blame_bandwidth(o, HcKdeCreate(m->grid, &m->spec, &m->kde)));
  PetscFunctionReturn(0);
}

static PetscErrorCode density_plan(void *ctx, HcPlan *plan) {
  Density m = ctx;
  HcGrid g = m->grid;
  const double file = 8 * HcGridTotalCells(g);
  const double estimate = HcFieldBytes(g, 1, 0) + HcKdeBytes(m->kde, HcKdeMethodFor(m->kde, m->inside));
  double bytes = HcParticlesMemory(m->particles) + PetscMax(estimate, m->reading);
  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_DOUBLE, MPI_MAX, g->comm));
  plan->dim = g->dim;
  for (int d = 0; d < 3; ++d) plan->cells[d] = g->cells[d];
  plan->grid = g;
  plan->bytes_per_rank = bytes;
  plan->bytes_per_output = plan->bytes_per_checkpoint = file;
  plan->cell_updates = plan->updates_per_step = HcGridTotalCells(g);
  PetscFunctionReturn(0);
}

/* ---- run ---- */

static PetscErrorCode density_setup(void *ctx, HcClock *clock) {
  Density m = ctx;
  PetscFunctionBeginUser;
  clock->end = 0;
  PetscCall(HcFieldCreate(m->grid, 1, 0, &m->density));
  PetscFunctionReturn(0);
}

/* The estimate is one iteration; a run that was stopped after it has nothing left to do. */
static PetscErrorCode density_iterate(void *ctx, HcClock *clock, HcIterationDone done, void *driver) {
  Density m = ctx;
  HcParticles p = m->particles;
  PetscBool stop;
  PetscFunctionBeginUser;
  if (clock->step) PetscFunctionReturn(0);
  PetscCall(HcKdeEvaluate(m->kde, p->n, p->x, p->weight, m->density, 0));
  clock->step = 1;
  PetscCall(done(driver, clock, &stop));
  PetscFunctionReturn(0);
}

static PetscErrorCode density_diagnose(void *ctx, const HcClock *clock, double row[]) {
  Density m = ctx;
  (void)clock;
  PetscFunctionBeginUser;
  PetscCall(HcFieldNorm(m->density, 0, HC_NORM_SUM, &row[0]));
  row[0] *= m->grid->volume;
  PetscCall(HcFieldNorm(m->density, 0, HC_NORM_MIN, &row[1]));
  PetscCall(HcFieldNorm(m->density, 0, HC_NORM_MAX, &row[2]));
  PetscFunctionReturn(0);
}

static PetscErrorCode density_write(void *ctx, double t, HcOutput out) {
  Density m = ctx;
  (void)t;
  PetscFunctionBeginUser;
  PetscCall(HcOutputField(out, "density", m->density, 0, "1/length^d", "kernel density estimate of the points"));
  PetscFunctionReturn(0);
}

static PetscErrorCode density_save(void *ctx, HcCheckpoint ck) {
  Density m = ctx;
  PetscFunctionBeginUser;
  PetscCall(HcCheckpointPutField(ck, "density", m->density, 0));
  PetscFunctionReturn(0);
}

static PetscErrorCode density_load(void *ctx, HcCheckpoint ck) {
  Density m = ctx;
  PetscFunctionBeginUser;
  PetscCall(HcCheckpointGetField(ck, "density", m->density, 0));
  PetscFunctionReturn(0);
}

static PetscErrorCode density_results(void *ctx, const HcClock *clock) {
  Density m = ctx;
  double row[3];
  PetscFunctionBeginUser;
  PetscCall(density_diagnose(ctx, clock, row));
  PetscCall(HcRunResultReal(m->run, "mass", row[0]));
  if (m->inside < (double)PETSC_MAX_INT)
    PetscCall(HcRunResultInt(m->run, "particles_inside", (PetscInt)m->inside));
  else
    PetscCall(HcRunResultReal(m->run, "particles_inside", m->inside));
  PetscCall(HcRunResultReals(m->run, "bandwidth", m->grid->dim, m->spec.bandwidth));
  PetscCall(HcRunResultReal(m->run, "max", row[2]));
  PetscCall(HcRunResultBool(m->run, "binned", HcKdeMethodFor(m->kde, m->inside) == HC_KDE_BINNED ? PETSC_TRUE : PETSC_FALSE));
  PetscFunctionReturn(0);
}

static PetscErrorCode density_destroy(void **ctx) {
  Density m = *ctx;
  PetscFunctionBeginUser;
  if (!m) PetscFunctionReturn(0);
  PetscCall(HcKdeDestroy(&m->kde));
  PetscCall(HcFieldDestroy(&m->density));
  if (m->plan) PetscCall(HcFloorPlanDestroy(&m->plan));
  if (m->particles) PetscCall(HcParticlesDestroy(&m->particles));
  if (m->points) PetscCall(HcPointsDestroy(&m->points));
  PetscCall(HcGridDestroy(&m->grid));
  PetscCall(PetscFree(m));
  *ctx = NULL;
  PetscFunctionReturn(0);
}

const HcModel HcModelDensity = {
  .name = "density",
  .title = "density of a cloud of points, by kernel density estimation",
  .options = options,
  .columns = columns,
  .figure = "mass",
  .fields = "density",
  .create = density_create,
  .plan = density_plan,
  .setup = density_setup,
  .iterate = density_iterate,
  .diagnose = density_diagnose,
  .write = density_write,
  .save = density_save,
  .load = density_load,
  .results = density_results,
  .destroy = density_destroy,
};
