/*
 * Counts what a program sends through MPI: built as a shared object by scaling.py and loaded in front of the MPI library
 * (LD_PRELOAD). It sees the messages of PETSc and HDF5 as well as the program's own. At MPI_Finalize rank 0 writes sums over
 * ranks to the file that HALOCLINE_COUNT_FILE names, as JSON.
 *
 * Point-to-point messages are counted with their bytes; of collective operations the calls only, since how many messages
 * they take is the MPI library's affair.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static struct { double messages, bytes, reductions, other; } count;

static void sent(int n, MPI_Datatype type, int to) {
  int size;
  if (to == MPI_PROC_NULL) return;
  PMPI_Type_size(type, &size);
  count.messages++;
  count.bytes += (double)n * size;
}

int MPI_Send(const void *b, int n, MPI_Datatype t, int to, int tag, MPI_Comm c) {
  sent(n, t, to);
  return PMPI_Send(b, n, t, to, tag, c);
}
int MPI_Isend(const void *b, int n, MPI_Datatype t, int to, int tag, MPI_Comm c, MPI_Request *r) {
  sent(n, t, to);
  return PMPI_Isend(b, n, t, to, tag, c, r);
}
int MPI_Issend(const void *b, int n, MPI_Datatype t, int to, int tag, MPI_Comm c, MPI_Request *r) {
  sent(n, t, to);
  return PMPI_Issend(b, n, t, to, tag, c, r);
}
int MPI_Sendrecv(const void *b, int n, MPI_Datatype t, int to, int tag, void *rb, int rn, MPI_Datatype rt, int from, int rtag,
  MPI_Comm c, MPI_Status *s) {
  sent(n, t, to);
  return PMPI_Sendrecv(b, n, t, to, tag, rb, rn, rt, from, rtag, c, s);
}
int MPI_Allreduce(const void *b, void *rb, int n, MPI_Datatype t, MPI_Op op, MPI_Comm c) {
  count.reductions++;
  return PMPI_Allreduce(b, rb, n, t, op, c);
}
int MPI_Iallreduce(const void *b, void *rb, int n, MPI_Datatype t, MPI_Op op, MPI_Comm c, MPI_Request *r) {
  count.reductions++;
  return PMPI_Iallreduce(b, rb, n, t, op, c, r);
}
int MPI_Reduce(const void *b, void *rb, int n, MPI_Datatype t, MPI_Op op, int root, MPI_Comm c) {
  count.reductions++;
  return PMPI_Reduce(b, rb, n, t, op, root, c);
}
int MPI_Bcast(void *b, int n, MPI_Datatype t, int root, MPI_Comm c) {
  count.other++;
  return PMPI_Bcast(b, n, t, root, c);
}
int MPI_Allgather(const void *b, int n, MPI_Datatype t, void *rb, int rn, MPI_Datatype rt, MPI_Comm c) {
  count.other++;
  return PMPI_Allgather(b, n, t, rb, rn, rt, c);
}
int MPI_Barrier(MPI_Comm c) {
  count.other++;
  return PMPI_Barrier(c);
}

int MPI_Finalize(void) {
  double mine[4] = {count.messages, count.bytes, count.reductions, count.other}, sum[4];
  const char *file = getenv("HALOCLINE_COUNT_FILE");
  int rank;
  PMPI_Comm_rank(MPI_COMM_WORLD, &rank);
  PMPI_Reduce(mine, sum, 4, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
  FILE *f = rank == 0 && file ? fopen(file, "w") : NULL;
  if (f) {
    fprintf(f, "{\"messages\": %.0f, \"bytes\": %.0f, \"reductions\": %.0f, \"other_collectives\": %.0f}\n", sum[0], sum[1],
      sum[2], sum[3]);
    fclose(f);
  }
  return PMPI_Finalize();
}
