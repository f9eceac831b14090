/*
 * Steps among walls: from cell to cell through the faces that the straight step crosses.
 *
 * A cell's code holds the state of its faces, two bits each, whether nothing at all is near, and the number of its exit if it is
 * a door. Where a step is depends on global indices and coordinates alone, so it may be handed to another rank anywhere with the
 * same result. The cell that is tracked, not the rounded position, decides which face is met next: no step slips between two
 * faces, through a corner or along a wall.
 */
#include "walk_private.h"

enum { FACE_CLOSED, FACE_OPEN, FACE_EXIT, FACE_RELEASE }; /* release: lets out, without a wall to touch */
enum { CLEAR = 1 << 12, DOOR_SHIFT = 13, ALL_OPEN = 0x555, NEIGHBOUR_BITS = 8 };

static inline PetscInt place(HcField f, PetscInt i, PetscInt j, PetscInt k) { return i + j * f->stride[1] + k * f->stride[2]; }

/* ---- codes ---- */

static int door_number(HcWalk walk, PetscInt i, PetscInt j, PetscInt k) {
  const HcField id = walk->spec.exit_id;
  return id ? (int)id->c[0][place(id, i, j, k)] : walk->spec.exits ? 0 : 6;
}

/* The state of a face of an owned cell. */
static int face_state(HcWalk walk, const PetscInt cell[3], int f) {
  HcGrid g = walk->grid;
  HcFloorPlan plan = walk->spec.plan;
  const int d = f / 2;
  PetscInt upper[3] = {cell[0], cell[1], cell[2]};
  if (d >= g->dim) return FACE_OPEN; /* never crossed */
  if (HcGridAtEdge(g, f) && g->boundary[f] != HC_PERIODIC && cell[d] == (f % 2 ? g->n[d] - 1 : 0)) {
    if (plan->region->c[0][place(plan->region, cell[0], cell[1], cell[2])] != HC_FREE) return FACE_CLOSED;
    return g->boundary[f] == HC_EXIT                                    ? FACE_EXIT
           : g->boundary[f] == HC_OUTFLOW || g->boundary[f] == HC_GIVEN ? FACE_RELEASE
                                                                        : FACE_CLOSED;
  }
  upper[d] += f % 2;
  return (int)plan->open->c[d][place(plan->open, upper[0], upper[1], upper[2])];
}

/* Are all faces of the cell and of its neighbours, behind corners too, open? */
static int is_clear(HcField code, PetscInt i, PetscInt j, PetscInt k) {
  HcGrid g = code->grid;
  const PetscInt wy = g->dim > 1, wz = g->dim > 2;
  int all = ALL_OPEN;
  for (PetscInt c = -wz; c <= wz; ++c)
    for (PetscInt b = -wy; b <= wy; ++b)
      for (PetscInt a = -1; a <= 1; ++a) {
        const int v = (int)code->c[0][place(code, i + a, j + b, k + c)];
        all = (v & 0xfff) == ALL_OPEN ? all : 0;
      }
  return all != 0;
}

PetscErrorCode hc_cells_create(HcWalk walk) {
  struct HcWalkState_ *s = walk->state;
  HcGrid g = walk->grid;
  HcFloorPlan plan = walk->spec.plan;
  int walls = 0;
  PetscInt width = 2;
  PetscFunctionBeginUser;
  if (!plan) PetscFunctionReturn(0);
  for (int d = 0; d < g->dim; ++d) width = PetscMin(width, g->cells[d] / g->ranks[d]);
  PetscCall(HcFieldCreate(g, 1, width, &s->code));
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i) {
        const PetscInt cell[3] = {i, j, k};
        int v = 0;
        for (int f = 0; f < 6; ++f) {
          const int state = face_state(walk, cell, f);
          const PetscBool edge =
            HcGridAtEdge(g, f) && g->boundary[f] != HC_PERIODIC && cell[f / 2] == (f % 2 ? g->n[f / 2] - 1 : 0);
          v |= state << 2 * f;
          if (f / 2 < g->dim && !edge && state != FACE_OPEN) walls = 1;
        }
        if (plan->region->c[0][place(plan->region, i, j, k)] != HC_FREE) walls = 1;
        if (plan->region->c[0][place(plan->region, i, j, k)] == HC_DOOR) {
          const int number = door_number(walk, i, j, k);
          PetscCheck(number >= -1 && number < walk->exits, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "door %d of %d exits",
            number, walk->exits);
          v |= (number + 2) << DOOR_SHIFT;
        }
        s->code->c[0][place(s->code, i, j, k)] = v;
      }
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &walls, 1, MPI_INT, MPI_MAX, g->comm));
  s->walls = walls ? PETSC_TRUE : PETSC_FALSE;
  if (!walls) {
    PetscCall(HcFieldDestroy(&s->code));
    PetscFunctionReturn(0);
  }
  PetscCall(HcFieldExchange(s->code, HC_BOX));
  /* only owned cells are asked whether they are clear; the bits come last, so that they do not disturb the question */
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i)
        if (is_clear(s->code, i, j, k)) s->code->c[0][place(s->code, i, j, k)] += CLEAR;
  PetscFunctionReturn(0);
}

/* ---- quick test ---- */

/* 1 if one of the six pairs of bits is FACE_EXIT (10). */
static inline int beside_exit(int v) { return (v >> 1 & ~v & 0x555) != 0; }

void hc_cells_flag(HcWalk walk, PetscInt n, double *const begin[], double *const end[], uint8_t *flag) {
  HcGrid g = walk->grid;
  const HcField code = walk->state->code;
  int at[HC_SCAN_BLOCK], apart[HC_SCAN_BLOCK];
  for (PetscInt q = 0; q < n; ++q) at[q] = apart[q] = 0;
  for (int d = 0; d < g->dim; ++d) {
    const double lower = g->lower[d], per_h = 1. / g->h[d], last = (double)(g->cells[d] - 1);
    const int start = (int)g->start[d], stride = (int)code->stride[d];
    const double *restrict from = begin[d], *restrict to = end[d];
    for (PetscInt q = 0; q < n; ++q) {
      /* HcGridCellOf(); ends far outside or not numbers are flagged already */
      double a = (from[q] - lower) * per_h, b = (to[q] - lower) * per_h;
      a = a < 1. ? 0. : a > last ? last : a;
      b = b < 1. ? 0. : b < last ? b : last;
      const int i = (int)a, j = (int)b, gap = i > j ? i - j : j - i;
      at[q] += stride * (i - start);
      apart[q] = gap > apart[q] ? gap : apart[q];
    }
  }
  const double *c = code->c[0];
  for (PetscInt q = 0; q < n; ++q) {
    const int v = (int)c[at[q]];
    const int free = ((apart[q] == 0) & !beside_exit(v)) | ((apart[q] <= 1) & ((v & CLEAR) != 0));
    flag[q] |= (uint8_t)!free;
  }
}

/* ---- the walk ---- */

static double face_at(HcGrid g, int d, PetscInt index) {
  return index == g->cells[d] ? g->upper[d] : g->lower[d] + (double)index * g->h[d];
}

/* The place of a global cell in the codes, if its neighbours are at hand too. */
static int find_code(HcWalk walk, const int64_t cell[3], PetscInt *at) {
  HcGrid g = walk->grid;
  const HcField code = walk->state->code;
  const int64_t reach = code->width - 1;
  *at = 0;
  for (int d = 0; d < g->dim; ++d) {
    int64_t i = cell[d] - g->start[d];
    if (g->boundary[2 * d] == HC_PERIODIC) {
      if (i < -reach) i += g->cells[d];
      if (i >= g->n[d] + reach) i -= g->cells[d];
    }
    if (i < -reach || i >= g->n[d] + reach) return 0;
    *at += (PetscInt)i * code->stride[d];
  }
  return 1;
}

/* The exit behind a face of state FACE_EXIT or FACE_RELEASE. */
static int exit_behind(HcWalk walk, const int64_t cell[3], PetscInt at, int f) {
  HcGrid g = walk->grid;
  const HcField code = walk->state->code;
  const int d = f / 2;
  if (g->boundary[f] != HC_PERIODIC && cell[d] == (f % 2 ? g->cells[d] - 1 : 0)) return walk->spec.face_exit[f];
  return ((int)code->c[0][at + (f % 2 ? 1 : -1) * code->stride[d]] >> DOOR_SHIFT) - 2;
}

/* Eight bits a face: 0 if it is no exit, else the exit's number + 2. */
static uint64_t doors_of(HcWalk walk, const int64_t cell[3], PetscInt at) {
  const int v = (int)walk->state->code->c[0][at];
  uint64_t doors = 0;
  if (!beside_exit(v)) return 0;
  for (int f = 0; f < 2 * walk->grid->dim; ++f)
    if ((v >> 2 * f & 3) == FACE_EXIT) doors |= (uint64_t)(exit_behind(walk, cell, at, f) + 2) << NEIGHBOUR_BITS * f;
  return doors;
}

void hc_cells_start(HcWalk walk, HcFlight *flight) {
  HcGrid g = walk->grid;
  PetscInt at;
  for (int d = 0; d < 3; ++d) {
    flight->cell[d] = d < g->dim ? HcGridCellOf(g, d, flight->o[d]) : 0;
    flight->begin[d] = flight->o[d];
  }
  flight->phase = HC_FLIGHT_ONWARD;
  flight->doors = find_code(walk, flight->cell, &at) ? doors_of(walk, flight->cell, at) : 0;
}

/* Bridges to the exits beside one cell. The straight way from one end to the mirror image of the other meets the face's plane
 * where the bridge would most likely touch it: that must be the cell's own face. */
static int touched_beside(
  HcWalk walk, const HcFlight *flight, const int64_t cell[3], uint64_t doors, double *survival, double *u) {
  const struct HcWalkState_ *s = walk->state;
  HcGrid g = walk->grid;
  for (int f = 0; f < 2 * g->dim; ++f) {
    const int number = (int)(doors >> NEIGHBOUR_BITS * f & ((1 << NEIGHBOUR_BITS) - 1));
    const int d = f / 2;
    if (!number) continue;
    const double face = face_at(g, d, (PetscInt)cell[d] + f % 2), side = f % 2 ? 1 : -1;
    const double a = side * (face - flight->begin[d]), b = side * (face - flight->o[d]);
    if (!(a >= 0 && b >= 0 && hc_may_touch(s, a, b))) continue;
    int facing = 1;
    for (int e = 0; e < g->dim; ++e) {
      const double at = flight->begin[e] + (a + b > 0 ? a / (a + b) : 0) * (flight->o[e] - flight->begin[e]);
      if (e != d) facing = facing && HcGridCellOf(g, e, at) == cell[e];
    }
    if (!facing) continue;
    if (*u < 0) *u = HcUniform(walk->spec.seed, flight->id, s->step, HC_STREAM_BRIDGE, 0);
    *survival *= 1 - exp(-s->touch * a * b);
    if (*u > *survival) return number - 2;
  }
  return HC_NOT_EXITED;
}

static int touched(HcWalk walk, const HcFlight *flight, PetscInt at) {
  HcGrid g = walk->grid;
  double survival = 1, u = -1;
  int64_t first[3] = {0, 0, 0};
  int same = 1;
  for (int d = 0; d < g->dim; ++d) {
    first[d] = HcGridCellOf(g, d, flight->begin[d]);
    same = same && first[d] == flight->cell[d];
  }
  int exit = flight->doors ? touched_beside(walk, flight, first, flight->doors, &survival, &u) : HC_NOT_EXITED;
  if (exit == HC_NOT_EXITED && !same) {
    const uint64_t doors = doors_of(walk, flight->cell, at);
    if (doors) exit = touched_beside(walk, flight, flight->cell, doors, &survival, &u);
  }
  return exit;
}

/* The face that the step meets next and after what share of it. */
static int next_face(HcGrid g, const HcFlight *flight, double *share) {
  int face = -1;
  *share = 1;
  for (int d = 0; d < g->dim; ++d) {
    const double v = flight->v[d];
    if (v == 0) continue;
    const int up = v > 0;
    const double s = (face_at(g, d, (PetscInt)flight->cell[d] + up) - flight->o[d]) / v;
    if (s < *share) {
      *share = s;
      face = 2 * d + up;
    }
  }
  return face;
}

static void cross(HcGrid g, HcFlight *flight, int f) {
  const int d = f / 2;
  const int64_t n = g->cells[d];
  flight->cell[d] += f % 2 ? 1 : -1;
  if (flight->cell[d] == n) {
    flight->cell[d] = 0;
    flight->o[d] -= g->upper[d] - g->lower[d];
  } else if (flight->cell[d] < 0) {
    flight->cell[d] = n - 1;
    flight->o[d] += g->upper[d] - g->lower[d];
  }
}

HcCellsResult hc_cells_finish(HcWalk walk, HcFlight *flight, int *exit) {
  HcGrid g = walk->grid;
  const HcField code = walk->state->code;
  for (;;) {
    PetscInt at;
    double share;
    if (!find_code(walk, flight->cell, &at)) return HC_CELLS_AWAY;
    const int f = next_face(g, flight, &share);
    if (f < 0) {
      for (int d = 0; d < g->dim; ++d) {
        const double x = fmin(fmax(flight->o[d] + flight->v[d], g->lower[d]), g->upper[d]);
        flight->o[d] = hc_into_cell(g, d, (PetscInt)flight->cell[d], x);
      }
      *exit = touched(walk, flight, at);
      return *exit == HC_NOT_EXITED ? HC_CELLS_LANDED : HC_CELLS_EXITED;
    }
    const int d = f / 2;
    switch ((int)code->c[0][at] >> 2 * f & 3) {
    case FACE_OPEN:
      cross(g, flight, f);
      break;
    case FACE_CLOSED:
      flight->o[d] = 2 * face_at(g, d, (PetscInt)flight->cell[d] + f % 2) - flight->o[d];
      flight->v[d] = -flight->v[d];
      break;
    default:
      *exit = exit_behind(walk, flight->cell, at, f);
      return HC_CELLS_EXITED;
    }
  }
}
