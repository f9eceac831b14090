/* Point clouds of the user: which reader, weights, and making particles of them. */
#include "grid/source_file.h"
#include "particles_private.h"
#include "points_private.h"
#include <string.h>

PetscErrorCode hc_points_create(MPI_Comm comm, PetscInt dim, HcPoints *points) {
  PetscFunctionBeginUser;
  PetscCall(PetscNew(points));
  (*points)->comm = comm;
  (*points)->dim = dim;
  PetscFunctionReturn(0);
}

PetscErrorCode hc_points_reserve(HcPoints p, PetscInt *room, PetscInt n) {
  PetscFunctionBeginUser;
  if (n <= *room) PetscFunctionReturn(0);
  n = PetscMax(n, *room + *room / 2);
  for (PetscInt d = 0; d < p->dim; ++d) PetscCall(PetscRealloc((size_t)n * sizeof(double), &p->x[d]));
  *room = n;
  PetscFunctionReturn(0);
}

PetscErrorCode HcPointsDestroy(HcPoints *points) {
  PetscFunctionBeginUser;
  if (!*points) PetscFunctionReturn(0);
  for (int d = 0; d < 3; ++d) PetscCall(PetscFree((*points)->x[d]));
  PetscCall(PetscFree((*points)->weight));
  PetscCall(PetscFree(*points));
  PetscFunctionReturn(0);
}

static int ends_with(const char *text, const char *end) {
  const size_t n = strlen(text), m = strlen(end);
  return n >= m && !strcmp(text + n - m, end);
}

static PetscErrorCode read_cloud(MPI_Comm comm, HcOptions opts, const char *key, PetscInt dim, HcPoints *points) {
  char name[PETSC_MAX_PATH_LEN], path[PETSC_MAX_PATH_LEN];
  const char *text, *inner;
  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetText(opts, key, &text));
  if (!*text) PetscCall(HcOptionsFail(opts, key, "give the points as file.h5:/path or file.csv"));
  inner = hc_inner_path(text);
  PetscCall(PetscStrncpy(name, text, inner ? PetscMin(sizeof name, (size_t)(inner - text)) : sizeof name));
  PetscCall(HcOptionsResolvePath(opts, name, path));
  if (inner ? !*inner : ends_with(text, ".h5") || ends_with(text, ".hdf5"))
    PetscCall(HcOptionsFail(opts, key, "name the data set behind the colon, as in '%s:/points'", name));
  PetscCall(hc_points_create(comm, dim, points));
  (*points)->csv = !inner;
  PetscErrorCode code = inner ? hc_points_hdf5(opts, key, path, inner, *points) : hc_points_csv(opts, key, path, *points);
  if (!code && (*points)->total == 0) code = HcOptionsFail(opts, key, "'%s' holds no points", path);
  if (code) PetscCall(HcPointsDestroy(points));
  PetscFunctionReturn(code);
}

/* Rows of `from` that another slicing holds: to each rank those from its first row on. */
static PetscErrorCode resliced(HcPoints from, HcPoints to, double *out) {
  double mine[2] = {to->first, (double)to->n}, *all;
  int size, *count, *offset, *in_count, *in_offset;
  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Comm_size(to->comm, &size));
  PetscCall(PetscMalloc5(2 * size, &all, size, &count, size, &offset, size, &in_count, size, &in_offset));
  PetscCallMPI(MPI_Allgather(mine, 2, MPI_DOUBLE, all, 2, MPI_DOUBLE, to->comm));
  for (int r = 0; r < size; ++r) {
    const double begin = PetscMax(all[2 * r], from->first),
                 end = PetscMin(all[2 * r] + all[2 * r + 1], from->first + (double)from->n);
    count[r] = end > begin ? (int)(end - begin) : 0;
    offset[r] = count[r] ? (int)(begin - from->first) : 0;
  }
  PetscCallMPI(MPI_Alltoall(count, 1, MPI_INT, in_count, 1, MPI_INT, to->comm));
  for (int r = 0, k = 0; r < size; k += in_count[r++]) in_offset[r] = k; /* slices ascend with the rank */
  PetscCallMPI(MPI_Alltoallv(from->x[0], count, offset, MPI_DOUBLE, out, in_count, in_offset, MPI_DOUBLE, to->comm));
  PetscCall(PetscFree5(all, count, offset, in_count, in_offset));
  PetscFunctionReturn(0);
}

static PetscErrorCode read_weights(HcPoints points, HcOptions opts, const char *key, const char *points_key) {
  HcPoints weights;
  PetscErrorCode local = 0;
  PetscFunctionBeginUser;
  PetscCall(read_cloud(points->comm, opts, key, 1, &weights));
  for (PetscInt q = 0; q < weights->n && !local; ++q)
    if (weights->x[0][q] < 0)
      local = HcOptionsFail(opts, key, "value %.0f is negative: %g", weights->first + (double)q + 1, weights->x[0][q]);
  if (!local && weights->total != points->total)
    local = HcOptionsFail(opts, key, "%.0f weights for the %.0f points of %s", weights->total, points->total, points_key);
  local = HcAgree(points->comm, local);
  if (!local) local = resliced(weights, points, points->weight);
  PetscCall(HcPointsDestroy(&weights));
  PetscFunctionReturn(local);
}

PetscErrorCode HcPointsRead(
  MPI_Comm comm, HcOptions opts, const char *points_key, const char *weights_key, PetscInt dim, HcPoints *points) {
  const char *text = "";
  PetscFunctionBeginUser;
  *points = NULL;
  PetscCall(read_cloud(comm, opts, points_key, dim, points));
  PetscCall(PetscMalloc1((*points)->n + 1, &(*points)->weight));
  for (PetscInt q = 0; q < (*points)->n; ++q) (*points)->weight[q] = 1;
  if (weights_key) PetscCall(HcOptionsGetText(opts, weights_key, &text));
  if (!*text) PetscFunctionReturn(0);
  PetscErrorCode code = read_weights(*points, opts, weights_key, points_key);
  if (code) PetscCall(HcPointsDestroy(points));
  PetscFunctionReturn(code);
}

PetscErrorCode HcPointsBox(HcPoints points, double lower[3], double upper[3]) {
  double v[6];
  PetscFunctionBeginUser;
  for (int d = 0; d < 3; ++d) {
    v[d] = v[3 + d] = -INFINITY;
    for (PetscInt q = 0; d < points->dim && q < points->n; ++q) {
      v[d] = fmax(v[d], -points->x[d][q]);
      v[3 + d] = fmax(v[3 + d], points->x[d][q]);
    }
  }
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, v, 6, MPI_DOUBLE, MPI_MAX, points->comm));
  for (int d = 0; d < 3; ++d) {
    lower[d] = d < points->dim ? -v[d] : 0;
    upper[d] = d < points->dim ? v[3 + d] : 0;
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode add_all(HcParticles p, HcPoints points, uint64_t id0, HcOptions opts, const char *key) {
  HcGrid g = p->grid;
  PetscFunctionBeginUser;
  PetscCall(HcParticlesReserve(p, p->n + points->n));
  for (PetscInt q = 0; q < points->n; ++q) {
    double x[3] = {0, 0, 0};
    for (int d = 0; d < g->dim; ++d) {
      x[d] = points->x[d][q];
      if (!(x[d] >= g->lower[d] && x[d] <= g->upper[d]))
        PetscCall(HcOptionsFail(opts, key, "point %.0f is at %c = %.9g, outside the box %g .. %g of the grid",
          points->first + (double)q + 1, "xyz"[d], x[d], g -> lower[d], g -> upper[d]));
      if (g->boundary[2 * d] == HC_PERIODIC && x[d] == g->upper[d]) x[d] = g->lower[d];
    }
    PetscCall(hc_particles_add(p, x, id0 + (uint64_t)points->first + (uint64_t)q, points->weight[q]));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode HcParticlesAddPoints(HcParticles p, HcPoints points, uint64_t id0, HcOptions opts, const char *points_key) {
  PetscFunctionBeginUser;
  PetscCall(HcAgree(p->grid->comm, add_all(p, points, id0, opts, points_key)));
  PetscCall(HcParticlesMigrate(p));
  PetscFunctionReturn(0);
}
