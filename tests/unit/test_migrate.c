/* parallel: creation and migration of particles: shares, identities, owners and distances, the same on any number of ranks. */
#include "tap.h"
#include <halocline/particles.h>
#include <halocline/random.h>
#include <string.h>

static HcGridSpec spec_of(PetscInt dim, HcBoundary b) {
  HcGridSpec s = {.dim = dim,
    .cells = {dim == 1 ? 37 : 13, dim > 1 ? 11 : 1, dim > 2 ? 9 : 1},
    .lower = {-1.5, 0.25, 3},
    .upper = {2.1, 1.75, 3.9},
    .min_block = 1};
  for (int f = 0; f < 6; ++f) s.boundary[f] = b;
  return s;
}

/* Different in every cell, zero in some. */
static double density_at(PetscInt i, PetscInt j, PetscInt k) {
  const double v = sin(1.7 * (double)i) + cos(0.9 * (double)j) + 0.3 * (double)((i + 2 * j + 3 * k) % 5);
  return v > 0.2 ? v : 0;
}

static PetscErrorCode make_density(HcGrid g, HcField *f) {
  PetscFunctionBeginUser;
  PetscCall(HcFieldCreate(g, 1, 1, f));
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i)
        (*f)->c[0][i + j * (*f)->stride[1] + k * (*f)->stride[2]] = density_at(g->start[0] + i, g->start[1] + j, g->start[2] + k);
  PetscFunctionReturn(0);
}

/* A sum over all particles of a mix of id, position and weight bits: equal for equal sets. */
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

static PetscErrorCode sample_on(MPI_Comm comm, PetscInt dim, double number, HcGrid *g, HcParticles *p) {
  HcField f;
  HcGridSpec s = spec_of(dim, HC_PERIODIC);
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(comm, &s, g));
  PetscCall(make_density(*g, &f));
  PetscCall(HcParticlesCreate(*g, 10, p));
  PetscCall(HcParticlesSample(*p, f, 0, number, 1, 1000, 42));
  PetscCall(HcFieldDestroy(&f));
  PetscFunctionReturn(0);
}

static PetscErrorCode test_sample(PetscInt dim) {
  const double number = 10007;
  HcGrid g, one;
  HcParticles p, whole;
  uint64_t a, b, hash, expected = 0;
  double total, mass = 0, worst = 0;
  PetscBool owned;
  PetscInt *count;
  PetscFunctionBeginUser;
  PetscCall(sample_on(PETSC_COMM_WORLD, dim, number, &g, &p));
  PetscCall(sample_on(PETSC_COMM_SELF, dim, number, &one, &whole));
  PetscCall(fingerprint(p, &a));
  PetscCall(fingerprint(whole, &b));
  PetscCall(HcParticlesCount(p, &total));
  PetscCall(HcParticlesCheck(p, &owned, &hash));
  PetscCall(HcParticlesCheck(whole, &owned, &expected));
  tap_ok(total == number && owned && hash == expected, "%dD sampling: the number asked for, each with its owner", (int)dim);
  tap_ok(a == b, "%dD sampling: the same particles as on one rank", (int)dim);
  PetscCall(PetscCalloc1(HcGridLocalCells(one), &count));
  for (PetscInt q = 0; q < whole->n; ++q) {
    PetscInt cell[3] = {0, 0, 0};
    for (int d = 0; d < dim; ++d) cell[d] = HcGridCellOf(one, d, whole->x[d][q]);
    ++count[cell[0] + one->cells[0] * (cell[1] + one->cells[1] * cell[2])];
  }
  for (PetscInt c = 0; c < HcGridLocalCells(one); ++c)
    mass += density_at(c % one->cells[0], c / one->cells[0] % one->cells[1], c / one->cells[0] / one->cells[1]);
  for (PetscInt c = 0; c < HcGridLocalCells(one); ++c) {
    const double d = density_at(c % one->cells[0], c / one->cells[0] % one->cells[1], c / one->cells[0] / one->cells[1]);
    worst = fmax(worst, fabs((double)count[c] - number * d / mass));
  }
  tap_ok(worst < 1, "%dD sampling: every cell has its share to less than one particle (%.3f)", (int)dim, worst);
  PetscCall(PetscFree(count));
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcParticlesDestroy(&whole));
  PetscCall(HcGridDestroy(&g));
  PetscCall(HcGridDestroy(&one));
  PetscFunctionReturn(0);
}

/* Jumps of a given length: within a cell, to neighbours, and across the whole box several times. */
static PetscErrorCode jump(HcParticles p, uint32_t step, double length) {
  PetscFunctionBeginUser;
  for (PetscInt q = 0; q < p->n; ++q)
    for (int d = 0; d < p->grid->dim; ++d)
      p->x[d][q] += length * (HcUniform(9, p->id[q], step, HC_STREAM_USER + (uint32_t)d, 0) - 0.5);
  PetscCall(HcParticlesMigrate(p));
  PetscFunctionReturn(0);
}

static PetscErrorCode test_jumps(PetscInt dim) {
  const double length[] = {0.1, 0.8, 30, 0.3};
  HcGrid g, one;
  HcParticles p, whole;
  uint64_t a, b, before, hash;
  double total, memory = 0, imbalance;
  int ok = 1, same = 1, steady = 1;
  PetscBool owned;
  PetscFunctionBeginUser;
  PetscCall(sample_on(PETSC_COMM_WORLD, dim, 5000, &g, &p));
  PetscCall(sample_on(PETSC_COMM_SELF, dim, 5000, &one, &whole));
  PetscCall(HcParticlesCheck(p, &owned, &before));
  for (uint32_t step = 0; step < 40; ++step) {
    PetscCall(jump(p, step, length[step / 10]));
    PetscCall(jump(whole, step, length[step / 10]));
    PetscCall(HcParticlesCheck(p, &owned, &hash));
    PetscCall(HcParticlesCount(p, &total));
    PetscCall(fingerprint(p, &a));
    PetscCall(fingerprint(whole, &b));
    ok = ok && owned && hash == before && total == 5000;
    same = same && a == b;
    if (step == 30) memory = HcParticlesMemory(p);
    if (step > 30) steady = steady && HcParticlesMemory(p) == memory;
  }
  tap_ok(ok, "%dD: number, identities and owners after steps up to many boxes long", (int)dim);
  tap_ok(same, "%dD: positions and weights as on one rank, bit for bit", (int)dim);
  tap_ok(steady, "%dD: no buffer grows once the steps are alike", (int)dim);
  PetscCall(HcParticlesImbalance(p, &imbalance));
  tap_ok(imbalance >= 1 && imbalance < g->size + 1e-12, "%dD: imbalance %.3f", (int)dim, imbalance);
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcParticlesDestroy(&whole));
  PetscCall(HcGridDestroy(&g));
  PetscCall(HcGridDestroy(&one));
  PetscFunctionReturn(0);
}

/* Positions exactly on cell edges, and one unit in the last place beside them, belong to one rank each. */
static PetscErrorCode test_edges(void) {
  HcGridSpec s = spec_of(1, HC_REFLECTING);
  HcGrid g;
  HcParticles p;
  PetscBool owned;
  uint64_t hash;
  double total;
  PetscInt expected = 0;
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
  PetscCall(HcParticlesCreate(g, 0, &p));
  for (PetscInt c = 0; c <= g->cells[0]; ++c)
    for (int k = -3; k <= 3; ++k) {
      double x = c == g->cells[0] ? g->upper[0] : g->lower[0] + (double)c * g->h[0];
      for (int u = 0; u < abs(k); ++u) x = nextafter(x, k > 0 ? 1e9 : -1e9);
      if (x < g->lower[0] || x > g->upper[0]) continue;
      ++expected;
      if (g->rank == (int)(c % g->size)) {
        PetscCall(HcParticlesReserve(p, p->n + 1));
        p->x[0][p->n] = x;
        p->id[p->n] = (uint64_t)expected;
        p->weight[p->n++] = 1;
      }
    }
  PetscCall(HcParticlesMigrate(p));
  PetscCall(HcParticlesCheck(p, &owned, &hash));
  PetscCall(HcParticlesCount(p, &total));
  int cells = 1;
  for (PetscInt q = 0; q < p->n; ++q) {
    const PetscInt c = HcGridCellOf(g, 0, p->x[0][q]);
    cells = cells && c >= g->start[0] && c < g->start[0] + g->n[0];
  }
  tap_ok(owned && cells && total == (double)expected, "positions on and beside cell edges go to the owner of their cell");
  if (p->n) p->x[0][0] = g->rank == g->size - 1 ? NAN : p->x[0][0];
  PetscErrorCode code = HcParticlesMigrate(p);
  tap_ok(code && HcErrorKind(code) == HC_EXIT_FAILED && strstr(HcErrorMessage(), "outside the box"),
    "a position that is no number is an error on every rank");
  HcErrorClear();
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

static PetscErrorCode test_lattice(void) {
  HcGridSpec s = spec_of(2, HC_REFLECTING);
  HcGrid g;
  HcParticles p;
  HcField f;
  double total, sum = 0, expected = 0, worst = 0;
  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &s, &g));
  PetscCall(make_density(g, &f));
  PetscCall(HcParticlesCreate(g, 0, &p));
  PetscCall(HcParticlesLattice(p, (PetscInt[3]){3, 2, 1}, NULL, 0, 0.5, 0));
  PetscCall(HcParticlesCount(p, &total));
  tap_ok(total == 6 * HcGridTotalCells(g), "a lattice of 3 x 2 points a cell");
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcFieldCreate(g, 1, 1, &f));
  PetscCall(HcParticlesDeposit(p, f, 0));
  for (PetscInt j = 0; j < g->n[1]; ++j)
    for (PetscInt i = 0; i < g->n[0]; ++i) worst = fmax(worst, fabs(f->c[0][i + j * f->stride[1]] * g->volume - 3));
  /* three points a cell at -1/3, 0, 1/3 spread evenly: every cell gets its six halves back */
  tap_ok(worst < 1e-12, "deposited, it is uniform");
  PetscCall(HcFieldNorm(f, 0, HC_NORM_SUM, &sum));
  expected = 0.5 * total;
  tap_near(sum * g->volume, expected, 1e-12 * expected, "the deposit's integral is the weight");
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcParticlesDestroy(&p));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  for (PetscInt dim = 1; dim <= 3; ++dim) {
    PetscCall(test_sample(dim));
    PetscCall(test_jumps(dim));
  }
  PetscCall(test_edges());
  PetscCall(test_lattice());
  return tap_done();
}
