/*
 * Decomposition of a box of cells into one block a rank.
 *
 * Not a DMDA: its scatters and index sets take 16 to 21 bytes a cell (PETSc 3.18, 32-bit indices, 32^3 to 128^3 a rank,
 * star or box: two fields' worth), also in runs that never solve a linear system, and making one only to print a plan
 * would defeat the dry run. Blocks are numbered and sized as a DMDA given `ranks` numbers and sizes them (x fastest,
 * larger blocks first), so a solver can put one over the same blocks.
 */
#include "grid_private.h"
#include <float.h>
#include <math.h>
#include <string.h>

static const char *const boundary_word[] = {"periodic", "reflecting", "exit", "outflow", "given", "symmetry"};
static const char *const face_name[] = {"x-", "x+", "y-", "y+", "z-", "z+"};
enum { BOUNDARY_WORDS = sizeof boundary_word / sizeof boundary_word[0] };

/* ---- the `grid` section ---- */

static void list_allowed(unsigned allowed, char *text, size_t size) {
  text[0] = 0;
  for (int b = 0; b < BOUNDARY_WORDS; ++b) {
    if (!(allowed >> b & 1)) continue;
    if (text[0]) strncat(text, ", ", size - strlen(text) - 1);
    strncat(text, boundary_word[b], size - strlen(text) - 1);
  }
}

/* One value stands for every direction when the dimension is known. */
static PetscErrorCode read_reals(HcOptions opts, const char *key, PetscInt dim, double otherwise, PetscReal value[3]) {
  PetscReal given[16];
  PetscInt n = 16;
  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetReals(opts, key, &n, given));
  if (n > 1 && n != dim)
    PetscCall(HcOptionsFail(
      opts, key, "%d values for a grid of %d dimension%s; give one, or one a direction", (int)n, (int)dim, dim > 1 ? "s" : ""));
  for (PetscInt d = 0; d < dim; ++d) value[d] = n == 0 ? otherwise : given[n == 1 ? 0 : d];
  PetscFunctionReturn(0);
}

static PetscErrorCode read_cells(HcOptions opts, HcGridSpec *spec) {
  PetscInt cells[16], n = 16, dim = 0;
  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetInts(opts, "grid_cells", &n, cells));
  PetscCall(HcOptionsGetInt(opts, "grid_dim", &dim)); /* stays 0 if unset */
  if (n == 0) PetscCall(HcOptionsFail(opts, "grid_cells", "give the number of cells in each direction, such as 64,64"));
  if (n > 3) PetscCall(HcOptionsFail(opts, "grid_cells", "%d directions; a grid has 1, 2 or 3", (int)n));
  if (dim == 0) {
    char text[8];
    dim = n;
    snprintf(text, sizeof text, "%d", (int)dim);
    PetscCall(HcOptionsSetDerived(opts, "grid_dim", text));
  }
  if (dim < 1 || dim > 3) PetscCall(HcOptionsFail(opts, "grid_dim", "a grid has 1, 2 or 3 dimensions"));
  if (n > 1 && n != dim)
    PetscCall(HcOptionsFail(opts, "grid_cells", "%d numbers for grid_dim = %d; give one, or one a direction", (int)n, (int)dim));
  spec->dim = dim;
  for (PetscInt d = 0; d < dim; ++d) {
    spec->cells[d] = cells[n == 1 ? 0 : d];
    if (spec->cells[d] < 1) PetscCall(HcOptionsFail(opts, "grid_cells", "at least 1 cell is needed in each direction"));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode read_boundary(HcOptions opts, unsigned allowed, HcGridSpec *spec) {
  PetscInt given[16], n = 16, faces = 2 * spec->dim;
  char list[128];
  PetscFunctionBeginUser;
  list_allowed(allowed, list, sizeof list);
  /* indices are those of HcBoundary: the key's table lists the words in that order */
  PetscCall(HcOptionsGetWords(opts, "grid_boundary", &n, given));
  /* a default of the table may not suit the model: then the tamest word that does */
  if (n == 0 || (n == 1 && !(allowed >> given[0] & 1) && !HcOptionsIsSet(opts, "grid_boundary"))) {
    PetscInt b = 0;
    while (b < BOUNDARY_WORDS - 1 && !(allowed >> b & 1)) ++b;
    given[0] = b;
    n = 1;
    PetscCall(HcOptionsSetDerived(opts, "grid_boundary", boundary_word[b]));
  }
  if (n != 1 && n != faces)
    PetscCall(HcOptionsFail(opts, "grid_boundary",
      "%d words for a grid of %d dimension%s; give one, or %d in the order x-,x+%s%s", (int)n, (int)spec->dim,
      spec->dim > 1 ? "s" : "", (int)faces, spec->dim > 1 ? ",y-,y+" : "", spec->dim > 2 ? ",z-,z+" : ""));
  for (PetscInt f = 0; f < faces; ++f) {
    PetscInt b = given[n == 1 ? 0 : f];
    if (!(allowed >> b & 1))
      PetscCall(HcOptionsFail(opts, "grid_boundary", "'%s' is not possible here; allowed: %s", boundary_word[b], list));
    spec->boundary[f] = (HcBoundary)b;
  }
  for (PetscInt f = 0; f < faces; f += 2)
    if ((spec->boundary[f] == HC_PERIODIC) != (spec->boundary[f + 1] == HC_PERIODIC))
      PetscCall(
        HcOptionsFail(opts, "grid_boundary", "faces %s and %s must both be periodic or neither", face_name[f], face_name[f + 1]));
  PetscFunctionReturn(0);
}

PetscErrorCode HcGridSpecFromOptions(HcOptions opts, unsigned allowed, HcGridSpec *spec) {
  PetscFunctionBeginUser;
  memset(spec, 0, sizeof *spec);
  PetscCall(read_cells(opts, spec));
  PetscCall(read_reals(opts, "grid_lower", spec->dim, 0, spec->lower));
  PetscCall(read_reals(opts, "grid_upper", spec->dim, 1, spec->upper));
  for (PetscInt d = 0; d < spec->dim; ++d) {
    const double a = spec->lower[d], b = spec->upper[d], h = (b - a) / (double)spec->cells[d];
    if (!(b > a)) PetscCall(HcOptionsFail(opts, "grid_upper", "must be above grid_lower = %g in direction %c", a, "xyz"[d]));
    /* beyond this the centres of neighbouring cells coincide in double precision */
    if (!(isfinite(h) && h > 8 * DBL_EPSILON * fmax(fabs(a), fabs(b))))
      PetscCall(HcOptionsFail(opts, "grid_upper", "cells of size %g at %g cannot be told apart in double precision", h, b));
  }
  PetscCall(read_boundary(opts, allowed, spec));
  PetscFunctionReturn(0);
}

/* ---- cutting ---- */

/* An exchanged cell of an x-face costs 7 to 35 % more than one of a z-face, as its values lie a row apart (64^3 a rank,
 * width 3, with and without single-copy transport). */
static const double face_weight[3] = {1.25, 1, 1};

static double exchanged_surface(const HcGridSpec *s, const PetscInt ranks[3]) {
  double sum = 0;
  for (PetscInt d = 0; d < s->dim; ++d) {
    double cuts = s->boundary[2 * d] == HC_PERIODIC && ranks[d] > 1 ? (double)ranks[d] : (double)ranks[d] - 1, area = 1;
    for (PetscInt e = 0; e < s->dim; ++e)
      if (e != d) area *= (double)s->cells[e];
    sum += face_weight[d] * cuts * area;
  }
  return sum;
}

static double largest_block(const HcGridSpec *s, const PetscInt ranks[3]) {
  double cells = 1;
  for (PetscInt d = 0; d < s->dim; ++d) cells *= ceil((double)s->cells[d] / (double)ranks[d]);
  return cells;
}

/* most[d]: blocks that fit in direction d. Least surface, then the smaller largest block, then fewer cuts in x and y. */
static int choose_cut(const HcGridSpec *s, PetscInt size, const PetscInt most[3], PetscInt ranks[3]) {
  double surface = 0, block = 0;
  int found = 0;
  for (PetscInt i = 1; i <= PetscMin(size, most[0]); ++i) {
    if (size % i) continue;
    for (PetscInt j = 1; j <= PetscMin(size / i, most[1]); ++j) {
      if (size / i % j || size / i / j > most[2]) continue;
      const PetscInt r[3] = {i, j, size / i / j};
      const double a = exchanged_surface(s, r), b = largest_block(s, r);
      if (found && (a > surface || (a == surface && b >= block))) continue;
      surface = a;
      block = b;
      found = 1;
      memcpy(ranks, r, sizeof r);
    }
  }
  return found;
}

static void cells_text(const HcGridSpec *s, char text[96]) {
  int k = 0;
  for (PetscInt d = 0; d < s->dim; ++d) k += snprintf(text + k, 96 - (size_t)k, d ? ",%lld" : "%lld", (long long)s->cells[d]);
}

static PetscErrorCode cut(const HcGridSpec *s, PetscInt size, PetscInt ranks[3]) {
  const PetscInt least = PetscMax(s->min_block, 1);
  PetscInt most[3] = {1, 1, 1};
  double product = 1;
  char text[96];
  PetscFunctionBeginUser;
  cells_text(s, text);
  for (PetscInt d = 0; d < s->dim; ++d) {
    most[d] = s->cells[d] / least;
    product *= (double)most[d];
    HcRequire(most[d] > 0, HC_EXIT_INPUT, "grid_cells = '%s': too few cells in direction %c; at least %lld are needed here", text,
      "xyz"[d], (long long)least);
  }
  if (!choose_cut(s, size, most, ranks)) {
    PetscInt fit = product < (double)size ? (PetscInt)product : size - 1;
    while (!choose_cut(s, fit, most, ranks)) --fit;
    PetscCall(HcFail(HC_EXIT_INPUT,
      "grid_cells = '%s': cannot be cut into %lld blocks (one a rank) of at least %lld cells in each direction; use %lld ranks "
      "or "
      "more cells",
      text, (long long)size, (long long)least, (long long)fit));
  }
  /* indices of cells and ghosts of a block are PetscInt */
  double ghosted = 1;
  for (PetscInt d = 0; d < s->dim; ++d) ghosted *= ceil((double)s->cells[d] / (double)ranks[d]) + 4 * HC_MAX_WIDTH;
  HcRequire(ghosted < (double)PETSC_MAX_INT, HC_EXIT_INPUT,
    "grid_cells = '%s': %.3g cells a rank are more than %d-bit indices can count; use more ranks, or build with a PETSc of "
    "64-bit indices",
    text, largest_block(s, ranks), (int)(8 * sizeof(PetscInt)));
  PetscFunctionReturn(0);
}

static PetscErrorCode check_spec(const HcGridSpec *s) {
  PetscFunctionBeginUser;
  HcRequire(s->dim >= 1 && s->dim <= 3, HC_EXIT_INPUT, "grid_dim = '%lld': a grid has 1, 2 or 3 dimensions", (long long)s->dim);
  for (PetscInt d = 0; d < s->dim; ++d) {
    HcRequire(s->cells[d] >= 1, HC_EXIT_INPUT, "grid_cells: at least 1 cell is needed in direction %c", "xyz"[d]);
    HcRequire(s->upper[d] > s->lower[d], HC_EXIT_INPUT, "grid_upper: must be above grid_lower in direction %c", "xyz"[d]);
    HcRequire((s->boundary[2 * d] == HC_PERIODIC) == (s->boundary[2 * d + 1] == HC_PERIODIC), HC_EXIT_INPUT,
      "grid_boundary: faces %s and %s must both be periodic or neither", face_name[2 * d], face_name[2 * d + 1]);
  }
  PetscFunctionReturn(0);
}

/* The rank at an offset; blocks are numbered x fastest. */
static int rank_at(HcGrid g, const int offset[3]) {
  PetscInt rank = 0;
  for (int d = 2; d >= 0; --d) {
    PetscInt b = g->block[d] + offset[d];
    if (b < 0 || b >= g->ranks[d]) {
      if (d >= g->dim || g->boundary[2 * d] != HC_PERIODIC) return MPI_PROC_NULL;
      b = (b + g->ranks[d]) % g->ranks[d];
    }
    rank = rank * g->ranks[d] + b;
  }
  return (int)rank;
}

static PetscErrorCode fill_grid(HcGrid g, const HcGridSpec *s) {
  PetscInt rest = g->rank;
  PetscFunctionBeginUser;
  g->dim = s->dim;
  g->volume = 1;
  for (int d = 0; d < 3; ++d) {
    /* an unused direction is one cell of size 1 around 0 */
    const int used = d < s->dim;
    g->cells[d] = used ? s->cells[d] : 1;
    g->lower[d] = used ? s->lower[d] : -0.5;
    g->upper[d] = used ? s->upper[d] : 0.5;
    g->h[d] = (g->upper[d] - g->lower[d]) / (double)g->cells[d];
    g->volume *= g->h[d];
    for (int side = 0; side < 2; ++side) g->boundary[2 * d + side] = used ? s->boundary[2 * d + side] : HC_REFLECTING;
    g->block[d] = rest % g->ranks[d];
    rest /= g->ranks[d];
    PetscCall(PetscMalloc1(g->ranks[d] + 1, &g->split[d]));
    const PetscInt each = g->cells[d] / g->ranks[d], more = g->cells[d] % g->ranks[d];
    for (PetscInt b = 0; b <= g->ranks[d]; ++b) g->split[d][b] = b * each + PetscMin(b, more);
    g->start[d] = g->split[d][g->block[d]];
    g->n[d] = g->split[d][g->block[d] + 1] - g->start[d];
  }
  for (int i = 0; i < 27; ++i) {
    const int offset[3] = {i % 3 - 1, i / 3 % 3 - 1, i / 9 - 1};
    g->neighbour[i] = rank_at(g, offset);
  }
  PetscFunctionReturn(0);
}

PetscErrorCode HcGridCreate(MPI_Comm comm, const HcGridSpec *spec, HcGrid *grid) {
  PetscMPIInt size;
  PetscInt ranks[3] = {1, 1, 1};
  HcGrid g;
  PetscFunctionBeginUser;
  *grid = NULL;
  PetscCallMPI(MPI_Comm_size(comm, &size));
  PetscCall(check_spec(spec));
  PetscCall(cut(spec, size, ranks));
  PetscCall(PetscNew(&g));
  /* PETSc's inner copy of the communicator: no traffic of the user's can meet ours */
  PetscCall(PetscCommDuplicate(comm, &g->comm, NULL));
  PetscCallMPI(MPI_Comm_rank(g->comm, &g->rank));
  g->size = size;
  memcpy(g->ranks, ranks, sizeof ranks);
  PetscCall(fill_grid(g, spec));
  *grid = g;
  PetscFunctionReturn(0);
}

PetscErrorCode HcGridDestroy(HcGrid *grid) {
  PetscFunctionBeginUser;
  if (!*grid) PetscFunctionReturn(0);
  for (int d = 0; d < 3; ++d) PetscCall(PetscFree((*grid)->split[d]));
  PetscCall(PetscCommDestroy(&(*grid)->comm));
  PetscCall(PetscFree(*grid));
  PetscFunctionReturn(0);
}

PetscErrorCode HcGridCreateVec(HcGrid grid, Vec *vec) {
  PetscFunctionBeginUser;
  HcRequire(HcGridTotalCells(grid) < (double)PETSC_MAX_INT, HC_EXIT_INPUT,
    "grid_cells: %.4g unknowns are more than %d-bit indices can number; build with a PETSc of 64-bit indices",
    HcGridTotalCells(grid), (int)(8 * sizeof(PetscInt)));
  PetscCall(VecCreateMPI(grid->comm, HcGridLocalCells(grid), PETSC_DETERMINE, vec));
  PetscFunctionReturn(0);
}
