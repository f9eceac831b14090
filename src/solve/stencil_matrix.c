/* A stencil as an assembled PETSc matrix, for the preconditioners that need one. */
#include "stencil_private.h"

/* Global number of every cell and of its neighbours, in the order of HcGridCreateVec; -1 where there is no neighbour. */
static PetscErrorCode number_cells(HcStencil A, HcField number) {
  const HcGrid g = A->grid;
  long long mine = HcGridLocalCells(g), first = 0;

  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Exscan(&mine, &first, 1, MPI_LONG_LONG, MPI_SUM, g->comm));
  if (g->rank == 0) first = 0;
  for (PetscInt k = -(g->dim > 2); k < g->n[2] + (g->dim > 2); ++k)
    for (PetscInt j = -(g->dim > 1); j < g->n[1] + (g->dim > 1); ++j)
      for (PetscInt i = -1; i < g->n[0] + 1; ++i) {
        const PetscBool own = i >= 0 && i < g->n[0] && j >= 0 && j < g->n[1] && k >= 0 && k < g->n[2] ? PETSC_TRUE : PETSC_FALSE;
        number->c[0][i + j * number->stride[1] + k * number->stride[2]] =
          own ? (double)(first + i + g->n[0] * (j + g->n[1] * k)) : -1;
      }
  PetscCall(HcFieldExchange(number, HC_STAR)); /* integers below 2^53 pass unharmed */
  PetscFunctionReturn(0);
}

static PetscErrorCode create(HcStencil A, Mat *M) {
  const HcGrid g = A->grid;
  const PetscInt cells = HcGridLocalCells(g), width = 1 + 2 * g->dim;
  HcField number;
  PetscInt *row, *column;
  size_t at = 0;

  PetscFunctionBeginUser;
  PetscCall(HcFieldCreate(g, 1, 1, &number));
  PetscCall(number_cells(A, number));
  PetscCall(PetscMalloc2(cells * width, &row, cells * width, &column));
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i) {
        const double *me = number->c[0] + i + j * number->stride[1] + k * number->stride[2];
        for (PetscInt c = 0; c < width; ++c, ++at) {
          const int f = (int)c - 1;
          row[at] = (PetscInt)*me;
          column[at] = (PetscInt)(c ? me[f % 2 ? number->stride[f / 2] : -number->stride[f / 2]] : *me);
        }
      }
  PetscCall(MatCreate(g->comm, M));
  PetscCall(MatSetSizes(*M, cells, cells, PETSC_DETERMINE, PETSC_DETERMINE));
  PetscCall(MatSetType(*M, MATAIJ));
  PetscCall(MatSetPreallocationCOO(*M, (PetscCount)cells * width, row, column)); /* negative columns are left out */
  PetscCall(PetscFree2(row, column));
  PetscCall(HcFieldDestroy(&number));
  PetscFunctionReturn(0);
}

PetscErrorCode HcStencilToMatrix(HcStencil A, Mat *M) {
  const HcGrid g = A->grid;
  const HcField a = A->a;
  const PetscInt width = 1 + 2 * g->dim;
  double *values;
  size_t at = 0;

  PetscFunctionBeginUser;
  if (!*M) PetscCall(create(A, M));
  PetscCall(PetscMalloc1(HcGridLocalCells(g) * width, &values));
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i) {
        const PetscInt in = i + j * a->stride[1] + k * a->stride[2];
        for (PetscInt c = 0; c < width; ++c, ++at) values[at] = a->c[c][in] / a->c[0][in];
      }
  PetscCall(MatSetValuesCOO(*M, values, INSERT_VALUES));
  PetscCall(PetscFree(values));
  PetscFunctionReturn(0);
}
