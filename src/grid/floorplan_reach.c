/*
 * Can everyone get out? A flood fill from the exits through open faces.
 *
 * Each rank fills its block to exhaustion, then one layer is exchanged, until nothing changes anywhere: as many rounds as
 * the longest way out crosses borders between blocks.
 */
#include <halocline/io.h>
#include <limits.h>

typedef struct {
  HcFloorPlan plan;
  HcGrid grid;
  HcField reached; /* 1 where an exit can be reached, ghosts included */
  PetscInt *stack; /* local numbers of cells whose neighbours are still to be looked at */
  PetscInt height;
} Flood;

static PetscInt offset(HcField f, const PetscInt at[3]) { return at[0] + at[1] * f->stride[1] + at[2] * f->stride[2]; }

static PetscInt number(HcGrid g, const PetscInt at[3]) { return at[0] + g->n[0] * (at[1] + g->n[1] * at[2]); }

static void place(HcGrid g, PetscInt number, PetscInt at[3]) {
  at[0] = number % g->n[0];
  at[1] = number / g->n[0] % g->n[1];
  at[2] = number / g->n[0] / g->n[1];
}

static PetscBool owned(HcGrid g, const PetscInt at[3]) {
  for (int d = 0; d < 3; ++d)
    if (at[d] < 0 || at[d] >= g->n[d]) return PETSC_FALSE;
  return PETSC_TRUE;
}

static PetscBool is_free(const Flood *f, const PetscInt at[3]) {
  return f->plan->region->c[0][offset(f->plan->region, at)] == HC_FREE ? PETSC_TRUE : PETSC_FALSE;
}

/* Openness of the face on `side` (0 lower, 1 upper) in direction d. */
static double face(const Flood *f, const PetscInt at[3], int d, int side) {
  PetscInt q[3] = {at[0], at[1], at[2]};
  q[d] += side;
  return f->plan->open->c[d][offset(f->plan->open, q)];
}

static PetscBool mark(Flood *f, const PetscInt at[3]) {
  double *r = &f->reached->c[0][offset(f->reached, at)];
  if (*r != 0 || !is_free(f, at)) return PETSC_FALSE;
  *r = 1;
  f->stack[f->height++] = number(f->grid, at);
  return PETSC_TRUE;
}

/* Cells next to an exit, or next to a ghost cell that the neighbouring block has reached. True if any is new. */
static PetscBool seed(Flood *f, PetscBool first) {
  HcGrid g = f->grid;
  PetscBool any = PETSC_FALSE;
  for (PetscInt c = 0; c < HcGridLocalCells(g); ++c) {
    PetscInt at[3];
    place(g, c, at);
    for (int d = 0; d < g->dim; ++d)
      for (int side = 0; side < 2; ++side) {
        PetscInt q[3] = {at[0], at[1], at[2]};
        q[d] += 2 * side - 1;
        const double open = face(f, at, d, side);
        const PetscBool from = first ? open == 2 : !owned(g, q) && open == 1 && f->reached->c[0][offset(f->reached, q)] != 0;
        if (from && mark(f, at)) any = PETSC_TRUE;
      }
  }
  return any;
}

static void exhaust(Flood *f) {
  while (f->height > 0) {
    PetscInt at[3];
    place(f->grid, f->stack[--f->height], at);
    for (int d = 0; d < f->grid->dim; ++d)
      for (int side = 0; side < 2; ++side) {
        PetscInt q[3] = {at[0], at[1], at[2]};
        q[d] += 2 * side - 1;
        if (owned(f->grid, q) && face(f, at, d, side) == 1) mark(f, q);
      }
  }
}

static PetscErrorCode flood(Flood *f) {
  PetscMPIInt more = 1;
  PetscFunctionBeginUser;
  seed(f, PETSC_TRUE);
  exhaust(f);
  while (more) {
    PetscCall(HcFieldExchange(f->reached, HC_STAR));
    more = seed(f, PETSC_FALSE) ? 1 : 0;
    exhaust(f);
    PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &more, 1, MPI_INT, MPI_MAX, f->grid->comm));
  }
  PetscFunctionReturn(0);
}

/* How many free cells were not reached, and the lowest global number among them. */
static PetscErrorCode count_lost(const Flood *f, long long *lost, long long *lowest) {
  HcGrid g = f->grid;
  PetscFunctionBeginUser;
  *lost = 0;
  *lowest = LLONG_MAX;
  for (PetscInt c = 0; c < HcGridLocalCells(g); ++c) {
    PetscInt at[3];
    place(g, c, at);
    if (!is_free(f, at) || f->reached->c[0][offset(f->reached, at)] != 0) continue;
    const long long global =
      (g->start[0] + at[0]) + (long long)g->cells[0] * ((g->start[1] + at[1]) + (long long)g->cells[1] * (g->start[2] + at[2]));
    ++*lost;
    *lowest = PetscMin(*lowest, global);
  }
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, lost, 1, MPI_LONG_LONG, MPI_SUM, g->comm));
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, lowest, 1, MPI_LONG_LONG, MPI_MIN, g->comm));
  PetscFunctionReturn(0);
}

static PetscErrorCode describe_lost(const Flood *f, HcOptions opts, const char *key) {
  HcGrid g = f->grid;
  char where[128];
  long long lost, lowest;
  PetscFunctionBeginUser;
  PetscCall(count_lost(f, &lost, &lowest));
  if (lost == 0) PetscFunctionReturn(0);
  size_t used = 0;
  for (int d = 0; d < g->dim; ++d) {
    const double x = g->lower[d] + ((double)(lowest % g->cells[d]) + 0.5) * g->h[d];
    lowest /= g->cells[d];
    used += (size_t)snprintf(where + used, sizeof where - used, "%s%.6g", d ? ", " : "", x);
  }
  PetscFunctionReturn(HcOptionsFail(opts, key,
    "there is no way out of %lld free cell%s, the first at (%s): a room without a door, or a passage narrower than a cell", lost,
    lost == 1 ? "" : "s", where));
}

PetscErrorCode HcFloorPlanCheckReachable(HcFloorPlan plan, HcOptions opts, const char *plan_key) {
  HcGrid g = plan->region->grid;
  Flood f = {plan, g, NULL, NULL, 0};
  PetscBool has_exits = plan->exits > 0 ? PETSC_TRUE : PETSC_FALSE;
  PetscFunctionBeginUser;
  for (int face = 0; face < 2 * g->dim; ++face)
    if (g->boundary[face] == HC_EXIT) has_exits = PETSC_TRUE;
  if (!has_exits) PetscFunctionReturn(0);
  PetscCall(HcFieldCreate(g, 1, 1, &f.reached));
  PetscCall(PetscMalloc1(HcGridLocalCells(g), &f.stack));
  PetscCall(flood(&f));
  PetscErrorCode code = describe_lost(&f, opts, plan_key);
  PetscCall(PetscFree(f.stack));
  PetscCall(HcFieldDestroy(&f.reached));
  PetscFunctionReturn(code);
}
