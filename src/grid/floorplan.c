/* Floor plans: regions of cells and openness of faces, from a picture and a formula. */
#include "base/options_private.h"
#include "floorplan_pixels.h"
#include "source.h"
#include <string.h>

/* Places between two centres where the obstacle formula is asked: walls thicker than h / (SAMPLES + 1) are seen. */
enum { SAMPLES = 15 };

/* ---- indices beyond the domain ---- */

/* The global index of local cell i in direction d, wrapped where that is periodic; -1 or N beyond other faces. */
static PetscInt global_index(HcGrid g, int d, PetscInt i) {
  const PetscInt q = g->start[d] + i, n = g->cells[d];
  return g->boundary[2 * d] == HC_PERIODIC ? (q % n + n) % n : q;
}

/* The face of the domain that a cell of these local indices lies behind, -1 for none; x before y before z. */
static int beyond_face(HcGrid g, const PetscInt local[3]) {
  for (int d = 0; d < g->dim; ++d) {
    const PetscInt q = global_index(g, d, local[d]);
    if (q < 0) return 2 * d;
    if (q >= g->cells[d]) return 2 * d + 1;
  }
  return -1;
}

static double region_beyond(HcBoundary b) { return b == HC_EXIT ? HC_DOOR : b == HC_GIVEN ? HC_FREE : HC_WALL; }

static double *cell(HcField f, int c, PetscInt i, PetscInt j, PetscInt k) {
  return f->c[c] + i + j * f->stride[1] + k * f->stride[2];
}

/* ---- regions ---- */

static PetscErrorCode fill_owned(HcField region, const HcPicture *pic, HcSource obstacle) {
  HcGrid g = region->grid;
  double *inside, *drawn; /* the plan is the same on every floor */
  PetscFunctionBeginUser;
  PetscCall(PetscMalloc2(g->n[0], &inside, g->n[0] * g->n[1], &drawn));
  for (PetscInt j = 0; j < g->n[1]; ++j)
    for (PetscInt i = 0; i < g->n[0]; ++i)
      drawn[i + g->n[0] * j] = pic ? hc_plan_region(pic, g->cells, g->start[0] + i, g->start[1] + j) : HC_FREE;
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j) {
      double *row = cell(region, 0, 0, j, k);
      memcpy(row, drawn + g->n[0] * j, (size_t)g->n[0] * sizeof *row);
      if (!obstacle) continue;
      PetscCall(HcSourceEvalRow(obstacle, 0, g->n[0], j, k, 0, NULL, inside));
      for (PetscInt i = 0; i < g->n[0]; ++i)
        if (inside[i] > 0) row[i] = HC_WALL;
    }
  PetscCall(PetscFree2(inside, drawn));
  PetscFunctionReturn(0);
}

static void fill_beyond(HcField region) {
  HcGrid g = region->grid;
  const PetscInt wy = g->dim > 1, wz = g->dim > 2;
  for (PetscInt k = -wz; k < g->n[2] + wz; ++k)
    for (PetscInt j = -wy; j < g->n[1] + wy; ++j)
      for (PetscInt i = -1; i <= g->n[0]; ++i) {
        const int face = beyond_face(g, (PetscInt[3]){i, j, k});
        if (face >= 0) *cell(region, 0, i, j, k) = region_beyond(g->boundary[face]);
      }
}

static PetscErrorCode count_regions(HcFloorPlan plan) {
  HcGrid g = plan->region->grid;
  long long count[2] = {0, 0};
  PetscFunctionBeginUser;
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i) {
        const double r = *cell(plan->region, 0, i, j, k);
        count[0] += r == HC_WALL;
        count[1] += r == HC_DOOR;
      }
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, count, 2, MPI_LONG_LONG, MPI_SUM, g->comm));
  plan->walls = (PetscInt)count[0];
  plan->exits = (PetscInt)count[1];
  PetscFunctionReturn(0);
}

/* ---- faces ---- */

/* Is the obstacle's formula positive somewhere between the centre of a cell and that of its lower neighbour? One flag a cell of
 * the row; a way round a periodic direction continues at the opposite side, one through another face ends there. */
static PetscErrorCode obstacle_between(
  HcGrid g, HcExpr formula, int d, PetscInt n, const PetscInt first[3], double *work, double *blocked) {
  double *x[3], *value = work + 3 * n;
  PetscInt local[3] = {first[0], first[1], first[2]};
  const double zero = 0, length = g->upper[d] - g->lower[d];
  PetscFunctionBeginUser;
  for (int e = 0; e < 3; ++e) x[e] = work + e * n;
  memset(blocked, 0, (size_t)n * sizeof *blocked);
  for (int s = 1; s <= SAMPLES; ++s) {
    for (PetscInt i = 0; i < n; ++i) {
      local[0] = first[0] + i;
      for (int e = 0; e < 3; ++e) x[e][i] = HcGridCentre(g, e, local[e]);
      /* by the wrapped global index, so that both sides of a face see the same numbers */
      double at = g->lower[d] + ((double)global_index(g, d, local[d]) - 0.5 + (double)s / (SAMPLES + 1)) * g->h[d];
      if (g->boundary[2 * d] == HC_PERIODIC)
        at += at < g->lower[d] ? length : 0;
      else
        at = PetscMin(PetscMax(at, g->lower[d]), g->upper[d]);
      x[d][i] = at;
    }
    const HcExprArg args[4] = {{x[0], 1}, {x[1], 1}, {x[2], 1}, {&zero, 0}};
    HcExprEval(formula, (size_t)n, args, value);
    for (PetscInt i = 0; i < n; ++i)
      if (value[i] > 0) blocked[i] = 1;
  }
  PetscFunctionReturn(0);
}

/* Openness by the regions on both sides and by the rule of the domain's face, if it is one. */
static double openness(HcGrid g, int d, PetscInt index, double lower, double upper) {
  const PetscInt q = g->start[d] + index;
  if (g->boundary[2 * d] != HC_PERIODIC && (q == 0 || q == g->cells[d])) {
    const double inside = q == 0 ? upper : lower;
    const HcBoundary b = g->boundary[2 * d + (q != 0)];
    if (inside != HC_FREE) return 0;
    return b == HC_EXIT ? 2 : b == HC_GIVEN ? 1 : 0;
  }
  if (lower == HC_WALL || upper == HC_WALL) return 0;
  if (lower == HC_DOOR && upper == HC_DOOR) return 0;
  return lower == HC_DOOR || upper == HC_DOOR ? 2 : 1;
}

static PetscErrorCode fill_faces(HcFloorPlan plan, int d, const HcPicture *pic, HcExpr formula) {
  HcGrid g = plan->region->grid;
  PetscInt end[3] = {g->n[0], g->n[1], g->n[2]};
  const PetscInt step = d == 0 ? 1 : plan->region->stride[d];
  double *work, *blocked;
  PetscFunctionBeginUser;
  ++end[d];
  PetscCall(PetscMalloc2(4 * end[0], &work, end[0], &blocked));
  for (PetscInt k = 0; k < end[2]; ++k)
    for (PetscInt j = 0; j < end[1]; ++j) {
      const double *here = cell(plan->region, 0, 0, j, k);
      double *open = cell(plan->open, d, 0, j, k);
      if (formula) PetscCall(obstacle_between(g, formula, d, end[0], (PetscInt[3]){0, j, k}, work, blocked));
      for (PetscInt i = 0; i < end[0]; ++i) {
        open[i] = openness(g, d, d == 0 ? i : d == 1 ? j : k, here[i - step], here[i]);
        if (open[i] != 0 && formula && blocked[i] != 0) open[i] = 0;
        if (open[i] != 0 && pic && d < 2 &&
            hc_plan_blocked(pic, g->cells, d, g->start[0] + i, g->start[1] + j, g->boundary[2 * d] == HC_PERIODIC))
          open[i] = 0;
      }
    }
  PetscCall(PetscFree2(work, blocked));
  PetscFunctionReturn(0);
}

/* ---- the plan ---- */

static PetscErrorCode read_plan(HcOptions opts, const char *key, HcGrid g, HcPicture *pic, PetscBool *given) {
  char path[PETSC_MAX_PATH_LEN] = "";
  PetscFunctionBeginUser;
  pic->pixel = NULL;
  if (key) PetscCall(HcOptionsGetPath(opts, key, path));
  *given = *path ? PETSC_TRUE : PETSC_FALSE;
  if (!*given) PetscFunctionReturn(0);
  if (g->dim < 2) PetscCall(HcOptionsFail(opts, key, "a floor plan needs a grid of 2 or 3 dimensions; this one has 1"));
  PetscCall(hc_plan_read(g->comm, opts, key, path, pic));
  PetscFunctionReturn(0);
}

static PetscErrorCode read_obstacle(HcOptions opts, const char *key, HcGrid g, HcSource *obstacle) {
  PetscFunctionBeginUser;
  if (key) PetscCall(HcSourceCreate(opts, key, g, 0, NULL, obstacle));
  if (!*obstacle) PetscFunctionReturn(0);
  if (HcSourceUsesTime(*obstacle)) PetscCall(HcOptionsFail(opts, key, "walls cannot move: the formula must not depend on t"));
  if (hc_source_is_picture(*obstacle)) PetscCall(HcOptionsFail(opts, key, "a picture of walls is given as floor_plan"));
  PetscFunctionReturn(0);
}

/* What the user drew must be there on the grid. */
static PetscErrorCode check_plan(HcFloorPlan plan, HcOptions opts, const char *key, const HcPicture *pic) {
  HcGrid g = plan->region->grid;
  PetscInt drawn = 0;
  PetscFunctionBeginUser;
  if ((double)plan->walls + (double)plan->exits >= HcGridTotalCells(g))
    PetscCall(HcOptionsFail(opts, key, "leaves no free cell: all %.0f are wall or exit", HcGridTotalCells(g)));
  if (!pic || plan->exits > 0) PetscFunctionReturn(0);
  for (PetscInt p = 0; p < (PetscInt)pic->size[0] * pic->size[1]; ++p) drawn += pic->pixel[p] == HC_DOOR;
  if (drawn > 0)
    PetscCall(HcOptionsFail(opts, key,
      "its exits (%lld green pixels) are too thin for a grid of %lld x %lld cells: none fills half a cell", (long long)drawn,
      (long long)g->cells[0], (long long)g->cells[1]));
  PetscFunctionReturn(0);
}

static PetscErrorCode build(
  HcFloorPlan plan, HcOptions opts, const char *key, HcGrid g, const HcPicture *pic, HcSource obstacle) {
  HcExpr formula = obstacle ? hc_source_formula(obstacle) : NULL;
  PetscFunctionBeginUser;
  PetscCall(HcFieldCreate(g, 1, 1, &plan->region));
  PetscCall(HcFieldCreate(g, (int)g->dim, 1, &plan->open));
  PetscCall(fill_owned(plan->region, pic, obstacle));
  PetscCall(HcFieldExchange(plan->region, HC_BOX));
  fill_beyond(plan->region);
  PetscCall(count_regions(plan));
  PetscCall(check_plan(plan, opts, key, pic));
  for (int d = 0; d < g->dim; ++d) PetscCall(fill_faces(plan, d, pic, formula));
  PetscFunctionReturn(0);
}

PetscErrorCode HcFloorPlanCreate(HcOptions opts, const char *plan_key, const char *obstacle_key, HcGrid grid, HcFloorPlan *plan) {
  HcFloorPlan p;
  HcPicture pic;
  HcSource obstacle = NULL;
  PetscBool drawn = PETSC_FALSE;
  PetscFunctionBeginUser;
  *plan = NULL;
  PetscCall(read_plan(opts, plan_key, grid, &pic, &drawn));
  PetscErrorCode code = read_obstacle(opts, obstacle_key, grid, &obstacle);
  PetscCall(PetscNew(&p));
  if (!code) code = build(p, opts, drawn || !obstacle_key ? plan_key : obstacle_key, grid, drawn ? &pic : NULL, obstacle);
  PetscCall(HcSourceDestroy(&obstacle));
  if (drawn) hc_picture_free(&pic);
  if (code) {
    PetscCall(HcFloorPlanDestroy(&p));
    PetscFunctionReturn(code);
  }
  *plan = p;
  PetscFunctionReturn(0);
}

PetscErrorCode HcFloorPlanDestroy(HcFloorPlan *plan) {
  PetscFunctionBeginUser;
  if (!*plan) PetscFunctionReturn(0);
  PetscCall(HcFieldDestroy(&(*plan)->region));
  PetscCall(HcFieldDestroy(&(*plan)->open));
  PetscCall(PetscFree(*plan));
  PetscFunctionReturn(0);
}

PetscErrorCode HcFloorPlanPixels(MPI_Comm comm, HcOptions opts, const char *plan_key, PetscInt size[2]) {
  char path[PETSC_MAX_PATH_LEN], error[256];
  int pixels[2] = {0, 0}, rank;
  PetscErrorCode local = 0;
  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Comm_rank(comm, &rank));
  PetscCall(HcOptionsGetPath(opts, plan_key, path));
  if (rank == 0 && hc_png_read(path, pixels, NULL, NULL, error))
    local = HcOptionsFail(opts, plan_key, "cannot read '%s': %s", path, error);
  PetscCall(HcAgree(comm, local));
  PetscCallMPI(MPI_Bcast(pixels, 2, MPI_INT, 0, comm));
  size[0] = pixels[0];
  size[1] = pixels[1];
  PetscFunctionReturn(0);
}
