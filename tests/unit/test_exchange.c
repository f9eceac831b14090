/* Ghost exchange and its reverse, on position-coded values (parallel). */
#include "tap.h"
#include <halocline/grid.h>
#include <stdlib.h>

static const PetscInt sizes[][3] = {{13, 7, 5}, {17, 9, 11}, {8, 8, 8}};

/* A number that tells component and global cell, wrapped, from any other. */
static double code(HcGrid g, int c, const PetscInt cell[3]) {
  double v = c + 1;
  for (int d = 0; d < 3; ++d) v = v * (double)g->cells[d] + (double)((cell[d] + g->cells[d]) % g->cells[d]);
  return v;
}

static double *at(HcField f, int c, const PetscInt l[3]) { return f->c[c] + l[0] + l[1] * f->stride[1] + l[2] * f->stride[2]; }

typedef struct {
  PetscInt lo[3], hi[3], l[3];
  int more;
} Walk;

/* All local cells with `width` ghosts; for (walk_start(&w, f, width); w.more; walk_next(&w)). */
static void walk_start(Walk *w, HcField f, PetscInt width) {
  for (int d = 0; d < 3; ++d) {
    w->lo[d] = w->l[d] = d < f->grid->dim ? -width : 0;
    w->hi[d] = f->grid->n[d] - w->lo[d];
  }
  w->more = 1;
}

static void walk_next(Walk *w) {
  for (int d = 0; d < 3; ++d) {
    if (++w->l[d] < w->hi[d]) return;
    w->l[d] = w->lo[d];
  }
  w->more = 0;
}

/* In how many directions does the cell lie outside the block; *reach is how far; *beyond: past a non-periodic face. */
static int outside(HcGrid g, const PetscInt l[3], PetscInt *reach, int *beyond) {
  int out = 0;
  *reach = 0;
  *beyond = 0;
  for (int d = 0; d < g->dim; ++d) {
    PetscInt r = l[d] < 0 ? -l[d] : l[d] >= g->n[d] ? l[d] - g->n[d] + 1 : 0, cell = g->start[d] + l[d];
    if (r) ++out;
    *reach = PetscMax(*reach, r);
    if ((cell < 0 || cell >= g->cells[d]) && g->boundary[2 * d] != HC_PERIODIC) *beyond = 1;
  }
  return out;
}

static void fill(HcField f, double ghost) {
  Walk w;
  for (int c = 0; c < f->components; ++c)
    for (walk_start(&w, f, f->width); w.more; walk_next(&w)) {
      PetscInt reach, cell[3];
      int beyond;
      for (int d = 0; d < 3; ++d) cell[d] = f->grid->start[d] + w.l[d];
      *at(f, c, w.l) = outside(f->grid, w.l, &reach, &beyond) ? ghost : code(f->grid, c, cell);
    }
}

static long wrong_after(HcField f, int c0, int nc, PetscInt width, HcShape shape, double ghost) {
  long wrong = 0;
  Walk w;
  for (int c = 0; c < f->components; ++c)
    for (walk_start(&w, f, f->width); w.more; walk_next(&w)) {
      PetscInt reach, cell[3];
      int beyond;
      const int out = outside(f->grid, w.l, &reach, &beyond);
      for (int d = 0; d < 3; ++d) cell[d] = f->grid->start[d] + w.l[d];
      const int filled = !out || (c >= c0 && c < c0 + nc && reach <= width && !beyond && (shape == HC_BOX || out == 1));
      wrong += *at(f, c, w.l) != (filled ? code(f->grid, c, cell) : ghost);
    }
  return wrong;
}

/* Makes a grid, or returns 0 where the ranks are too many for blocks of this size. */
static int make_grid(PetscInt dim, const PetscInt cells[3], int periodic, PetscInt min_block, HcGrid *grid) {
  HcGridSpec s = {.dim = dim, .min_block = min_block};
  for (int d = 0; d < dim; ++d) {
    s.cells[d] = cells[d];
    s.upper[d] = 1;
    s.boundary[2 * d] = s.boundary[2 * d + 1] = periodic >> d & 1 ? HC_PERIODIC : HC_OUTFLOW;
  }
  const PetscErrorCode code = HcGridCreate(PETSC_COMM_WORLD, &s, grid);
  if (code) HcErrorClear();
  return !code;
}

static PetscErrorCode test_fill(PetscInt dim, HcShape shape) {
  long wrong = 0, tried = 0;
  PetscFunctionBeginUser;
  for (unsigned size = 0; size < sizeof sizes / sizeof sizes[0]; ++size)
    for (int periodic = 0; periodic < 1 << dim; ++periodic)
      for (PetscInt width = 1; width <= HC_MAX_WIDTH; ++width) {
        HcGrid g;
        HcField f;
        if (!make_grid(dim, sizes[size], periodic, width, &g)) continue;
        ++tried;
        PetscCall(HcFieldCreate(g, 4, width, &f));
        for (PetscInt layers = 0; layers <= width; ++layers) {
          fill(f, -1);
          PetscCall(HcFieldExchangeBegin(f, 1, 2, layers, shape));
          PetscCall(HcFieldExchangeEnd(f));
          wrong += wrong_after(f, 1, 2, layers, shape, -1);
        }
        fill(f, -1);
        PetscCall(HcFieldExchange(f, shape));
        wrong += wrong_after(f, 0, 4, width, shape, -1);
        PetscCall(HcFieldDestroy(&f));
        PetscCall(HcGridDestroy(&g));
      }
  tap_ok(tried >= 12 && wrong == 0, "%dD %s: every ghost of every width and boundary, and nothing else", (int)dim,
    shape == HC_BOX ? "box" : "star");
  PetscFunctionReturn(0);
}

/* What the cell at global position s deposits at distance step: an integer. */
static double deposit(HcGrid g, const PetscInt s[3], const PetscInt step[3]) {
  return fmod(code(g, 0, s) * 7 + (double)(step[0] * 31 + step[1] * 17 + step[2] * 5 + 100), 1009);
}

static int on_axis(const PetscInt step[3]) { return (step[0] != 0) + (step[1] != 0) + (step[2] != 0) <= 1; }

#define FOR_STEPS(g, width, step)                                                                                                \
  for (step[2] = (g)->dim > 2 ? -(width) : 0; step[2] <= ((g)->dim > 2 ? (width) : 0); ++step[2])                                \
    for (step[1] = (g)->dim > 1 ? -(width) : 0; step[1] <= ((g)->dim > 1 ? (width) : 0); ++step[1])                              \
      for (step[0] = -(width); step[0] <= (width); ++step[0])

/* Every cell deposits on its neighbourhood; after the reverse exchange each cell must hold what all cells of the domain
 * gave to it, computed from positions alone. */
static PetscErrorCode test_add(PetscInt dim, HcShape shape) {
  long wrong = 0, tried = 0;
  double worst_mass = 0;
  PetscFunctionBeginUser;
  for (unsigned size = 0; size < sizeof sizes / sizeof sizes[0]; ++size)
    for (int periodic = 0; periodic < 1 << dim; ++periodic)
      for (PetscInt width = 1; width <= 3; ++width) {
        HcGrid g;
        HcField f;
        Walk w;
        PetscInt step[3], s[3];
        double given = 0, held = 0;
        if (!make_grid(dim, sizes[size], periodic, width, &g)) continue;
        ++tried;
        PetscCall(HcFieldCreate(g, 2, width, &f));
        for (walk_start(&w, f, 0); w.more; walk_next(&w)) FOR_STEPS(g, width, step) {
            if (shape == HC_STAR && !on_axis(step)) continue;
            const PetscInt to[3] = {w.l[0] + step[0], w.l[1] + step[1], w.l[2] + step[2]};
            for (int d = 0; d < 3; ++d) s[d] = g->start[d] + w.l[d];
            *at(f, 1, to) += deposit(g, s, step);
            PetscInt reach;
            int beyond;
            outside(g, to, &reach, &beyond);
            if (!beyond) given += deposit(g, s, step);
          }
        PetscCall(HcFieldExchangeAdd(f, 1, 1, width, shape));
        for (walk_start(&w, f, width); w.more; walk_next(&w)) {
          PetscInt reach;
          int beyond;
          double expected = 0;
          const int out = outside(g, w.l, &reach, &beyond);
          if (!out) FOR_STEPS(g, width, step) {
              int exists = 1;
              if (shape == HC_STAR && !on_axis(step)) continue;
              for (int d = 0; d < 3; ++d) {
                s[d] = g->start[d] + w.l[d] - step[d];
                if ((s[d] < 0 || s[d] >= g->cells[d]) && !(d < dim && periodic >> d & 1)) exists = 0;
                s[d] = (s[d] + g->cells[d]) % g->cells[d];
              }
              if (exists) expected += deposit(g, s, step);
            }
          wrong += *at(f, 1, w.l) != expected || *at(f, 0, w.l) != 0;
          held += out ? 0 : *at(f, 1, w.l);
        }
        double both[2] = {given, held};
        PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, both, 2, MPI_DOUBLE, MPI_SUM, PETSC_COMM_WORLD));
        worst_mass = fmax(worst_mass, fabs(both[0] - both[1]));
        PetscCall(HcFieldDestroy(&f));
        PetscCall(HcGridDestroy(&g));
      }
  tap_ok(tried >= 8 && wrong == 0, "%dD %s: reverse exchange puts every deposit where it belongs and clears ghosts", (int)dim,
    shape == HC_BOX ? "box" : "star");
  tap_ok(worst_mass == 0, "%dD %s: nothing is lost or doubled", (int)dim, shape == HC_BOX ? "box" : "star");
  PetscFunctionReturn(0);
}

/* Two fields in flight at once, their interior read in between. */
static PetscErrorCode test_overlap(void) {
  const PetscInt cells[3] = {16, 12, 10};
  HcGrid g;
  HcField a, b;
  PetscFunctionBeginUser;
  if (!make_grid(3, cells, 5, 3, &g)) PetscFunctionReturn(0);
  PetscCall(HcFieldCreate(g, 2, 3, &a));
  PetscCall(HcFieldCreate(g, 1, 2, &b));
  fill(a, -1);
  fill(b, -2);
  double before = 0, between = 0;
  Walk w;
  for (walk_start(&w, a, 0); w.more; walk_next(&w)) before += *at(a, 1, w.l);
  PetscCall(HcFieldExchangeBegin(a, 0, 2, 3, HC_BOX));
  PetscCall(HcFieldExchangeBegin(b, 0, 1, 2, HC_STAR));
  for (walk_start(&w, a, 0); w.more; walk_next(&w)) between += *at(a, 1, w.l);
  PetscCall(HcFieldExchangeEnd(b));
  PetscCall(HcFieldExchangeEnd(a));
  tap_ok(before == between && !wrong_after(a, 0, 2, 3, HC_BOX, -1) && !wrong_after(b, 0, 1, 2, HC_STAR, -2),
    "two exchanges in flight, ended in the other order");
  PetscCall(HcFieldDestroy(&a));
  PetscCall(HcFieldDestroy(&b));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

/* One message for each neighbouring block that is another rank, with all components in it. */
static PetscErrorCode test_counts(HcShape shape) {
  const PetscInt cells[3] = {16, 12, 10};
  PetscFunctionBeginUser;
  for (int periodic = 0; periodic < 8; ++periodic) {
    HcGrid g;
    HcField f;
    long long messages = 0, values = 0;
    if (!make_grid(3, cells, periodic, 2, &g)) continue;
    PetscCall(HcFieldCreate(g, 5, 2, &f));
    for (int i = 0; i < 27; ++i) {
      const int o[3] = {i % 3 - 1, i / 3 % 3 - 1, i / 9 - 1};
      const int nonzero = (o[0] != 0) + (o[1] != 0) + (o[2] != 0);
      if (!nonzero || (shape == HC_STAR && nonzero > 1) || g->neighbour[i] < 0 || g->neighbour[i] == g->rank) continue;
      ++messages;
      values += 5 * (o[0] ? 2 : g->n[0]) * (o[1] ? 2 : g->n[1]) * (o[2] ? 2 : g->n[2]);
    }
    PetscCall(HcFieldExchange(f, shape));
    PetscCall(HcFieldExchange(f, shape));
    if (!tap_ok(g->messages == 2 * messages && g->bytes == 2 * 8 * values, "messages and bytes, periodic mask %d", periodic))
      fprintf(stderr, "# %lld messages, %lld bytes\n", g->messages, g->bytes);
    PetscCall(HcFieldDestroy(&f));
    PetscCall(HcGridDestroy(&g));
  }
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  for (PetscInt dim = 1; dim <= 3; ++dim)
    for (int shape = HC_STAR; shape <= HC_BOX; ++shape) {
      PetscCall(test_fill(dim, (HcShape)shape));
      PetscCall(test_add(dim, (HcShape)shape));
    }
  PetscCall(test_overlap());
  PetscCall(test_counts(HC_STAR));
  PetscCall(test_counts(HC_BOX));
  return tap_done();
}
