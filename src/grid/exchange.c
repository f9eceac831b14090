/*
 * Ghost exchange: one packed message a neighbour with all components, posted nonblocking, unpacked in place.
 *
 * A direction is an offset (dx,dy,dz) in -1..1 numbered (dx+1)+3(dy+1)+9(dz+1); the opposite of direction i is 26-i.
 * A message carries the sender's direction as its tag, so the two messages between the same pair of ranks (a periodic
 * direction of two blocks) cannot be confused. Messages of two fields in flight at once match in the order of their
 * Begins, which is the same on all ranks.
 *
 * Persistent requests do not pay: 6 messages of 128 bytes take 1.6 us as they are and 2.3 us persistent, larger ones the
 * same (Open MPI 4.1, shared memory).
 */
#include "grid_private.h"
#include <halocline/run.h>
#include <stdlib.h>
#include <string.h>

enum { DIRECTIONS = 27, TAG = 4096 };

struct HcExchange_ {
  size_t slot[DIRECTIONS]; /* where a remote direction's part of send[] and recv[] starts */
  double *send, *recv;     /* NULL where every neighbour is this rank */
  MPI_Request recv_request[DIRECTIONS], send_request[DIRECTIONS];
  int pending[DIRECTIONS], npending; /* directions of recv_request[] */
  int nsent;
  int active; /* between Begin and End */
  int c0, nc;
  PetscInt width;
};

/* Cells lo <= index < hi. */
typedef struct {
  PetscInt lo[3], n[3];
} Region;

static inline int offset_of(int direction, int d) {
  return (d == 0 ? direction % 3 : d == 1 ? direction / 3 % 3 : direction / 9) - 1;
}

/* Does the direction lead out of the block in used directions only, and is it asked for? */
static int takes_part(HcGrid g, int direction, HcShape shape) {
  int nonzero = 0;
  for (int d = 0; d < 3; ++d) {
    if (!offset_of(direction, d)) continue;
    if (d >= g->dim) return 0;
    ++nonzero;
  }
  return nonzero > 0 && (shape == HC_BOX || nonzero == 1);
}

static int is_remote(HcGrid g, int direction) { return g->neighbour[direction] >= 0 && g->neighbour[direction] != g->rank; }

/* The owned cells that the neighbour in a direction sees as its ghosts. */
static Region owned_region(HcGrid g, int direction, PetscInt width) {
  Region r;
  for (int d = 0; d < 3; ++d) {
    const int o = offset_of(direction, d);
    r.lo[d] = o > 0 ? g->n[d] - width : 0;
    r.n[d] = o ? width : g->n[d];
  }
  return r;
}

/* The ghosts behind which the neighbour in a direction lies. */
static Region ghost_region(HcGrid g, int direction, PetscInt width) {
  Region r;
  for (int d = 0; d < 3; ++d) {
    const int o = offset_of(direction, d);
    r.lo[d] = o > 0 ? g->n[d] : o < 0 ? -width : 0;
    r.n[d] = o ? width : g->n[d];
  }
  return r;
}

static size_t region_cells(const Region *r) { return (size_t)r->n[0] * (size_t)r->n[1] * (size_t)r->n[2]; }

static double *region_start(HcField f, int c, const Region *r) {
  return f->c[c] + r->lo[0] + r->lo[1] * f->stride[1] + r->lo[2] * f->stride[2];
}

/* ---- rows: `a` and `b` advance by their own strides from row to row and plane to plane ---- */

typedef struct {
  size_t row, plane;
} Steps;

static inline void copy_short(
  double *restrict a, Steps sa, const double *restrict b, Steps sb, PetscInt n0, PetscInt n1, PetscInt n2) {
  for (PetscInt k = 0; k < n2; ++k)
    for (PetscInt j = 0; j < n1; ++j) {
      double *restrict p = a + (size_t)j * sa.row + (size_t)k * sa.plane;
      const double *restrict q = b + (size_t)j * sb.row + (size_t)k * sb.plane;
      for (PetscInt i = 0; i < n0; ++i) p[i] = q[i];
    }
}

/* x-faces have rows of 1 to 4 cells, for which a call of memcpy costs more than the copy: unrolled for each length. */
static void copy_rows(double *a, Steps sa, const double *b, Steps sb, const PetscInt n[3]) {
  switch (n[0]) {
  case 1:
    copy_short(a, sa, b, sb, 1, n[1], n[2]);
    return;
  case 2:
    copy_short(a, sa, b, sb, 2, n[1], n[2]);
    return;
  case 3:
    copy_short(a, sa, b, sb, 3, n[1], n[2]);
    return;
  case 4:
    copy_short(a, sa, b, sb, 4, n[1], n[2]);
    return;
  }
  for (PetscInt k = 0; k < n[2]; ++k)
    for (PetscInt j = 0; j < n[1]; ++j)
      memcpy(a + (size_t)j * sa.row + (size_t)k * sa.plane, b + (size_t)j * sb.row + (size_t)k * sb.plane,
        sizeof(double) * (size_t)n[0]);
}

static void add_rows(double *a, Steps sa, const double *b, Steps sb, const PetscInt n[3]) {
  for (PetscInt k = 0; k < n[2]; ++k)
    for (PetscInt j = 0; j < n[1]; ++j) {
      double *restrict p = a + (size_t)j * sa.row + (size_t)k * sa.plane;
      const double *restrict q = b + (size_t)j * sb.row + (size_t)k * sb.plane;
      for (PetscInt i = 0; i < n[0]; ++i) p[i] += q[i];
    }
}

static void zero_rows(double *a, Steps sa, const PetscInt n[3]) {
  for (PetscInt k = 0; k < n[2]; ++k)
    for (PetscInt j = 0; j < n[1]; ++j) memset(a + (size_t)j * sa.row + (size_t)k * sa.plane, 0, sizeof(double) * (size_t)n[0]);
}

static Steps field_steps(HcField f) { return (Steps){(size_t)f->stride[1], (size_t)f->stride[2]}; }
static Steps buffer_steps(const Region *r) { return (Steps){(size_t)r->n[0], (size_t)(r->n[0] * r->n[1])}; }

static void pack(HcField f, const Region *r, double *buffer) {
  const size_t cells = region_cells(r);
  for (int c = 0; c < f->exchange->nc; ++c)
    copy_rows(buffer + (size_t)c * cells, buffer_steps(r), region_start(f, f->exchange->c0 + c, r), field_steps(f), r->n);
}

static void unpack(HcField f, const Region *r, const double *buffer) {
  const size_t cells = region_cells(r);
  for (int c = 0; c < f->exchange->nc; ++c)
    copy_rows(region_start(f, f->exchange->c0 + c, r), field_steps(f), buffer + (size_t)c * cells, buffer_steps(r), r->n);
}

static void unpack_add(HcField f, const Region *r, const double *buffer) {
  const size_t cells = region_cells(r);
  for (int c = 0; c < f->exchange->nc; ++c)
    add_rows(region_start(f, f->exchange->c0 + c, r), field_steps(f), buffer + (size_t)c * cells, buffer_steps(r), r->n);
}

static void zero_region(HcField f, const Region *r) {
  for (int c = 0; c < f->exchange->nc; ++c) zero_rows(region_start(f, f->exchange->c0 + c, r), field_steps(f), r->n);
}

/* ---- buffers ---- */

/* Doubles of one of the two buffers; the slots are whole cache lines. */
static size_t place_slots(HcGrid g, int components, PetscInt width, size_t slot[DIRECTIONS]) {
  size_t n = 0;
  for (int i = 0; i < DIRECTIONS; ++i) {
    slot[i] = n;
    if (width == 0 || !takes_part(g, i, HC_BOX) || !is_remote(g, i)) continue;
    const Region r = ghost_region(g, i, width);
    n += (region_cells(&r) * (size_t)components + 7) / 8 * 8;
  }
  return n;
}

double hc_exchange_bytes(HcGrid g, int components, PetscInt width) {
  size_t slot[DIRECTIONS];
  return 2 * (double)place_slots(g, components, width, slot) * sizeof(double) + sizeof(struct HcExchange_);
}

/* The pages of slots that are never used (edges and corners, where only faces are exchanged) are never touched. */
PetscErrorCode hc_exchange_create(HcField f) {
  size_t n;
  PetscFunctionBeginUser;
  PetscCall(PetscNew(&f->exchange));
  n = place_slots(f->grid, f->components, f->width, f->exchange->slot);
  if (n) PetscCall(hc_allocate(2 * n, "the messages of a field", &f->exchange->send));
  if (n) f->exchange->recv = f->exchange->send + n;
  PetscFunctionReturn(0);
}

PetscErrorCode hc_exchange_destroy(HcField f) {
  PetscFunctionBeginUser;
  if (!f->exchange) PetscFunctionReturn(0);
  PetscCheck(!f->exchange->active, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE, "Field destroyed between exchange Begin and End");
  free(f->exchange->send);
  PetscCall(PetscFree(f->exchange));
  PetscFunctionReturn(0);
}

/* ---- messages ---- */

static PetscErrorCode open_exchange(HcField f, int c0, int nc, PetscInt width) {
  struct HcExchange_ *x = f->exchange;
  PetscFunctionBeginUser;
  PetscCheck(!x->active, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE, "Exchange begun twice");
  PetscCheck(c0 >= 0 && nc >= 0 && c0 + nc <= f->components, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE,
    "Components %d to %d of a field of %d", c0, c0 + nc - 1, f->components);
  PetscCheck(width >= 0 && width <= f->width, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "%d of %d ghost layers", (int)width,
    (int)f->width);
  x->active = 1;
  x->c0 = c0;
  x->nc = nc;
  x->width = width;
  x->npending = x->nsent = 0;
  PetscFunctionReturn(0);
}

static PetscErrorCode post_receive(HcField f, int direction) {
  struct HcExchange_ *x = f->exchange;
  const Region r = ghost_region(f->grid, direction, x->width);
  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Irecv(x->recv + x->slot[direction], (PetscMPIInt)(region_cells(&r) * (size_t)x->nc), MPI_DOUBLE,
    f->grid->neighbour[direction], TAG + DIRECTIONS - 1 - direction, f->grid->comm, &x->recv_request[x->npending]));
  x->pending[x->npending++] = direction;
  PetscFunctionReturn(0);
}

static PetscErrorCode post_send(HcField f, int direction, const Region *r) {
  struct HcExchange_ *x = f->exchange;
  const size_t n = region_cells(r) * (size_t)x->nc;
  PetscFunctionBeginUser;
  pack(f, r, x->send + x->slot[direction]);
  PetscCallMPI(MPI_Isend(x->send + x->slot[direction], (PetscMPIInt)n, MPI_DOUBLE, f->grid->neighbour[direction], TAG + direction,
    f->grid->comm, &x->send_request[x->nsent++]));
  f->grid->messages++;
  f->grid->bytes += (long long)(n * sizeof(double));
  PetscFunctionReturn(0);
}

/* A periodic direction of one block: the ghosts are copies of this rank's own cells at the other side. */
static void copy_own(HcField f, int direction) {
  struct HcExchange_ *x = f->exchange;
  const Region to = ghost_region(f->grid, direction, x->width),
               from = owned_region(f->grid, DIRECTIONS - 1 - direction, x->width);
  for (int c = x->c0; c < x->c0 + x->nc; ++c)
    copy_rows(region_start(f, c, &to), field_steps(f), region_start(f, c, &from), field_steps(f), to.n);
}

PetscErrorCode HcFieldExchangeBegin(HcField f, int c0, int nc, PetscInt width, HcShape shape) {
  HcGrid g = f->grid;
  PetscFunctionBeginUser;
  PetscCall(open_exchange(f, c0, nc, width));
  if (nc == 0 || width == 0) PetscFunctionReturn(0);
  for (int i = 0; i < DIRECTIONS; ++i)
    if (takes_part(g, i, shape) && is_remote(g, i)) PetscCall(post_receive(f, i));
  for (int i = 0; i < DIRECTIONS; ++i) {
    if (!takes_part(g, i, shape) || !is_remote(g, i)) continue;
    const Region r = owned_region(g, i, width);
    PetscCall(post_send(f, i, &r));
  }
  for (int i = 0; i < DIRECTIONS; ++i)
    if (takes_part(g, i, shape) && g->neighbour[i] == g->rank) copy_own(f, i);
  PetscFunctionReturn(0);
}

PetscErrorCode HcFieldExchangeEnd(HcField f) {
  struct HcExchange_ *x = f->exchange;
  PetscFunctionBeginUser;
  PetscCheck(x->active, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE, "Exchange ended without Begin");
  for (int left = x->npending; left > 0; --left) {
    PetscMPIInt done;
    PetscCallMPI(MPI_Waitany(x->npending, x->recv_request, &done, MPI_STATUS_IGNORE));
    const Region r = ghost_region(f->grid, x->pending[done], x->width);
    unpack(f, &r, x->recv + x->slot[x->pending[done]]);
  }
  PetscCallMPI(MPI_Waitall(x->nsent, x->send_request, MPI_STATUSES_IGNORE));
  x->active = 0;
  PetscFunctionReturn(0);
}

PetscErrorCode HcFieldExchange(HcField f, HcShape shape) {
  PetscFunctionBeginUser;
  HcTimerStart(HC_TIMER_EXCHANGE);
  PetscCall(HcFieldExchangeBegin(f, 0, f->components, f->width, shape));
  PetscCall(HcFieldExchangeEnd(f));
  HcTimerStop(HC_TIMER_EXCHANGE);
  PetscFunctionReturn(0);
}

/* A cell takes what its neighbours hold for it in the order of their directions, whether the neighbour is another rank
 * or this one: the order never depends on which message arrives first. */
static void add_contributions(HcField f, HcShape shape) {
  struct HcExchange_ *x = f->exchange;
  HcGrid g = f->grid;
  for (int i = 0; i < DIRECTIONS; ++i) {
    if (!takes_part(g, i, shape) || g->neighbour[i] < 0) continue;
    const Region to = owned_region(g, i, x->width);
    if (is_remote(g, i))
      unpack_add(f, &to, x->recv + x->slot[i]);
    else {
      const Region from = ghost_region(g, DIRECTIONS - 1 - i, x->width);
      for (int c = x->c0; c < x->c0 + x->nc; ++c)
        add_rows(region_start(f, c, &to), field_steps(f), region_start(f, c, &from), field_steps(f), to.n);
    }
  }
}

PetscErrorCode HcFieldExchangeAdd(HcField f, int c0, int nc, PetscInt width, HcShape shape) {
  struct HcExchange_ *x = f->exchange;
  HcGrid g = f->grid;
  PetscFunctionBeginUser;
  PetscCall(open_exchange(f, c0, nc, width));
  if (nc > 0 && width > 0) {
    /* what comes from direction i has the size of the ghosts in direction i */
    for (int i = 0; i < DIRECTIONS; ++i)
      if (takes_part(g, i, shape) && is_remote(g, i)) PetscCall(post_receive(f, i));
    for (int i = 0; i < DIRECTIONS; ++i) {
      if (!takes_part(g, i, shape) || !is_remote(g, i)) continue;
      const Region r = ghost_region(g, i, width);
      PetscCall(post_send(f, i, &r));
    }
    PetscCallMPI(MPI_Waitall(x->npending, x->recv_request, MPI_STATUSES_IGNORE));
    add_contributions(f, shape);
    for (int i = 0; i < DIRECTIONS; ++i) {
      if (!takes_part(g, i, shape)) continue;
      const Region r = ghost_region(g, i, width);
      zero_region(f, &r);
    }
    PetscCallMPI(MPI_Waitall(x->nsent, x->send_request, MPI_STATUSES_IGNORE));
  }
  x->active = 0;
  PetscFunctionReturn(0);
}
