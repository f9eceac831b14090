/* Decomposition, storage of fields, and the `grid` section of the input (parallel). */
#include "tap.h"
#include <halocline/grid.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static HcGridSpec make_spec(PetscInt dim, PetscInt nx, PetscInt ny, PetscInt nz, HcBoundary boundary, PetscInt min_block) {
  HcGridSpec s = {.dim = dim, .cells = {nx, ny, nz}, .lower = {-1, 0, 0.5}, .upper = {2, 1, 3}, .min_block = min_block};
  for (int i = 0; i < 6; ++i) s.boundary[i] = boundary;
  return s;
}

/* Every cell has one owner, and owners and neighbours agree about where they are. */
static PetscErrorCode test_blocks(PetscInt dim, PetscInt nx, PetscInt ny, PetscInt nz, HcBoundary boundary) {
  const HcGridSpec s = make_spec(dim, nx, ny, nz, boundary, 1);
  HcGrid g;
  int ok = 1;
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
  const size_t total = (size_t)(g->cells[0] * g->cells[1] * g->cells[2]);
  int *owners = calloc(total, sizeof *owners);
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i)
        owners[g->start[0] + i + g->cells[0] * (g->start[1] + j + g->cells[1] * (g->start[2] + k))] += g->rank + 1;
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, owners, (int)total, MPI_INT, MPI_SUM, PETSC_COMM_WORLD));
  for (size_t i = 0; i < total; ++i) ok = ok && owners[i] >= 1 && owners[i] <= g->size;
  for (int d = 0; d < 3; ++d) {
    const PetscInt each = g->cells[d] / g->ranks[d];
    ok =
      ok && (d < dim || (g->cells[d] == 1 && g->ranks[d] == 1)) && g->split[d][0] == 0 && g->split[d][g->ranks[d]] == g->cells[d];
    for (PetscInt b = 0; b < g->ranks[d]; ++b) {
      const PetscInt n = g->split[d][b + 1] - g->split[d][b];
      ok = ok && (n == each || n == each + 1);
    }
    ok = ok && HcGridCentre(g, d, 0) == g->lower[d] + ((double)g->start[d] + 0.5) * g->h[d];
  }
  /* the owner of the cell just outside, as the shared table has it */
  for (int i = 0; i < 27; ++i) {
    const int o[3] = {i % 3 - 1, i / 3 % 3 - 1, i / 9 - 1};
    size_t cell = 0;
    int beyond = 0;
    for (int d = 2; d >= 0; --d) {
      PetscInt c = o[d] < 0 ? g->start[d] - 1 : o[d] > 0 ? g->start[d] + g->n[d] : g->start[d];
      if (c < 0 || c >= g->cells[d]) beyond = beyond || d >= dim || boundary != HC_PERIODIC;
      cell = cell * (size_t)g->cells[d] + (size_t)((c + g->cells[d]) % g->cells[d]);
    }
    ok = ok && g->neighbour[i] == (beyond ? MPI_PROC_NULL : owners[cell] - 1);
  }
  tap_ok(
    ok, "%d x %d x %d cells (%dD, boundary %d): owners, sizes, neighbours", (int)nx, (int)ny, (int)nz, (int)dim, (int)boundary);
  free(owners);
  PetscCall(HcGridDestroy(&g));
  tap_ok(!g, "destroyed");
  PetscFunctionReturn(0);
}

/* Long boxes are cut across, cubes not along x. */
static PetscErrorCode test_cut(void) {
  HcGrid g;
  int size;
  PetscFunctionBeginUser;
  MPI_Comm_size(PETSC_COMM_WORLD, &size);
  for (int d = 0; d < 3; ++d) {
    const HcGridSpec s = make_spec(3, d == 0 ? 400 : 10, d == 1 ? 400 : 10, d == 2 ? 400 : 10, HC_PERIODIC, 4);
    PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
    tap_ok(g->ranks[d] == size, "a box that is long in %c is cut across", "xyz"[d]);
    PetscCall(HcGridDestroy(&g));
  }
  const HcGridSpec cube = make_spec(3, 24, 24, 24, HC_OUTFLOW, 1);
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &cube, &g));
  tap_ok(g->ranks[0] == 1, "a cube is not cut in x by so few ranks");
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

static int refused(const HcGridSpec *s, const char *words) {
  HcGrid g = NULL;
  const PetscErrorCode code = HcGridCreate(PETSC_COMM_WORLD, s, &g);
  const int ok = code && HcErrorKind(code) == HC_EXIT_INPUT && strstr(HcErrorMessage(), words) && !g;
  if (!ok) fprintf(stderr, "# code %d, message '%s'\n", (int)code, HcErrorMessage());
  HcErrorClear();
  return ok;
}

static PetscErrorCode test_refusals(void) {
  HcGridSpec s;
  int size;
  PetscFunctionBeginUser;
  MPI_Comm_size(PETSC_COMM_WORLD, &size);
  s = make_spec(2, 3, 9, 1, HC_OUTFLOW, 4);
  tap_ok(refused(&s, "direction x"), "fewer cells than the scheme needs");
  s = make_spec(1, 4 * size - 1, 1, 1, HC_OUTFLOW, 4);
  tap_ok(refused(&s, size > 1 ? "more cells" : "direction x"), "more ranks than blocks");
  s = make_spec(1, 4 * size, 1, 1, HC_OUTFLOW, 4);
  HcGrid g;
  tap_ok(!HcGridCreate(PETSC_COMM_WORLD, &s, &g) && g->n[0] == 4, "as many blocks as fit");
  HcField f = NULL;
  PetscCall(HcGridDestroy(&g));
  s = make_spec(2, 2, 12, 1, HC_PERIODIC, 1);
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
  tap_ok(HcErrorKind(HcFieldCreate(g, 1, 3, &f)) == HC_EXIT_INPUT, "ghost layers wider than a block");
  HcErrorClear();
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  s = make_spec(2, 8, 8, 1, HC_PERIODIC, 1);
  s.boundary[3] = HC_EXIT;
  tap_ok(refused(&s, "y- and y+"), "half a periodic direction");
  if (sizeof(PetscInt) == 4) {
    s = make_spec(3, 5000, 5000, 5000, HC_OUTFLOW, 4);
    tap_ok(refused(&s, "64-bit"), "more cells a rank than indices can count");
  }
  PetscFunctionReturn(0);
}

/* ---- fields ---- */

static double allocated(void) {
  const struct mallinfo2 m = mallinfo2();
  return (double)m.uordblks + (double)m.hblkhd;
}

static PetscErrorCode test_storage(PetscInt dim, PetscInt width, int components) {
  const HcGridSpec s = make_spec(dim, 45, dim > 1 ? 34 : 1, dim > 2 ? 40 : 1, HC_PERIODIC, 4);
  HcGrid g;
  HcField f;
  int aligned = 1, zero = 1, distinct = 1, inside = 1;
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
  const double before = allocated();
  PetscCall(HcFieldCreate(g, components, width, &f));
  const double used = allocated() - before, stated = HcFieldBytes(g, components, width);
  /* the allocator's own bookkeeping: a page or so */
  tap_ok(used == 0 || fabs(used - stated) <= 0.02 * stated + 8192, "%dD, %d components, width %d: memory as stated", (int)dim,
    components, (int)width);
  const size_t room = malloc_usable_size(f->allocation);
  const PetscInt wy = dim > 1 ? width : 0, wz = dim > 2 ? width : 0;
  for (int pass = 0; pass < 2; ++pass) {
    double mark = 0;
    for (int c = 0; c < components; ++c)
      for (PetscInt k = -wz; k < g->n[2] + wz; ++k)
        for (PetscInt j = -wy; j < g->n[1] + wy; ++j) {
          double *row = f->c[c] + j * f->stride[1] + k * f->stride[2];
          aligned = aligned && (uintptr_t)row % 64 == 0;
          inside = inside && row - width >= (double *)f->allocation &&
                   (size_t)((char *)(row + g->n[0] - 1 + PetscMax(8, width + 1)) - (char *)f->allocation) <= room;
          for (PetscInt i = -width; i < g->n[0] + width; ++i) {
            ++mark;
            if (pass == 0) {
              zero = zero && row[i] == 0;
              row[i] = mark;
            } else
              distinct = distinct && row[i] == mark;
          }
        }
    if (pass == 0 && components > 1) distinct = distinct && f->c[1] - f->c[0] == (ptrdiff_t)f->component_stride;
  }
  tap_ok(zero && distinct, "zeroed, and every cell of every component has its own place");
  tap_ok(aligned && inside, "rows start on cache lines and can be read in whole vectors");
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

/* Making and destroying leaves nothing behind. One grid lives on, so that the communicator is not copied each time: MPI
 * keeps memory of its own for that. */
static PetscErrorCode test_leaks(void) {
  const HcGridSpec s = make_spec(3, 16, 12, 20, HC_PERIODIC, 3);
  HcGrid first, g;
  HcField f;
  double before = 0;
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &first));
  for (int round = 0; round < 60; ++round) {
    if (round == 10) before = allocated(); /* the first rounds fill caches of the libraries */
    PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
    PetscCall(HcFieldCreate(g, 2, 3, &f));
    PetscCall(HcFieldDestroy(&f));
    PetscCall(HcGridDestroy(&g));
  }
  /* a forgotten grid, the smallest thing to forget, would be there 50 times */
  tap_ok(allocated() - before <= sizeof(struct HcGrid_), "nothing is left after 50 rounds of making and destroying");
  PetscCall(HcGridDestroy(&first));
  PetscFunctionReturn(0);
}

static PetscErrorCode test_arrays(void) {
  const HcGridSpec s = make_spec(3, 13, 7, 9, HC_OUTFLOW, 1);
  HcGrid g;
  HcField f;
  Vec vec;
  PetscInt local, global;
  double *a;
  int ok = 1;
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
  PetscCall(HcFieldCreate(g, 2, 1, &f));
  PetscCall(HcGridCreateVec(g, &vec));
  PetscCall(VecGetLocalSize(vec, &local));
  PetscCall(VecGetSize(vec, &global));
  tap_ok(local == HcGridLocalCells(g) && global == 13 * 7 * 9, "a vector of the grid's size");
  PetscCall(VecGetArray(vec, &a));
  for (PetscInt i = 0; i < local; ++i) a[i] = (double)i + 1;
  HcFieldFromArray(f, 1, a);
  ok = f->c[1][-1] == 0 && f->c[1][2 + f->stride[1]] == (double)(g->n[0] + 3) && f->c[0][0] == 0;
  for (PetscInt i = 0; i < local; ++i) a[i] = 0;
  HcFieldToArray(f, 1, a);
  for (PetscInt i = 0; i < local; ++i) ok = ok && a[i] == (double)i + 1;
  tap_ok(ok, "owned cells to and from an array");
  PetscCall(VecRestoreArray(vec, &a));
  PetscCall(VecDestroy(&vec));
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

/* ---- input ---- */

static const HcOption table[] = {
  {"grid_dim", HC_OPT_INT, "", "", "[1,3]", "dimensions"},
  {"grid_cells", HC_OPT_INTS, "", "", "[1,inf)", "cells"},
  {"grid_lower", HC_OPT_REALS, "", "", "", "lower corner"},
  {"grid_upper", HC_OPT_REALS, "", "", "", "upper corner"},
  {"grid_boundary", HC_OPT_WORDS, "", "", "periodic|reflecting|exit|outflow|given|symmetry", "boundaries"},
  {NULL, HC_OPT_BOOL, NULL, NULL, NULL, NULL},
};

static PetscErrorCode read_spec(const char *yaml, unsigned allowed, HcGridSpec *spec) {
  char name[64], *argv[] = {"test", name, NULL};
  HcOptions opts;
  PetscErrorCode code;
  int rank;
  PetscFunctionBeginUser;
  MPI_Comm_rank(PETSC_COMM_WORLD, &rank);
  if (rank == 0) {
    snprintf(name, sizeof name, P_tmpdir "/halocline_grid_%ld.yaml", (long)getpid());
    FILE *file = fopen(name, "w");
    if (!file || fputs(yaml, file) < 0 || fclose(file)) abort();
  }
  PetscCallMPI(MPI_Bcast(name, (int)sizeof name, MPI_CHAR, 0, PETSC_COMM_WORLD));
  PetscCall(HcOptionsCreate(PETSC_COMM_WORLD, 2, argv, &opts));
  if (rank == 0) unlink(name);
  PetscCall(HcOptionsAddTable(opts, table));
  code = HcGridSpecFromOptions(opts, allowed, spec);
  PetscCall(HcOptionsDestroy(&opts));
  PetscFunctionReturn(code);
}

#define ALL 63u
#define NOT_PERIODIC 62u

static PetscErrorCode test_input(void) {
  static const struct {
    const char *yaml;
    unsigned allowed;
    const char *key, *words;
  } wrong[] = {
    {"grid: {lower: 0}\n", ALL, "grid_cells", "number of cells"},
    {"grid: {cells: \"8,8\", dim: 3}\n", ALL, "grid_cells", "grid_dim = 3"},
    {"grid: {cells: \"8,8,8,8\"}\n", ALL, "grid_cells", "1, 2 or 3"},
    {"grid: {cells: \"8,8\", lower: \"0,0,0\"}\n", ALL, "grid_lower", "3 values"},
    {"grid: {cells: \"8,8\", lower: 2, upper: 1}\n", ALL, "grid_upper", "above"},
    {"grid: {cells: 8, lower: 1e16, upper: 10000000000000008}\n", ALL, "grid_upper", "told apart"},
    {"grid: {cells: \"8,8\", boundary: \"exit,exit,exit\"}\n", ALL, "grid_boundary", "y-,y+"},
    {"grid: {cells: \"8,8\", boundary: \"periodic,exit,exit,exit\"}\n", ALL, "grid_boundary", "x- and x+"},
    {"grid: {cells: \"8,8\", boundary: periodic}\n", NOT_PERIODIC, "grid_boundary", "allowed: reflecting, exit"},
  };
  HcGridSpec s;
  PetscFunctionBeginUser;
  PetscCall(
    read_spec("grid: {cells: \"8,16\", lower: \"-1,0\", upper: 2, boundary: \"exit,given,periodic,periodic\"}\n", ALL, &s));
  tap_ok(s.dim == 2 && s.cells[0] == 8 && s.cells[1] == 16 && s.lower[0] == -1 && s.lower[1] == 0 && s.upper[0] == 2 &&
           s.upper[1] == 2 && s.boundary[0] == HC_EXIT && s.boundary[1] == HC_GIVEN && s.boundary[2] == HC_PERIODIC &&
           s.boundary[3] == HC_PERIODIC,
    "a whole grid section");
  PetscCall(read_spec("grid: {dim: 3, cells: 8}\n", ALL, &s));
  tap_ok(
    s.dim == 3 && s.cells[2] == 8 && s.upper[2] == 1 && s.boundary[5] == HC_PERIODIC, "one value for all directions, defaults");
  PetscCall(read_spec("grid: {cells: 8}\n", NOT_PERIODIC, &s));
  tap_ok(s.dim == 1 && s.boundary[0] == HC_REFLECTING, "reflecting where periodic is not possible");
  PetscCall(read_spec("grid: {cells: 8}\n", 1u << HC_GIVEN | 1u << HC_OUTFLOW, &s));
  tap_ok(s.boundary[1] == HC_OUTFLOW, "else the first word that is");
  for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; ++i) {
    const PetscErrorCode code = read_spec(wrong[i].yaml, wrong[i].allowed, &s);
    const int ok = code && HcErrorKind(code) == HC_EXIT_INPUT && strstr(HcErrorMessage(), wrong[i].key) &&
                   strstr(HcErrorMessage(), wrong[i].words);
    if (!ok) fprintf(stderr, "# %s# code %d, '%s'\n", wrong[i].yaml, (int)code, HcErrorMessage());
    HcErrorClear();
    tap_ok(ok, "refused: %s with '%s'", wrong[i].key, wrong[i].words);
  }
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  for (int boundary = HC_PERIODIC; boundary <= HC_REFLECTING; ++boundary) {
    PetscCall(test_blocks(1, 13, 1, 1, (HcBoundary)boundary));
    PetscCall(test_blocks(2, 13, 7, 1, (HcBoundary)boundary));
    PetscCall(test_blocks(3, 13, 7, 5, (HcBoundary)boundary));
    PetscCall(test_blocks(3, 1, 2, 5, (HcBoundary)boundary));
    PetscCall(test_blocks(2, 40, 1, 1, (HcBoundary)boundary));
  }
  PetscCall(test_cut());
  PetscCall(test_refusals());
  for (PetscInt dim = 1; dim <= 3; ++dim)
    for (PetscInt width = 0; width <= HC_MAX_WIDTH; width += 2)
      for (int components = 1; components <= 7; components += 3) PetscCall(test_storage(dim, width, components));
  PetscCall(test_leaks());
  PetscCall(test_arrays());
  PetscCall(test_input());
  return tap_done();
}
