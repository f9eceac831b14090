/* Storage of particles, and what can be asked about the whole set. */
#include "particles_private.h"
#include <stdlib.h>
#include <string.h>

enum { LINE = 64, VECTOR = 8 };

static PetscErrorCode grow(void **array, PetscInt n, PetscInt room) {
  void *more = NULL;
  PetscFunctionBeginUser;
  if (posix_memalign(&more, LINE, (size_t)room * 8))
    PetscCall(HcFail(HC_EXIT_INPUT, "this rank cannot get %.1f MB for %lld particles; use more ranks or fewer particles",
      (double)room * 8 / 1e6, (long long)room));
  if (n) memcpy(more, *array, (size_t)n * 8);
  memset((char *)more + (size_t)n * 8, 0,
    (size_t)(room - n) * 8); /* whole vectors are read; nothing in them may be a NaN that traps */
  free(*array);
  *array = more;
  PetscFunctionReturn(0);
}

PetscErrorCode HcParticlesReserve(HcParticles p, PetscInt room) {
  PetscFunctionBeginUser;
  if (room <= p->room) PetscFunctionReturn(0);
  HcRequire(room < PETSC_MAX_INT - VECTOR, HC_EXIT_INPUT,
    "more particles on a rank than %d-bit indices can count; use more ranks", (int)(8 * sizeof(PetscInt)));
  room = (room + VECTOR - 1) / VECTOR * VECTOR;
  for (int d = 0; d < p->grid->dim; ++d) PetscCall(grow((void **)&p->x[d], p->n, room));
  PetscCall(grow((void **)&p->id, p->n, room));
  PetscCall(grow((void **)&p->weight, p->n, room));
  p->room = room;
  PetscFunctionReturn(0);
}

PetscErrorCode HcParticlesCreate(HcGrid grid, PetscInt room, HcParticles *p) {
  HcParticles s;
  PetscFunctionBeginUser;
  *p = NULL;
  PetscCall(PetscNew(&s));
  s->grid = grid;
  *p = s; /* so that a caller can destroy what a failure leaves */
  PetscCall(hc_migration_create(grid, &s->migration));
  PetscCall(HcAgree(grid->comm, HcParticlesReserve(s, PetscMax(room, VECTOR))));
  PetscFunctionReturn(0);
}

PetscErrorCode HcParticlesDestroy(HcParticles *p) {
  PetscFunctionBeginUser;
  if (!*p) PetscFunctionReturn(0);
  for (int d = 0; d < 3; ++d) free((*p)->x[d]);
  free((*p)->id);
  free((*p)->weight);
  PetscCall(hc_migration_destroy(&(*p)->migration));
  PetscCall(PetscFree(*p));
  PetscFunctionReturn(0);
}

void HcParticlesClear(HcParticles p) {
  p->n = 0;
  p->absorbed = 0;
}

PetscErrorCode hc_particles_add(HcParticles p, const double x[3], uint64_t id, double weight) {
  PetscFunctionBeginUser;
  if (p->n == p->room) PetscCall(HcParticlesReserve(p, p->room + p->room / 2 + VECTOR));
  for (int d = 0; d < p->grid->dim; ++d) p->x[d][p->n] = x[d];
  p->id[p->n] = id;
  p->weight[p->n++] = weight;
  PetscFunctionReturn(0);
}

double HcParticlesBytes(HcGrid grid, double n, double moving) {
  const double record = 8. * hc_record_length(grid);
  return n * record + 2 * moving * n * record + moving * n * (sizeof(PetscInt) + sizeof(int)) + sizeof(struct HcMigration_);
}

double HcParticlesMemory(HcParticles p) {
  const HcMigration m = p->migration;
  return (double)p->room * 8 * hc_record_length(p->grid) + 8. * (double)(m->send_room + m->receive_room) +
         (double)m->leaver_room * (sizeof(PetscInt) + sizeof(int)) + sizeof *p + sizeof *m;
}

PetscErrorCode HcParticlesCount(HcParticles p, double *total) {
  double mine = (double)p->n;
  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Allreduce(&mine, total, 1, MPI_DOUBLE, MPI_SUM, p->grid->comm));
  PetscFunctionReturn(0);
}

PetscErrorCode HcParticlesImbalance(HcParticles p, double *largest_over_mean) {
  double mine = (double)p->n, most, total;
  PetscFunctionBeginUser;
  PetscCall(HcParticlesCount(p, &total));
  PetscCallMPI(MPI_Allreduce(&mine, &most, 1, MPI_DOUBLE, MPI_MAX, p->grid->comm));
  *largest_over_mean = total > 0 ? most * p->grid->size / total : 1;
  PetscFunctionReturn(0);
}

PetscErrorCode HcParticlesCheck(HcParticles p, PetscBool *owned, uint64_t *id_hash) {
  const HcMigration m = p->migration;
  int ok = p->n <= p->room;
  uint64_t hash = 0;
  PetscFunctionBeginUser;
  for (PetscInt q = 0; q < p->n; ++q) {
    for (int d = 0; d < p->grid->dim; ++d) ok = ok && p->x[d][q] >= m->lo[d] && p->x[d][q] < m->hi[d];
    hash += hc_hash(p->id[q]);
  }
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &ok, 1, MPI_INT, MPI_MIN, p->grid->comm));
  PetscCallMPI(MPI_Allreduce(&hash, id_hash, 1, MPI_UINT64_T, MPI_SUM, p->grid->comm));
  *owned = ok ? PETSC_TRUE : PETSC_FALSE;
  PetscFunctionReturn(0);
}
