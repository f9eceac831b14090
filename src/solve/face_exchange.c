#include "face_exchange.h"
#include <stdlib.h>
#include <string.h>

static size_t face_room(const PetscInt n[3], int f, size_t element) {
  int d = f / 2;
  size_t cells = 1;
  for (int e = 0; e < 3; ++e)
    if (e != d) cells *= (size_t)n[e];
  /* whole vectors, so that rows of a face can be read past their end */
  return (cells * element + 128) / 64 * 64 + 64;
}

double HcFaceExchangeBytes(HcGrid grid, const PetscInt n[3], size_t element) {
  double bytes = 64;
  for (int f = 0; f < 2 * grid->dim; ++f) bytes += 2.0 * (double)face_room(n, f, element);
  return bytes;
}

PetscErrorCode HcFaceExchangeCreate(HcGrid grid, const PetscInt n[3], MPI_Datatype type, HcFaceExchange *x) {
  int element = 0, power = 1;
  PetscMPIInt tag[6];
  size_t room = 0;

  PetscFunctionBeginUser;
  memset(x, 0, sizeof *x);
  x->grid = grid;
  PetscCallMPI(MPI_Type_size(type, &element));
  PetscCall(PetscCommDuplicate(grid->comm, &x->comm, &tag[0]));
  for (int f = 1; f < 6; ++f) PetscCall(PetscCommGetNewTag(x->comm, &tag[f]));
  for (int f = 0; f < 2 * grid->dim; ++f) room += 2 * face_room(n, f, (size_t)element);
  x->allocation = aligned_alloc(64, room + 64);
  HcRequire(x->allocation, HC_EXIT_FAILED, "out of memory: %g bytes for exchange buffers", (double)room);
  memset(x->allocation, 0, room + 64);
  char *p = x->allocation;
  for (int f = 0; f < 6; ++f) x->peer[f] = MPI_PROC_NULL;
  for (int f = 0; f < 2 * grid->dim; ++f) {
    int d = f / 2;
    size_t size = face_room(n, f, (size_t)element);
    if (f % 2 == 0) power = d == 0 ? 1 : 3 * power;
    x->peer[f] = grid->neighbour[13 + (f % 2 ? power : -power)];
    x->bytes[f] = (size_t)element * (size_t)(n[0] * n[1] * n[2] / n[d]);
    x->send[f] = p;
    x->recv[f] = p + size;
    p += 2 * size;
  }
  for (int f = 0; f < 2 * grid->dim; ++f) {
    int count = (int)(x->bytes[f] / (size_t)element);
    if (x->peer[f] == MPI_PROC_NULL) continue;
    if (x->peer[f] == grid->rank) {
      x->recv[f] = x->send[f ^ 1];
      continue;
    }
    /* a message is tagged with the face of the receiver, for two blocks may meet at two faces */
    PetscCallMPI(MPI_Recv_init(x->recv[f], count, type, x->peer[f], tag[f], x->comm, &x->request[x->requests++]));
    PetscCallMPI(MPI_Send_init(x->send[f], count, type, x->peer[f], tag[f ^ 1], x->comm, &x->request[x->requests++]));
    x->remote = PETSC_TRUE;
  }
  PetscFunctionReturn(0);
}

PetscErrorCode HcFaceExchangeDestroy(HcFaceExchange *x) {
  PetscFunctionBeginUser;
  if (!x->allocation) PetscFunctionReturn(0);
  for (int r = 0; r < x->requests; ++r) PetscCallMPI(MPI_Request_free(&x->request[r]));
  PetscCall(PetscCommDestroy(&x->comm));
  free(x->allocation);
  memset(x, 0, sizeof *x);
  PetscFunctionReturn(0);
}

PetscErrorCode HcFaceExchangeBegin(HcFaceExchange *x) {
  PetscFunctionBeginUser;
  if (!x->requests) PetscFunctionReturn(0);
  PetscCallMPI(MPI_Startall(x->requests, x->request));
  for (int f = 0; f < 6; ++f)
    if (x->peer[f] != MPI_PROC_NULL && x->peer[f] != x->grid->rank) {
      ++x->grid->messages;
      x->grid->bytes += (long long)x->bytes[f];
    }
  PetscFunctionReturn(0);
}

PetscErrorCode HcFaceExchangeEnd(HcFaceExchange *x) {
  PetscFunctionBeginUser;
  if (x->requests) PetscCallMPI(MPI_Waitall(x->requests, x->request, MPI_STATUSES_IGNORE));
  PetscFunctionReturn(0);
}
