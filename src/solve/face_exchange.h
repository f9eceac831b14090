/*
 * Exchange of one layer of values behind each face of a block with the blocks next to it, for arrays that are not
 * HcFields: plain vectors of owned cells, and the multigrid's levels, whose blocks are coarser than the grid's.
 *
 * The owner packs face f's own cells into send[f]; after Begin and End, recv[f] holds the neighbour's cells in the same
 * order. Behind faces without a neighbour recv[f] holds zeros, and a block that is its own neighbour reads its own
 * opposite face without a copy, so that users need no special cases.
 */
#pragma once
#include <halocline/grid.h>

typedef struct {
  HcGrid grid;
  MPI_Comm comm;
  size_t bytes[6];  /* of a face */
  int peer[6];      /* rank behind the face or MPI_PROC_NULL */
  PetscBool remote; /* any peer other than this rank */
  void *send[6], *recv[6];
  char *allocation;
  MPI_Request request[12];
  int requests;
} HcFaceExchange;

/** @param n cells of the block in each direction
 * @param type MPI_FLOAT or MPI_DOUBLE. Collective. */
PetscErrorCode HcFaceExchangeCreate(HcGrid grid, const PetscInt n[3], MPI_Datatype type, HcFaceExchange *x);
PetscErrorCode HcFaceExchangeDestroy(HcFaceExchange *x);
/** Bytes that Create allocates. */
double HcFaceExchangeBytes(HcGrid grid, const PetscInt n[3], size_t element);
PetscErrorCode HcFaceExchangeBegin(HcFaceExchange *x);
PetscErrorCode HcFaceExchangeEnd(HcFaceExchange *x);
