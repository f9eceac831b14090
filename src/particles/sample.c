/*
 * Particles from a density, and lattices.
 *
 * Cumulative masses are whole numbers, so that they are the same on any number of ranks: a cell's density counts as
 * multiples of 2^-52 of the power of two above the largest one, summed in 128 bits. The sum before a cell in the order of the
 * whole grid is that of planes before its plane, of rows before its row and of cells before it in its row; each is one exclusive
 * scan over the ranks along one direction, of as many numbers as a block has rows, planes, or one.
 */
#include "particles_private.h"
#include <halocline/random.h>
#include <string.h>

typedef unsigned __int128 Mass;

enum { MASS_BITS = 52, COUNT_BITS = 37 }; /* 52 + 37 for the sum, 37 for the number of particles: 126 */

static void add_masses(void *in, void *inout, int *n, MPI_Datatype *type) {
  const Mass *a = in;
  Mass *b = inout;
  (void)type;
  for (int k = 0; k < *n; ++k) b[k] += a[k];
}

/* A datatype and a sum for masses. */
static PetscErrorCode mass_type(MPI_Datatype *type, MPI_Op *sum) {
  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Type_contiguous(2, MPI_UINT64_T, type));
  PetscCallMPI(MPI_Type_commit(type));
  PetscCallMPI(MPI_Op_create(add_masses, 1, sum));
  PetscFunctionReturn(0);
}

/* v[k] becomes the sum over ranks before this one along direction d, all[k] that over all of them. Messages in pieces, so that
 * the buffers of MPI stay small. */
static PetscErrorCode scan_along(HcGrid g, int d, PetscInt n, Mass *v, Mass *all) {
  enum { PIECE = 1 << 16 };
  MPI_Comm line;
  MPI_Datatype type;
  MPI_Op sum;
  PetscInt colour = 0;
  PetscFunctionBeginUser;
  for (int e = 2; e >= 0; --e)
    if (e != d) colour = colour * g->ranks[e] + g->block[e];
  PetscCallMPI(MPI_Comm_split(g->comm, (int)colour, (int)g->block[d], &line));
  PetscCall(mass_type(&type, &sum));
  for (PetscInt k = 0; k < n; k += PIECE) {
    const int m = (int)PetscMin(PIECE, n - k);
    PetscCallMPI(MPI_Allreduce(v + k, all + k, m, type, sum, line));
    PetscCallMPI(MPI_Exscan(MPI_IN_PLACE, v + k, m, type, sum, line));
  }
  if (g->block[d] == 0) memset(v, 0, (size_t)n * sizeof *v);
  PetscCallMPI(MPI_Op_free(&sum));
  PetscCallMPI(MPI_Type_free(&type));
  PetscCallMPI(MPI_Comm_free(&line));
  PetscFunctionReturn(0);
}

static inline const double *row_of(HcField f, int c, PetscInt j, PetscInt k) {
  return f->c[c] + j * f->stride[1] + k * f->stride[2];
}

static inline Mass mass_of(double density, double scale) { return (Mass)(uint64_t)(density * scale + 0.5); }

/* before[j + n1*k]: the mass before the first owned cell of each row; *mine is that of all owned cells. */
static PetscErrorCode masses_before(HcField f, int c, double scale, Mass *before, Mass *mine, Mass *total) {
  HcGrid g = f->grid;
  const PetscInt rows = g->n[1] * g->n[2];
  Mass *row, *plane, *planes, z, end;
  PetscFunctionBeginUser;
  PetscCall(PetscMalloc3(rows, &row, g->n[2], &plane, g->n[2], &planes));
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j) {
      const double *v = row_of(f, c, j, k);
      Mass sum = 0;
      for (PetscInt i = 0; i < g->n[0]; ++i) sum += mass_of(v[i], scale);
      before[j + g->n[1] * k] = sum;
      *mine += sum;
    }
  PetscCall(scan_along(g, 0, rows, before, row));
  for (PetscInt k = 0; k < g->n[2]; ++k) {
    plane[k] = 0;
    for (PetscInt j = 0; j < g->n[1]; ++j) {
      before[j + g->n[1] * k] += plane[k];
      plane[k] += row[j + g->n[1] * k];
    }
  }
  PetscCall(scan_along(g, 1, g->n[2], plane, planes));
  z = 0;
  for (PetscInt k = 0; k < g->n[2]; ++k) {
    for (PetscInt j = 0; j < g->n[1]; ++j) before[j + g->n[1] * k] += plane[k] + z;
    z += planes[k];
  }
  PetscCall(scan_along(g, 2, 1, &z, &end));
  for (PetscInt r = 0; r < rows; ++r) before[r] += z;
  *total = end;
  PetscCall(PetscFree3(row, plane, planes));
  PetscFunctionReturn(0);
}

static PetscErrorCode add_uniform(HcParticles p, const PetscInt cell[3], uint64_t id, double weight, uint64_t seed) {
  HcGrid g = p->grid;
  double x[3] = {0, 0, 0};
  PetscFunctionBeginUser;
  for (int d = 0; d < g->dim; ++d)
    x[d] = hc_into_cell(g, d, cell[d],
      g->lower[d] + ((double)cell[d] + HcUniform(seed, id, 0, HC_STREAM_POSITION + (uint32_t)(d / 2), d % 2)) * g->h[d]);
  PetscCall(hc_particles_add(p, x, id, weight));
  PetscFunctionReturn(0);
}

/* The largest value; an error where one is negative or no number. */
static PetscErrorCode check_density(HcField f, int c, double *most) {
  HcGrid g = f->grid;
  PetscErrorCode local = 0;
  PetscFunctionBeginUser;
  *most = 0;
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j) {
      const double *v = row_of(f, c, j, k);
      for (PetscInt i = 0; i < g->n[0]; ++i) {
        if (!(v[i] >= 0 && v[i] < INFINITY) && !local)
          local = HcFail(HC_EXIT_INPUT, "cannot sample the density: it is %g in cell (%lld, %lld, %lld)", v[i],
            (long long)(g->start[0] + i), (long long)(g->start[1] + j), (long long)(g->start[2] + k));
        *most = PetscMax(*most, v[i]);
      }
    }
  PetscCall(HcAgree(g->comm, local));
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, most, 1, MPI_DOUBLE, MPI_MAX, g->comm));
  HcRequire(*most > 0, HC_EXIT_INPUT, "cannot sample the density: it is zero everywhere");
  PetscFunctionReturn(0);
}

static PetscErrorCode fill_cells(HcParticles p, HcField f, int c, double scale, const Mass *before, Mass total, uint64_t number,
  double weight, uint64_t id0, uint64_t seed) {
  HcGrid g = f->grid;
  /* the offset u of the seed, as a share of the total */
  const Mass u = (Mass)(uint64_t)(HcUniform(seed, 0, 0, HC_STREAM_SHARE, 0) * 0x1p36) * (total >> 36);
  PetscFunctionBeginUser;
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j) {
      const double *v = row_of(f, c, j, k);
      Mass sum = before[j + g->n[1] * k];
      uint64_t id = (uint64_t)((sum * number + u) / total);
      for (PetscInt i = 0; i < g->n[0]; ++i) {
        const Mass m = mass_of(v[i], scale);
        if (!m) continue;
        sum += m;
        const uint64_t end = (uint64_t)((sum * number + u) / total);
        for (; id < end; ++id)
          PetscCall(add_uniform(p, (PetscInt[3]){g->start[0] + i, g->start[1] + j, g->start[2] + k}, id0 + id, weight, seed));
      }
    }
  PetscFunctionReturn(0);
}

PetscErrorCode HcParticlesSample(
  HcParticles p, HcField density, int c, double number, double total_weight, uint64_t id0, uint64_t seed) {
  HcGrid g = p->grid;
  Mass *before, mine = 0, total = 0;
  double most;
  PetscFunctionBeginUser;
  HcRequire(number >= 0 && number < 0x1p37 && number == floor(number), HC_EXIT_INPUT, "%g is no number of particles", number);
  HcRequire(HcGridTotalCells(g) < 0x1p37, HC_EXIT_INPUT, "%g cells are too many to sample", HcGridTotalCells(g));
  PetscCall(check_density(density, c, &most));
  if (number == 0) PetscFunctionReturn(0);
  /* a density below 2^-948 loses digits, none above */
  int e;
  (void)frexp(most, &e);
  const double scale = ldexp(1, PetscMin(MASS_BITS - e, 1000));
  PetscCall(PetscMalloc1(g->n[1] * g->n[2], &before));
  PetscCall(masses_before(density, c, scale, before, &mine, &total));
  /* every row may round up; a hundredth for what migration brings */
  const double share = (double)(mine * (Mass)number / total), rows = (double)(g->n[1] * g->n[2]);
  PetscErrorCode local = HcParticlesReserve(p, p->n + (PetscInt)PetscMin(1.01 * share + rows, PETSC_MAX_INT / 2));
  if (!local) local = fill_cells(p, density, c, scale, before, total, (uint64_t)number, total_weight / number, id0, seed);
  PetscCall(PetscFree(before));
  PetscCall(HcAgree(g->comm, local));
  PetscFunctionReturn(0);
}

PetscErrorCode HcParticlesLattice(HcParticles p, const PetscInt per[3], HcField where, int c, double weight, uint64_t id0) {
  HcGrid g = p->grid;
  PetscInt n[3] = {1, 1, 1}, cell[3], q[3];
  double x[3];
  PetscFunctionBeginUser;
  for (int d = 0; d < g->dim; ++d) n[d] = per[d];
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i) {
        if (where && !(row_of(where, c, j, k)[i] > 0)) continue;
        cell[0] = g->start[0] + i, cell[1] = g->start[1] + j, cell[2] = g->start[2] + k;
        const uint64_t number =
          (uint64_t)cell[0] + (uint64_t)g->cells[0] * ((uint64_t)cell[1] + (uint64_t)g->cells[1] * (uint64_t)cell[2]);
        uint64_t id = id0 + number * (uint64_t)(n[0] * n[1] * n[2]);
        for (q[2] = 0; q[2] < n[2]; ++q[2])
          for (q[1] = 0; q[1] < n[1]; ++q[1])
            for (q[0] = 0; q[0] < n[0]; ++q[0]) {
              for (int d = 0; d < g->dim; ++d)
                x[d] =
                  hc_into_cell(g, d, cell[d], g->lower[d] + ((double)cell[d] + ((double)q[d] + 0.5) / (double)n[d]) * g->h[d]);
              PetscCall(hc_particles_add(p, x, id++, weight));
            }
      }
  PetscFunctionReturn(0);
}
