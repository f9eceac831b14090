/* parallel: particles: point clouds from files, interpolation, deposition, files, checkpoints, memory. */
#include "tap.h"
#include <halocline/particles.h>
#include <halocline/random.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int rank, size;
static char folder[64];

/* clang-format off */
static const HcOption table[] = {
  {"density_points", HC_OPT_TEXT, "", "", "", "Points."},
  {"density_weights", HC_OPT_TEXT, "", "", "", "Weights."},
  {NULL, HC_OPT_BOOL, NULL, NULL, NULL, NULL}};
/* clang-format on */

static void write_text(const char *name, const char *text) {
  char path[128];
  if (rank == 0) {
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f)) abort();
  }
  MPI_Barrier(PETSC_COMM_WORLD);
}

static PetscErrorCode options(const char *points, const char *weights, HcOptions *opts) {
  char yaml[256], path[128], *argv[] = {"test", path, NULL};
  PetscFunctionBeginUser;
  snprintf(yaml, sizeof yaml, "density: {points: \"%s\"%s%s%s}\n", points, *weights ? ", weights: \"" : "", weights,
    *weights ? "\"" : "");
  snprintf(path, sizeof path, "%s/input.yaml", folder);
  write_text("input.yaml", yaml);
  PetscCall(HcOptionsCreate(PETSC_COMM_WORLD, 2, argv, opts));
  PetscCall(HcOptionsAddTable(*opts, table));
  PetscFunctionReturn(0);
}

static PetscErrorCode read_points(const char *points, const char *weights, PetscInt dim, HcPoints *p) {
  HcOptions opts;
  PetscFunctionBeginUser;
  PetscCall(options(points, weights, &opts));
  PetscErrorCode code = HcPointsRead(PETSC_COMM_WORLD, opts, "density_points", "density_weights", dim, p);
  PetscCall(HcOptionsDestroy(&opts));
  PetscFunctionReturn(code);
}

/* Refused with a line that has both words. */
static void refused(const char *points, const char *weights, PetscInt dim, const char *one, const char *two) {
  HcPoints p = NULL;
  const PetscErrorCode code = read_points(points, weights, dim, &p);
  const int good = HcErrorKind(code) == HC_EXIT_INPUT && strstr(HcErrorMessage(), one) && strstr(HcErrorMessage(), two);
  if (!good && !rank) fprintf(stderr, "# '%s' '%s'\n# %s\n", one, two, HcErrorMessage());
  tap_ok(good && !p, "refused: %s %s: %s", points, one, two);
  HcErrorClear();
}

static PetscErrorCode test_csv(void) {
  enum { N = 1000 };
  HcPoints p;
  char *text, *weights;
  size_t k = 0, w = 0;
  double lower[3], upper[3], total;
  int ok = 1;
  PetscFunctionBeginUser;
  PetscCall(PetscMalloc2(N * 64, &text, N * 32, &weights));
  k += (size_t)snprintf(text, 200, "# a cloud\n\nx; y\n");
  for (int q = 0; q < N; ++q) {
    k += (size_t)snprintf(text + k, 64,
      q % 3   ? "%.17g,%.17g\n"
      : q % 2 ? " %.17g ;\t%.17g\r\n"
              : "%.17g %.17g\n",
      q / 7., -q / 3.);
    if (q % 100 == 0) k += (size_t)snprintf(text + k, 64, "# and so on\n");
    w += (size_t)snprintf(weights + w, 32, "%d%s", q % 11, q == N - 1 ? "" : "\n"); /* no end of line at the end */
  }
  write_text("cloud.csv", text);
  write_text("weights.csv", weights);
  PetscCall(read_points("cloud.csv", "weights.csv", 2, &p));
  for (PetscInt q = 0; q < p->n; ++q) {
    const int row = (int)p->first + (int)q;
    ok = ok && p->x[0][q] == row / 7. && p->x[1][q] == -row / 3. && p->weight[q] == row % 11;
  }
  double mine = (double)p->n;
  PetscCallMPI(MPI_Allreduce(&mine, &total, 1, MPI_DOUBLE, MPI_SUM, PETSC_COMM_WORLD));
  tap_ok(ok && total == N && p->total == N, "a text file with names, remarks and all separators, and weights of another file");
  PetscCall(HcPointsBox(p, lower, upper));
  tap_ok(lower[0] == 0 && upper[0] == (N - 1) / 7. && lower[1] == -(N - 1) / 3. && upper[1] == 0, "its box");
  PetscCall(HcPointsDestroy(&p));
  PetscCall(PetscFree2(text, weights));
  write_text("one.csv", "3.5");
  PetscCall(read_points("one.csv", "", 1, &p));
  tap_ok(p->total == 1 && (p->n == 0 || p->x[0][0] == 3.5), "one number without end of line");
  PetscCall(HcPointsDestroy(&p));
  write_text("word.csv", "x,y\n1,2\n3,4\n5,oops\n7,8\n");
  write_text("nan.csv", "1,2\n3,nan\n");
  write_text("narrow.csv", "1,2\n\n# three\n3\n");
  write_text("wide.csv", "1,2\n3,4,5\n");
  write_text("gap.csv", "1,2\n3,,5\n");
  write_text("empty.csv", "");
  write_text("names.csv", "x,y\n");
  write_text("minus.csv", "1\n-2\n");
  write_text("three.csv", "1\n2\n3\n");
  write_text("two.csv", "1,1\n2,2\n");
  refused("word.csv", "", 2, "word.csv:4", "'oops' is not a number");
  refused("nan.csv", "", 2, "nan.csv:2", "not a finite number");
  refused("narrow.csv", "", 2, "narrow.csv:4", "1 column; 2 needed");
  refused("wide.csv", "", 2, "wide.csv:2", "3 columns; 2 needed");
  refused("gap.csv", "", 2, "gap.csv:2", "is not a number");
  refused("empty.csv", "", 2, "density_points", "no points");
  refused("names.csv", "", 2, "density_points", "no points");
  refused("absent.csv", "", 2, "density_points", "No such file");
  refused("two.csv", "minus.csv", 2, "density_weights", "value 2 is negative");
  refused("two.csv", "three.csv", 2, "density_weights", "3 weights for the 2 points");
  refused("two.h5", "", 2, "density_points", "behind the colon");
  refused("two.csv:/x", "", 2, "density_points", "No such file");
  refused("absent.h5:/x", "", 2, "density_points", "No such file");
  PetscFunctionReturn(0);
}

/* ---- particles to be compared ---- */

static HcGridSpec spec_of(PetscInt dim) {
  HcGridSpec s = {.dim = dim,
    .cells = {12, dim > 1 ? 9 : 1, dim > 2 ? 8 : 1},
    .lower = {-1, 0.5, 2},
    .upper = {1.3, 1.7, 3.1},
    .boundary = {HC_PERIODIC, HC_PERIODIC, HC_REFLECTING, HC_REFLECTING, HC_REFLECTING, HC_EXIT},
    .min_block = 2};
  return s;
}

static PetscErrorCode sampled(MPI_Comm comm, PetscInt dim, HcGrid *g, HcParticles *p) {
  HcGridSpec s = spec_of(dim);
  HcField f;
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(comm, &s, g));
  PetscCall(HcFieldCreate(*g, 1, 0, &f));
  for (PetscInt k = 0; k < (*g)->n[2]; ++k)
    for (PetscInt j = 0; j < (*g)->n[1]; ++j)
      for (PetscInt i = 0; i < (*g)->n[0]; ++i)
        f->c[0][i + j * f->stride[1] + k * f->stride[2]] = 1 + (double)(((*g)->start[0] + i + 3 * ((*g)->start[1] + j)) % 4);
  PetscCall(HcParticlesCreate(*g, 0, p));
  PetscCall(HcParticlesSample(*p, f, 0, 4001, 1, 0, 6));
  for (PetscInt q = 0; q < (*p)->n; ++q) (*p)->weight[q] *= 1 + 0.1 * (double)((*p)->id[q] % 5);
  PetscCall(HcFieldDestroy(&f));
  PetscFunctionReturn(0);
}

static PetscErrorCode fingerprint(HcParticles p, uint64_t *print) {
  uint64_t sum = 0;
  PetscFunctionBeginUser;
  for (PetscInt q = 0; q < p->n; ++q) {
    uint64_t h = p->id[q] * 0x9E3779B97F4A7C15u, b;
    for (int d = 0; d <= p->grid->dim; ++d) {
      memcpy(&b, d < p->grid->dim ? &p->x[d][q] : &p->weight[q], 8);
      h = (h ^ b) * 0xBF58476D1CE4E5B9u;
      h ^= h >> 29;
    }
    sum += h;
  }
  PetscCallMPI(MPI_Allreduce(&sum, print, 1, MPI_UINT64_T, MPI_SUM, p->grid->comm));
  PetscFunctionReturn(0);
}

/* ---- interpolation ---- */

static double polynomial(HcInterpolation rule, PetscInt dim, const double x[3]) {
  const double y = dim > 1 ? x[1] : 0, z = dim > 2 ? x[2] : 0;
  if (rule == HC_LINEAR) return (1 + 0.3 * x[0]) * (2 - 0.7 * y) * (1 + 0.2 * z);
  return (1 + x[0] - 0.5 * x[0] * x[0] * x[0]) * (2 - y * y + 0.1 * y * y * y) * (1 + 0.2 * z * z);
}

/* Exact for polynomials of degree 1, or 3, in each direction: with ghosts that hold them. */
static PetscErrorCode test_interpolation(PetscInt dim, HcInterpolation rule) {
  const PetscInt w = HcInterpolationWidth(rule), wy = dim > 1 ? w : 0, wz = dim > 2 ? w : 0;
  HcGrid g;
  HcParticles p;
  HcField f;
  double *out, worst = 0, largest = 0;
  PetscFunctionBeginUser;
  PetscCall(sampled(PETSC_COMM_WORLD, dim, &g, &p));
  PetscCall(HcFieldCreate(g, 1, w, &f));
  for (PetscInt k = -wz; k < g->n[2] + wz; ++k)
    for (PetscInt j = -wy; j < g->n[1] + wy; ++j)
      for (PetscInt i = -w; i < g->n[0] + w; ++i) {
        const double x[3] = {HcGridCentre(g, 0, i), HcGridCentre(g, 1, j), HcGridCentre(g, 2, k)};
        f->c[0][i + j * f->stride[1] + k * f->stride[2]] = polynomial(rule, dim, x);
        largest = fmax(largest, fabs(polynomial(rule, dim, x)));
      }
  PetscCall(PetscMalloc1(p->n + 1, &out));
  PetscCall(HcParticlesInterpolate(p, f, 0, rule, out));
  for (PetscInt q = 0; q < p->n; ++q) {
    const double x[3] = {p->x[0][q], dim > 1 ? p->x[1][q] : 0, dim > 2 ? p->x[2][q] : 0};
    worst = fmax(worst, fabs(out[q] - polynomial(rule, dim, x)));
  }
  /* weights of up to 64 points carry relative errors of some 10 units, and the place in the cell one of x/h = 30 */
  tap_ok(worst < 3e-14 * largest, "%dD %s interpolation is exact for polynomials (%.1g)", (int)dim,
    rule == HC_CUBIC ? "cubic" : "linear", worst);
  PetscCall(PetscFree(out));
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

static PetscErrorCode deposit_on(MPI_Comm comm, PetscInt dim, double r[4]) {
  HcGrid g;
  HcParticles p;
  HcField f;
  PetscFunctionBeginUser;
  PetscCall(sampled(comm, dim, &g, &p));
  PetscCall(HcFieldCreate(g, 1, 1, &f));
  PetscCall(HcParticlesDeposit(p, f, 0));
  PetscCall(HcFieldNorm(f, 0, HC_NORM_SUM, &r[0]));
  PetscCall(HcFieldNorm(f, 0, HC_NORM_L2, &r[1]));
  PetscCall(HcFieldNorm(f, 0, HC_NORM_MAX, &r[2]));
  PetscCall(HcSum(comm, 4001, p->n, p->weight, &r[3]));
  r[0] *= g->volume;
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

static PetscErrorCode test_deposit(PetscInt dim) {
  double one[4], all[4];
  PetscFunctionBeginUser;
  PetscCall(deposit_on(PETSC_COMM_SELF, dim, one));
  PetscCall(deposit_on(PETSC_COMM_WORLD, dim, all));
  tap_ok(!memcmp(one, all, sizeof one), "%dD deposition: the same bits as on one rank", (int)dim);
  tap_near(all[0], all[3], 1e-14 * all[3], "its integral is the weight of all");
  PetscFunctionReturn(0);
}

/* ---- files ---- */

static PetscErrorCode test_file(PetscInt dim) {
  HcGrid g;
  HcParticles p, again;
  HcOptions opts;
  HcPoints points;
  char name[128];
  uint64_t a, b, hash;
  double total;
  PetscBool owned;
  int sorted = 1;
  PetscFunctionBeginUser;
  PetscCall(sampled(PETSC_COMM_WORLD, dim, &g, &p));
  PetscCall(HcParticlesWrite(folder, p, 3, 12, 0.25, 0));
  PetscCall(options("particles_000003.h5:/particles/position", "particles_000003.h5:/particles/weight", &opts));
  PetscCall(HcPointsRead(PETSC_COMM_WORLD, opts, "density_points", "density_weights", dim, &points));
  PetscCall(HcParticlesCreate(g, 0, &again));
  PetscCall(HcParticlesAddPoints(again, points, 0, opts, "density_points"));
  PetscCall(HcPointsDestroy(&points));
  PetscCall(HcOptionsDestroy(&opts));
  /* ids are now rows: take them out of the comparison */
  for (PetscInt q = 0; q < p->n; ++q) p->id[q] = 0;
  PetscCall(HcParticlesCheck(again, &owned, &hash));
  PetscCall(HcParticlesCount(again, &total));
  for (PetscInt q = 0; q < again->n; ++q) again->id[q] = 0;
  PetscCall(fingerprint(p, &a));
  PetscCall(fingerprint(again, &b));
  tap_ok(a == b && owned && total == 4001, "%dD: a file of particles, read back as points, has every bit", (int)dim);
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcParticlesDestroy(&again));
  PetscCall(HcGridDestroy(&g));
  PetscCall(sampled(PETSC_COMM_WORLD, dim, &g, &p));
  PetscCall(HcParticlesWrite(folder, p, 4, 13, 0.5, 100));
  PetscCall(read_points("particles_000004.h5:/particles/id", "", 1, &points));
  for (PetscInt q = 0; q < points->n; ++q) sorted = sorted && points->x[0][q] == 100 * (points->first + (double)q);
  tap_ok(points->total == 41 && sorted, "%dD: a chosen sample, sorted by identity", (int)dim);
  PetscCall(HcPointsDestroy(&points));
  if (dim > 1) {
    int blocks = 0;
    PetscCall(HcParticlesWrite(folder, p, 4, 13, 0.5, 0)); /* a continuation writes it again */
    if (rank == 0) {
      char line[256];
      snprintf(name, sizeof name, "%s/particles.xmf", folder);
      FILE *f = fopen(name, "r");
      while (f && fgets(line, sizeof line, f)) blocks += strstr(line, "Grid Name=\"particles_") != NULL;
      if (f) fclose(f);
    }
    PetscCallMPI(MPI_Bcast(&blocks, 1, MPI_INT, 0, PETSC_COMM_WORLD));
    tap_ok(blocks == 2, "%dD: the index lists each file once (%d)", (int)dim, blocks);
  }
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcGridDestroy(&g));
  refused("particles_000003.h5:/particles/position", "", dim == 3 ? 2 : 3, "density_points", "columns");
  refused("particles_000003.h5:/particles/nothing", "", dim, "density_points", "does not exist");
  refused("particles_000003.h5:/particles", "", dim, "density_points", "is not a data set");
  PetscFunctionReturn(0);
}

static PetscErrorCode test_outside(void) {
  HcGridSpec s = spec_of(2);
  HcGrid g;
  HcParticles p;
  HcOptions opts;
  HcPoints points;
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
  PetscCall(HcParticlesCreate(g, 0, &p));
  write_text("out.csv", "0,1\n1.3,1\n0,1.7\n0,1.70001\n");
  PetscCall(options("out.csv", "", &opts));
  PetscCall(HcPointsRead(PETSC_COMM_WORLD, opts, "density_points", NULL, 2, &points));
  PetscErrorCode code = HcParticlesAddPoints(p, points, 0, opts, "density_points");
  tap_ok(HcErrorKind(code) == HC_EXIT_INPUT && strstr(HcErrorMessage(), "point 4 is at y = 1.70001"),
    "a point outside the box is named, those on its faces are inside");
  HcErrorClear();
  PetscCall(HcPointsDestroy(&points));
  PetscCall(HcOptionsDestroy(&opts));
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

/* Written by all ranks, read by all, and by each alone: the same particles. */
static PetscErrorCode test_checkpoint(PetscInt dim) {
  HcGrid g, one;
  HcParticles p, whole;
  HcCheckpoint ck;
  char file[PETSC_MAX_PATH_LEN];
  PetscInt step;
  uint64_t a, b, c;
  PetscBool owned;
  PetscFunctionBeginUser;
  PetscCall(sampled(PETSC_COMM_WORLD, dim, &g, &p));
  PetscCall(sampled(PETSC_COMM_SELF, dim, &one, &whole));
  p->absorbed = 17;
  PetscCall(fingerprint(p, &a));
  PetscCall(HcCheckpointCreate(folder, "density", PETSC_COMM_WORLD, dim, &ck));
  PetscCall(HcCheckpointPutParticles(ck, "cloud", p));
  PetscCall(HcCheckpointClose(&ck, 0));
  p->n = 0;
  p->absorbed = 0;
  PetscCall(HcCheckpointFind(folder, PETSC_COMM_WORLD, dim, file, &step));
  PetscCall(HcCheckpointOpen(file, "density", PETSC_COMM_WORLD, &ck));
  PetscCall(HcCheckpointGetParticles(ck, "cloud", p));
  PetscCall(HcCheckpointClose(&ck, 0));
  PetscCall(fingerprint(p, &b));
  PetscCall(HcParticlesCheck(p, &owned, &c));
  PetscCall(HcCheckpointOpen(file, "density", PETSC_COMM_SELF, &ck));
  PetscCall(HcCheckpointGetParticles(ck, "cloud", whole));
  PetscCall(HcCheckpointClose(&ck, 0));
  PetscCall(fingerprint(whole, &c));
  tap_ok(
    a == b && a == c && owned && p->absorbed == 17, "%dD: a checkpoint restores every bit, on all ranks and on one", (int)dim);
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcParticlesDestroy(&whole));
  PetscCall(HcGridDestroy(&g));
  PetscCall(HcGridDestroy(&one));
  PetscFunctionReturn(0);
}

static PetscErrorCode test_memory(void) {
  HcGridSpec s = spec_of(3);
  HcGrid g;
  HcParticles p;
  const double n = 1e6;
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
  PetscCall(HcParticlesCreate(g, (PetscInt)n, &p));
  tap_ok(HcParticlesMemory(p) / n < 64, "memory a particle in 3D: %.1f bytes", HcParticlesMemory(p) / n);
  tap_ok(HcParticlesBytes(g, n, 0.1) / n < 64 * 1.1, "with a tenth of them moving: %.1f bytes", HcParticlesBytes(g, n, 0.1) / n);
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  MPI_Comm_rank(PETSC_COMM_WORLD, &rank);
  MPI_Comm_size(PETSC_COMM_WORLD, &size);
  snprintf(folder, sizeof folder, P_tmpdir "/halocline_particles_XXXXXX");
  if (rank == 0 && !mkdtemp(folder)) abort();
  PetscCallMPI(MPI_Bcast(folder, (int)sizeof folder, MPI_CHAR, 0, PETSC_COMM_WORLD));
  PetscCall(test_csv());
  for (PetscInt dim = 1; dim <= 3; ++dim) {
    for (int rule = 0; rule < 2; ++rule) PetscCall(test_interpolation(dim, (HcInterpolation)rule));
    PetscCall(test_deposit(dim));
    PetscCall(test_file(dim));
    PetscCall(test_checkpoint(dim));
  }
  PetscCall(test_outside());
  PetscCall(test_memory());
  MPI_Barrier(PETSC_COMM_WORLD);
  if (rank == 0) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command)) abort();
  }
  return tap_done();
}
