#include "reach.h"
#include <halocline/run.h>
#include <string.h>

enum { TAG = 5120, PART_VALUES = 32768, PART_LANES = 256 };

static HcSpan owned_by(const HcReach *r, PetscInt b) {
  HcGrid g = r->grid;
  const PetscInt ends = r->ends && g->boundary[2 * r->d] != HC_PERIODIC && r->d < g->dim;
  return (HcSpan){g->split[r->d][b] - (b == 0 ? ends : 0), g->split[r->d][b + 1] + (b == g->ranks[r->d] - 1 ? ends : 0)};
}

static PetscBool periodic(const HcReach *r) {
  return r->d < r->grid->dim && r->grid->boundary[2 * r->d] == HC_PERIODIC ? PETSC_TRUE : PETSC_FALSE;
}

static HcSpan span_of(const HcReach *r, PetscInt b) {
  HcSpan s = {r->grid->split[r->d][b] - r->reach, r->grid->split[r->d][b + 1] + r->reach};
  const PetscInt cells = r->grid->cells[r->d];
  if (!periodic(r)) {
    s.first = PetscMax(s.first, owned_by(r, 0).first);
    s.last = PetscMin(s.last, owned_by(r, r->grid->ranks[r->d] - 1).last);
  } else if (r->whole && s.last - s.first >= cells)
    s = (HcSpan){0, cells};
  return s;
}

HcSpan hc_reach_owned(const HcReach *r) { return owned_by(r, r->grid->block[r->d]); }
HcSpan hc_reach_span(const HcReach *r) { return span_of(r, r->grid->block[r->d]); }

static PetscInt floor_quotient(PetscInt a, PetscInt n) { return a >= 0 ? a / n : -((-a + n - 1) / n); }

/* The runs of nodes of block `from`'s span that block `of` owns, one for each period. */
typedef struct {
  HcSpan span, owned;
  PetscInt period, cells, last_period;
} Runs;

static Runs runs_begin(const HcReach *r, PetscInt from, PetscInt of) {
  Runs q = {.span = span_of(r, from), .owned = owned_by(r, of), .cells = r->grid->cells[r->d]};
  if (periodic(r)) {
    q.period = floor_quotient(q.span.first, q.cells);
    q.last_period = floor_quotient(q.span.last - 1, q.cells);
  }
  return q;
}

/* The next run, as indices in the span and in the owned nodes. */
static PetscBool runs_next(Runs *q, PetscInt *in_span, PetscInt *in_owned, PetscInt *count) {
  for (; q->period <= q->last_period; ++q->period) {
    const PetscInt shift = q->period * q->cells;
    const PetscInt a = PetscMax(q->span.first, q->owned.first + shift), e = PetscMin(q->span.last, q->owned.last + shift);
    if (a >= e) continue;
    *in_span = a - q->span.first;
    *in_owned = a - shift - q->owned.first;
    *count = e - a;
    ++q->period;
    return PETSC_TRUE;
  }
  return PETSC_FALSE;
}

static size_t nodes_between(const HcReach *r, PetscInt from, PetscInt of) {
  Runs q = runs_begin(r, from, of);
  PetscInt a, b, count;
  size_t n = 0;
  while (runs_next(&q, &a, &b, &count)) n += (size_t)count;
  return n;
}

static int rank_of(HcGrid g, int d, PetscInt b) {
  PetscInt stride = 1;
  for (int e = 0; e < d; ++e) stride *= g->ranks[e];
  return (int)(g->rank + (b - g->block[d]) * stride);
}

/* ---- both ways: a message to and from each block of the row that shares nodes ---- */

typedef struct {
  MPI_Request *request;
  double *buffer;
  size_t *send_at, *recv_at; /* where each block's message begins; one more entry for the end */
  PetscMPIInt nrequests, nreceives;
} Mail;

/* @param to_owner do spans travel to the owners, or owned nodes to the spans? */
static PetscErrorCode mail_open(const HcReach *r, PetscBool to_owner, size_t lanes, Mail *m) {
  HcGrid g = r->grid;
  const PetscInt blocks = g->ranks[r->d], me = g->block[r->d];
  PetscFunctionBeginUser;
  PetscCall(PetscCalloc3(2 * blocks, &m->request, blocks + 1, &m->send_at, blocks + 1, &m->recv_at));
  m->nrequests = 0;
  for (PetscInt b = 0; b < blocks; ++b) {
    const size_t mine = b == me ? 0 : nodes_between(r, me, b), theirs = b == me ? 0 : nodes_between(r, b, me);
    m->send_at[b + 1] = m->send_at[b] + lanes * (to_owner ? mine : theirs);
    m->recv_at[b + 1] = m->recv_at[b] + lanes * (to_owner ? theirs : mine);
    PetscCheck(
      lanes * PetscMax(mine, theirs) <= PETSC_MPI_INT_MAX, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "Message too long");
  }
  const size_t recv = m->recv_at[blocks];
  PetscCall(PetscMalloc1(recv + m->send_at[blocks] + 1, &m->buffer));
  for (PetscInt b = 0; b <= blocks; ++b) m->send_at[b] += recv;
  for (PetscInt b = 0; b < blocks; ++b) {
    const PetscMPIInt n = (PetscMPIInt)(m->recv_at[b + 1] - m->recv_at[b]);
    if (n > 0)
      PetscCallMPI(MPI_Irecv(
        m->buffer + m->recv_at[b], n, MPI_DOUBLE, rank_of(g, r->d, b), TAG + r->d, g->comm, &m->request[m->nrequests++]));
  }
  m->nreceives = m->nrequests;
  PetscFunctionReturn(0);
}

static PetscErrorCode mail_send(const HcReach *r, Mail *m, PetscInt b) {
  HcGrid g = r->grid;
  const PetscMPIInt n = (PetscMPIInt)(m->send_at[b + 1] - m->send_at[b]);
  PetscFunctionBeginUser;
  if (n == 0) PetscFunctionReturn(0);
  PetscCallMPI(
    MPI_Isend(m->buffer + m->send_at[b], n, MPI_DOUBLE, rank_of(g, r->d, b), TAG + r->d, g->comm, &m->request[m->nrequests++]));
  g->messages++;
  g->bytes += (long long)n * (long long)sizeof(double);
  PetscFunctionReturn(0);
}

static PetscErrorCode mail_wait(Mail *m) {
  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Waitall(m->nrequests, m->request, MPI_STATUSES_IGNORE));
  PetscFunctionReturn(0);
}

static PetscErrorCode mail_close(Mail *m) {
  PetscFunctionBeginUser;
  PetscCall(PetscFree(m->buffer));
  PetscCall(PetscFree3(m->request, m->send_at, m->recv_at));
  PetscFunctionReturn(0);
}

/* ---- parts ---- */

/* Nodes of the longest span of any block. */
static size_t longest_span(const HcReach *r) {
  const PetscInt cells = r->grid->cells[r->d], block = (cells + r->grid->ranks[r->d] - 1) / r->grid->ranks[r->d];
  const PetscInt span = block + 2 * (r->reach + 1), most = cells + 2;
  return (size_t)(periodic(r) && !r->whole ? span : PetscMin(span, most));
}

static size_t part_lanes(size_t inner) { return PetscMin(inner, (size_t)PART_LANES); }

/* How many outer indices are treated together: several only where whole rows are short. */
static size_t part_outer(const HcReach *r, size_t inner) {
  return inner > PART_LANES ? 1 : PetscMax(PART_VALUES / (longest_span(r) * inner), (size_t)1);
}

size_t hc_reach_part_room(const HcReach *r, size_t inner) { return longest_span(r) * part_lanes(inner) * part_outer(r, inner); }

PetscErrorCode hc_reach_each_part(const HcReach *r, size_t outer, size_t inner, HcPartWork work, void *ctx) {
  const size_t lanes = part_lanes(inner), together = part_outer(r, inner);
  PetscFunctionBeginUser;
  for (size_t o = 0; o < outer; o += together)
    for (size_t i = 0; i < inner; i += lanes) {
      const HcPart part = {o, PetscMin(together, outer - o), i, PetscMin(lanes, inner - i), inner};
      PetscCall(work(ctx, &part));
    }
  PetscFunctionReturn(0);
}

/* ---- fetch ---- */

/* Copy `count` rows of a part; rows that fill the whole inner index lie behind one another. */
static void copy_rows(double *to, const double *from, size_t from_stride, size_t count, size_t n) {
  if (from_stride == n)
    memcpy(to, from, count * n * sizeof *to);
  else
    for (size_t k = 0; k < count; ++k) memcpy(to + k * n, from + k * from_stride, n * sizeof *to);
}

PetscErrorCode hc_reach_fetch(const HcReach *r, const HcPart *part, const double *owned, double *out) {
  HcGrid g = r->grid;
  const PetscInt blocks = g->ranks[r->d], me = g->block[r->d];
  const HcSpan own = hc_reach_owned(r), span = hc_reach_span(r);
  const size_t own_rows = (size_t)(own.last - own.first), rows = (size_t)(span.last - span.first), ni = part->ni;
  PetscInt to, from, count;
  Mail m;
  PetscFunctionBeginUser;
  HcTimerStart(HC_TIMER_EXCHANGE);
  PetscCall(mail_open(r, PETSC_FALSE, part->no * ni, &m));
  for (PetscInt b = 0; b < blocks; ++b) {
    double *message = m.buffer + m.send_at[b];
    Runs q = runs_begin(r, b, me);
    while (runs_next(&q, &to, &from, &count))
      for (size_t o = 0; o < part->no; ++o) {
        const double *first = owned + ((part->o0 + o) * own_rows + (size_t)from) * part->inner + part->i0;
        double *into = b == me ? out + (o * rows + (size_t)to) * ni : message;
        copy_rows(into, first, part->inner, (size_t)count, ni);
        if (b != me) message += (size_t)count * ni;
      }
    if (b != me) PetscCall(mail_send(r, &m, b));
  }
  PetscCall(mail_wait(&m));
  for (PetscInt b = 0; b < blocks; ++b) {
    const double *message = m.buffer + m.recv_at[b];
    if (b == me) continue;
    Runs q = runs_begin(r, me, b);
    while (runs_next(&q, &to, &from, &count))
      for (size_t o = 0; o < part->no; ++o, message += (size_t)count * ni)
        copy_rows(out + (o * rows + (size_t)to) * ni, message, ni, (size_t)count, ni);
  }
  PetscCall(mail_close(&m));
  HcTimerStop(HC_TIMER_EXCHANGE);
  PetscFunctionReturn(0);
}

/* ---- add ---- */

typedef void (*AddRow)(size_t n, const void *from, void *to);

static void add_doubles(size_t n, const void *from, void *to) {
  const double *restrict a = from;
  double *restrict b = to;
  for (size_t i = 0; i < n; ++i) b[i] += a[i];
}

static void add_integers(size_t n, const void *from, void *to) {
  const int64_t *restrict a = from;
  int64_t *restrict b = to;
  for (size_t i = 0; i < n; ++i) b[i] += a[i];
}

/* Values travel as eight bytes each, whatever they mean. */
static PetscErrorCode reach_add(const HcReach *r, size_t outer, size_t inner, AddRow add, char *v) {
  HcGrid g = r->grid;
  const PetscInt blocks = g->ranks[r->d], me = g->block[r->d];
  const HcSpan own = hc_reach_owned(r), span = hc_reach_span(r);
  const size_t own_rows = (size_t)(own.last - own.first), rows = (size_t)(span.last - span.first), bytes = inner * sizeof(double);
  const size_t own_at = (size_t)(own.first - span.first);
  PetscInt from, to, count;
  Mail m;
  PetscFunctionBeginUser;
  HcTimerStart(HC_TIMER_EXCHANGE);
  PetscCall(mail_open(r, PETSC_TRUE, outer * inner, &m));
  for (PetscInt b = 0; b < blocks; ++b) {
    char *message = (char *)(m.buffer + m.send_at[b]);
    Runs q = runs_begin(r, me, b);
    while (runs_next(&q, &from, &to, &count)) {
      if (b == me && (size_t)from == own_at + (size_t)to) continue; /* the owned nodes themselves */
      for (size_t o = 0; o < outer; ++o) {
        const char *row = v + (o * rows + (size_t)from) * bytes;
        if (b == me) /* an image of this block, a period away */
          add((size_t)count * inner, row, v + (o * rows + own_at + (size_t)to) * bytes);
        else {
          memcpy(message, row, (size_t)count * bytes);
          message += (size_t)count * bytes;
        }
      }
    }
    if (b != me) PetscCall(mail_send(r, &m, b));
  }
  for (size_t o = 0; o < outer; ++o) memmove(v + o * own_rows * bytes, v + (o * rows + own_at) * bytes, own_rows * bytes);
  PetscCall(mail_wait(&m));
  for (PetscInt b = 0; b < blocks; ++b) {
    const char *message = (const char *)(m.buffer + m.recv_at[b]);
    if (b == me) continue;
    Runs q = runs_begin(r, b, me);
    while (runs_next(&q, &from, &to, &count))
      for (size_t o = 0; o < outer; ++o, message += (size_t)count * bytes)
        add((size_t)count * inner, message, v + (o * own_rows + (size_t)to) * bytes);
  }
  PetscCall(mail_close(&m));
  HcTimerStop(HC_TIMER_EXCHANGE);
  PetscFunctionReturn(0);
}

PetscErrorCode hc_reach_add(const HcReach *r, size_t outer, size_t inner, double *v) {
  PetscFunctionBeginUser;
  PetscCall(reach_add(r, outer, inner, add_doubles, (char *)v));
  PetscFunctionReturn(0);
}

PetscErrorCode hc_reach_add_integers(const HcReach *r, size_t outer, size_t inner, int64_t *v) {
  PetscFunctionBeginUser;
  PetscCall(reach_add(r, outer, inner, add_integers, (char *)v));
  PetscFunctionReturn(0);
}
