/*
 * Migration: every particle to the rank that owns its position.
 *
 * A scan lists those that leave; they are packed by destination and sent to the neighbours, each of which gets one message
 * in every migration, empty or not. Whether anyone went beyond the neighbours is known only to all ranks together: one reduction
 * runs while the messages travel, and carries the caller's counts too. Only if it says so is there a second exchange.
 */
#include "particles_private.h"
#include <stdlib.h>
#include <string.h>

enum { TAG_NEIGHBOUR = 1, TAG_ANY = 2, MAX_TALLY = 160 };

/* ---- who owns what ---- */

int HcGridOwner(HcGrid g, const PetscInt cell[3]) {
  PetscInt rank = 0;
  for (int d = 2; d >= 0; --d) {
    PetscInt lo = 0, hi = g->ranks[d]; /* split[lo] <= cell < split[hi] */
    while (hi - lo > 1) {
      const PetscInt mid = (lo + hi) / 2;
      if (cell[d] < g->split[d][mid])
        hi = mid;
      else
        lo = mid;
    }
    rank = rank * g->ranks[d] + lo;
  }
  return (int)rank;
}

/* Doubles in the order of their bits, by whole numbers that can be bisected. */
static int64_t key_of(double x) {
  int64_t b;
  memcpy(&b, &x, sizeof b);
  return b < 0 ? INT64_MIN - b : b;
}

static double of_key(int64_t k) {
  const int64_t b = k < 0 ? INT64_MIN - k : k;
  double x;
  memcpy(&x, &b, sizeof x);
  return x;
}

double hc_cell_edge(HcGrid g, int d, PetscInt cell) {
  int64_t below = key_of(g->lower[d]), above = key_of(g->upper[d]);
  if (cell <= 0) return g->lower[d];
  if (cell >= g->cells[d]) return g->boundary[2 * d] == HC_PERIODIC ? g->upper[d] : nextafter(g->upper[d], INFINITY);
  while (below + 1 < above) { /* the cell is monotone in x: cell of below < cell <= cell of above */
    const int64_t mid = below + (int64_t)(((uint64_t)above - (uint64_t)below) / 2);
    if (HcGridCellOf(g, d, of_key(mid)) < cell)
      below = mid;
    else
      above = mid;
  }
  return of_key(above);
}

/* ---- state ---- */

PetscErrorCode hc_migration_create(HcGrid g, HcMigration *migration) {
  HcMigration m;
  PetscFunctionBeginUser;
  PetscCall(PetscNew(&m));
  *migration = m;
  m->comm = MPI_COMM_NULL;
  PetscCallMPI(MPI_Comm_dup(g->comm, &m->comm));
  for (int d = 0; d < g->dim; ++d) {
    m->lo[d] = hc_cell_edge(g, d, g->start[d]);
    m->hi[d] = hc_cell_edge(g, d, g->start[d] + g->n[d]);
  }
  for (int o = 0; o < 27; ++o) {
    const int rank = g->neighbour[o];
    m->slot[o] = -1;
    if (rank == MPI_PROC_NULL || rank == g->rank) continue;
    int s = 0;
    while (s < m->neighbours && m->neighbour[s] != rank) ++s;
    if (s == m->neighbours) m->neighbour[m->neighbours++] = rank;
    m->slot[o] = s;
  }
  PetscFunctionReturn(0);
}

PetscErrorCode hc_migration_destroy(HcMigration *migration) {
  HcMigration m = *migration;
  PetscFunctionBeginUser;
  if (!m) PetscFunctionReturn(0);
  if (m->comm != MPI_COMM_NULL) PetscCallMPI(MPI_Comm_free(&m->comm));
  free(m->leaver);
  free(m->destination);
  free(m->send);
  free(m->receive);
  PetscCall(PetscFree(*migration));
  PetscFunctionReturn(0);
}

/* A buffer for n items at least; its content is kept. */
static PetscErrorCode enlarge(void **buffer, size_t item, size_t n) {
  PetscFunctionBeginUser;
  void *more = realloc(*buffer, item * n);
  HcRequire(more, HC_EXIT_FAILED, "this rank cannot get %.1f MB to send particles", (double)(item * n) / 1e6);
  *buffer = more;
  PetscFunctionReturn(0);
}

static PetscErrorCode room_for_leavers(HcMigration m, PetscInt n) {
  PetscFunctionBeginUser;
  if (n <= m->leaver_room) PetscFunctionReturn(0);
  n += n / 2 + HC_SCAN_BLOCK;
  PetscCall(enlarge((void **)&m->leaver, sizeof *m->leaver, (size_t)n));
  PetscCall(enlarge((void **)&m->destination, sizeof *m->destination, (size_t)n));
  m->leaver_room = n;
  PetscFunctionReturn(0);
}

static PetscErrorCode room_for_doubles(double **buffer, size_t *room, size_t n) {
  PetscFunctionBeginUser;
  if (n <= *room) PetscFunctionReturn(0);
  n += n / 2;
  PetscCall(enlarge((void **)buffer, sizeof(double), n));
  *room = n;
  PetscFunctionReturn(0);
}

/* ---- scan ---- */

static PetscErrorCode beyond(HcParticles p, PetscInt q, int d) {
  return HcFail(HC_EXIT_FAILED, "particle %llu is at %c = %.17g, outside the box %.17g .. %.17g", (unsigned long long)p->id[q],
    "xyz"[d], p -> x[d][q], p -> grid -> lower[d], p -> grid -> upper[d]);
}

/* The new owner of a particle outside this block, wrapped. */
static int find_owner(HcParticles p, PetscInt q) {
  HcGrid g = p->grid;
  PetscInt cell[3] = {0, 0, 0};
  for (int d = 0; d < g->dim; ++d) {
    double x = p->x[d][q];
    const PetscBool periodic = g->boundary[2 * d] == HC_PERIODIC ? PETSC_TRUE : PETSC_FALSE;
    if (!isfinite(x) || (!periodic && (x < g->lower[d] || x > g->upper[d]))) {
      if (!p->migration->bad) p->migration->bad = beyond(p, q, d);
      return g->rank;
    }
    if (periodic) p->x[d][q] = x = hc_wrap(x, g->lower[d], g->upper[d]);
    cell[d] = HcGridCellOf(g, d, x);
  }
  return HcGridOwner(g, cell);
}

/* flag[q] = 1 where the coordinate is not in the block: a loop without branches, which a NaN does not pass. */
static void flag_outside(PetscInt n, const double *restrict x, double lo, double hi, uint8_t *restrict flag) {
  for (PetscInt q = 0; q < n; ++q) flag[q] |= !((x[q] >= lo) & (x[q] < hi));
}

PetscErrorCode hc_migration_scan(HcParticles p, PetscInt begin, PetscInt n, const uint8_t *gone) {
  HcMigration m = p->migration;
  uint8_t flag[HC_SCAN_BLOCK] __attribute__((aligned(64)));
  PetscInt k = m->leavers;
  uint64_t any = 0, word;
  PetscFunctionBeginUser;
  memset(flag, 0, sizeof flag);
  if (gone) memcpy(flag, gone, (size_t)n);
  for (int d = 0; d < p->grid->dim; ++d) flag_outside(n, p->x[d] + begin, m->lo[d], m->hi[d], flag);
  for (PetscInt q = 0; q < HC_SCAN_BLOCK; q += 8) {
    memcpy(&word, flag + q, 8);
    any |= word;
  }
  if (!any) PetscFunctionReturn(0);
  PetscCall(room_for_leavers(m, k + n));
  for (PetscInt q0 = 0; q0 < n; q0 += 8) {
    memcpy(&word, flag + q0, 8);
    if (!word) continue;
    for (PetscInt q = q0; q < q0 + 8; ++q) {
      if (!flag[q]) continue;
      const int owner = gone && gone[q] ? -1 : find_owner(p, begin + q);
      if (owner == p->grid->rank) continue; /* back through a periodic face */
      m->leaver[k] = begin + q;
      m->destination[k++] = owner;
    }
  }
  m->leavers = k;
  PetscFunctionReturn(0);
}

/* ---- exchange ---- */

static inline double bits_as_double(uint64_t id) {
  double v;
  memcpy(&v, &id, sizeof v);
  return v;
}

static inline uint64_t double_as_bits(double v) {
  uint64_t id;
  memcpy(&id, &v, sizeof id);
  return id;
}

static inline void pack(HcParticles p, PetscInt q, double *record) {
  int k = 0;
  for (int d = 0; d < p->grid->dim; ++d) record[k++] = p->x[d][q];
  record[k++] = bits_as_double(p->id[q]);
  record[k] = p->weight[q];
}

static PetscErrorCode unpack(HcParticles p, PetscInt n, const double *records) {
  const int dim = (int)p->grid->dim, length = hc_record_length(p->grid);
  PetscFunctionBeginUser;
  if (p->n + n > p->room) PetscCall(HcParticlesReserve(p, p->n + n + p->room / 2));
  for (PetscInt r = 0; r < n; ++r) {
    const double *record = records + r * length;
    for (int d = 0; d < dim; ++d) p->x[d][p->n + r] = record[d];
    p->id[p->n + r] = double_as_bits(record[dim]);
    p->weight[p->n + r] = record[dim + 1];
  }
  p->n += n;
  PetscFunctionReturn(0);
}

/* Fill the holes from the tail. In descending order the particle at the end never is a hole still to be filled. */
static void close_holes(HcParticles p) {
  HcMigration m = p->migration;
  PetscInt last = p->n - 1;
  for (PetscInt k = m->leavers - 1; k >= 0; --k, --last) {
    const PetscInt hole = m->leaver[k];
    if (hole == last) continue;
    for (int d = 0; d < p->grid->dim; ++d) p->x[d][hole] = p->x[d][last];
    p->id[hole] = p->id[last];
    p->weight[hole] = p->weight[last];
  }
  p->n -= m->leavers;
  m->leavers = 0;
}

/* Which neighbour's message a destination goes into: its place, or `neighbours` for those farther away, or -1 for none. */
static int slot_of(HcMigration m, int destination) {
  if (destination < 0) return -1;
  int s = 0;
  while (s < m->neighbours && m->neighbour[s] != destination) ++s;
  return s;
}

/* Records in the order of slots; start[s] .. start[s+1] in records. */
static PetscErrorCode pack_all(HcParticles p, PetscInt start[28], int **far_destination) {
  HcMigration m = p->migration;
  const int length = hc_record_length(p->grid);
  PetscInt at[27];
  PetscFunctionBeginUser;
  memset(start, 0, 28 * sizeof *start);
  for (PetscInt k = 0; k < m->leavers; ++k) {
    const int s = slot_of(m, m->destination[k]);
    if (s >= 0) ++start[s + 1];
  }
  for (int s = 0; s < 27; ++s) start[s + 1] += start[s];
  memcpy(at, start, sizeof at);
  PetscCall(room_for_doubles(&m->send, &m->send_room, (size_t)(start[27] * length)));
  const PetscInt far = start[m->neighbours + 1] - start[m->neighbours];
  *far_destination = NULL;
  if (far) PetscCall(PetscMalloc1(far, far_destination));
  for (PetscInt k = 0; k < m->leavers; ++k) {
    const int s = slot_of(m, m->destination[k]);
    if (s < 0) continue;
    if (s == m->neighbours) (*far_destination)[at[s] - start[s]] = m->destination[k];
    pack(p, m->leaver[k], m->send + at[s]++ * length);
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode receive_from(HcParticles p, int rank) {
  HcMigration m = p->migration;
  const int length = hc_record_length(p->grid);
  MPI_Message message;
  MPI_Status status;
  int count;
  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Mprobe(rank, TAG_NEIGHBOUR, m->comm, &message, &status));
  PetscCallMPI(MPI_Get_count(&status, MPI_DOUBLE, &count));
  PetscCall(room_for_doubles(&m->receive, &m->receive_room, (size_t)count));
  PetscCallMPI(MPI_Mrecv(m->receive, count, MPI_DOUBLE, &message, MPI_STATUS_IGNORE));
  PetscCall(unpack(p, count / length, m->receive));
  PetscFunctionReturn(0);
}

PetscErrorCode hc_migration_send(HcParticles p, int n, int64_t tally[]) {
  HcMigration m = p->migration;
  HcGrid g = p->grid;
  const int length = hc_record_length(g);
  int64_t shared[MAX_TALLY];
  PetscInt start[28], arrived;
  int *far_destination;
  double *records;
  MPI_Request reduction, sends[26];
  PetscErrorCode code = m->bad;
  PetscFunctionBeginUser;
  PetscCheck(n + 2 <= MAX_TALLY, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "%d counts", n);
  m->bad = 0;
  PetscCall(pack_all(p, start, &far_destination));
  const PetscInt far = start[m->neighbours + 1] - start[m->neighbours];
  shared[0] = far;
  shared[1] = code != 0;
  for (int k = 0; k < n; ++k) shared[2 + k] = tally[k];
  if (g->size > 1) {
    PetscCallMPI(MPI_Iallreduce(MPI_IN_PLACE, shared, n + 2, MPI_INT64_T, MPI_SUM, m->comm, &reduction));
    for (int s = 0; s < m->neighbours; ++s) {
      const PetscInt count = (start[s + 1] - start[s]) * length;
      PetscCallMPI(
        MPI_Isend(m->send + start[s] * length, (int)count, MPI_DOUBLE, m->neighbour[s], TAG_NEIGHBOUR, m->comm, &sends[s]));
      if (count) {
        ++g->messages;
        g->bytes += 8 * (long long)count;
      }
    }
    close_holes(p);
    for (int s = 0; s < m->neighbours; ++s) PetscCall(receive_from(p, m->neighbour[s]));
    PetscCallMPI(MPI_Wait(&reduction, MPI_STATUS_IGNORE));
    PetscCallMPI(MPI_Waitall(m->neighbours, sends, MPI_STATUSES_IGNORE));
  } else
    close_holes(p);
  if (shared[0]) {
    PetscCall(hc_sparse_exchange(m, length, far, far_destination, m->send + start[m->neighbours] * length, &arrived, &records));
    PetscCall(unpack(p, arrived, records));
    PetscCall(PetscFree(records));
  }
  PetscCall(PetscFree(far_destination));
  if (shared[1]) PetscCall(HcAgree(m->comm, code));
  for (int k = 0; k < n; ++k) tally[k] = shared[2 + k];
  PetscFunctionReturn(0);
}

/* ---- to any rank ---- */

typedef struct {
  int destination;
  PetscInt record;
} Order;

static int by_destination(const void *a, const void *b) {
  const Order *x = a, *y = b;
  return x->destination != y->destination ? (x->destination > y->destination) - (x->destination < y->destination)
                                          : (x->record > y->record) - (x->record < y->record);
}

/* Nonblocking consensus (Hoefler, Siebert & Lumsdaine, PPoPP 2010): synchronous sends tell when all of mine have been received;
 * then a barrier, during which one goes on receiving, tells when all of everyone's have. A rank that is through may start the
 * next exchange while others wait for the barrier's end, so tags alternate. */
PetscErrorCode hc_sparse_exchange(
  HcMigration m, int length, PetscInt n, const int *destination, const double *records, PetscInt *arrived, double **received) {
  Order *order;
  double *sorted, *in = NULL;
  MPI_Request *sends, barrier = MPI_REQUEST_NULL;
  PetscInt room = 0;
  const int tag = TAG_ANY + (m->round++ & 1);
  int messages = 0, done = 0, in_barrier = 0;
  PetscFunctionBeginUser;
  PetscCall(PetscMalloc3(n, &order, n * length, &sorted, n, &sends));
  for (PetscInt r = 0; r < n; ++r) order[r] = (Order){destination[r], r};
  if (n) qsort(order, (size_t)n, sizeof *order, by_destination);
  for (PetscInt r = 0; r < n; ++r)
    memcpy(sorted + r * length, records + order[r].record * length, (size_t)length * sizeof *sorted);
  for (PetscInt r = 0, end; r < n; r = end) {
    for (end = r; end < n && order[end].destination == order[r].destination;) ++end;
    PetscCallMPI(MPI_Issend(
      sorted + r * length, (int)((end - r) * length), MPI_DOUBLE, order[r].destination, tag, m->comm, &sends[messages++]));
  }
  *arrived = 0;
  while (!done) {
    MPI_Status status;
    MPI_Message message;
    int there;
    PetscCallMPI(MPI_Improbe(MPI_ANY_SOURCE, tag, m->comm, &there, &message, &status));
    if (there) {
      int count;
      PetscCallMPI(MPI_Get_count(&status, MPI_DOUBLE, &count));
      if (*arrived * length + count > room) {
        room = *arrived * length + count + room;
        PetscCall(PetscRealloc((size_t)room * sizeof *in, &in));
      }
      PetscCallMPI(MPI_Mrecv(in + *arrived * length, count, MPI_DOUBLE, &message, MPI_STATUS_IGNORE));
      *arrived += count / length;
    }
    if (in_barrier)
      PetscCallMPI(MPI_Test(&barrier, &done, MPI_STATUS_IGNORE));
    else {
      PetscCallMPI(MPI_Testall(messages, sends, &there, MPI_STATUSES_IGNORE));
      if (there) {
        PetscCallMPI(MPI_Ibarrier(m->comm, &barrier));
        in_barrier = 1;
      }
    }
  }
  PetscCall(PetscFree3(order, sorted, sends));
  *received = in;
  PetscFunctionReturn(0);
}

PetscErrorCode HcParticlesMigrate(HcParticles p) {
  PetscFunctionBeginUser;
#if defined(HC_DEBUG)
  PetscBool owned;
  uint64_t before, after;
  double number, left;
  PetscCall(HcParticlesCheck(p, &owned, &before));
  PetscCall(HcParticlesCount(p, &number));
#endif
  for (PetscInt q = 0; q < p->n; q += HC_SCAN_BLOCK) PetscCall(hc_migration_scan(p, q, PetscMin(HC_SCAN_BLOCK, p->n - q), NULL));
  PetscCall(hc_migration_send(p, 0, NULL));
#if defined(HC_DEBUG)
  PetscCall(HcParticlesCheck(p, &owned, &after));
  PetscCall(HcParticlesCount(p, &left));
  PetscCheck(owned && before == after && number == left, p->grid->comm, PETSC_ERR_PLIB, "particles lost or doubled: %.0f of %.0f",
    left, number);
#endif
  PetscFunctionReturn(0);
}
