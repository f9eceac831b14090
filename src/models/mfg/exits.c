/* Which door cells belong to one exit: connected components, found by propagating the least cell number. */
#include "mfg.h"

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Lower labels to the least of their neighbours' until nothing changes on this rank. */
static PetscBool propagate(HcField label, HcField region) {
  HcGrid g = label->grid;
  PetscBool changed = PETSC_TRUE, any = PETSC_FALSE;
  while (changed) {
    changed = PETSC_FALSE;
    for (PetscInt q = 0; q < 2; q++) /* alternating sweeps carry a label through an area in a few passes */
      for (PetscInt kk = 0; kk < g->n[2]; kk++)
        for (PetscInt jj = 0; jj < g->n[1]; jj++)
          for (PetscInt ii = 0; ii < g->n[0]; ii++) {
            PetscInt i = q ? g->n[0] - 1 - ii : ii, j = q ? g->n[1] - 1 - jj : jj, k = q ? g->n[2] - 1 - kk : kk;
            PetscInt at = i + j * label->stride[1] + k * label->stride[2];
            if (region->c[0][at] != HC_DOOR) continue;
            double least = label->c[0][at];
            for (int d = 0; d < g->dim; d++)
              for (int side = -1; side <= 1; side += 2) {
                PetscInt nb = at + side * label->stride[d];
                if (region->c[0][nb] == HC_DOOR && label->c[0][nb] >= 0 && label->c[0][nb] < least) least = label->c[0][nb];
              }
            if (least < label->c[0][at]) {
              label->c[0][at] = least;
              changed = any = PETSC_TRUE;
            }
          }
  }
  return any;
}

/* The sorted distinct labels of all ranks; *found of them, at most `room` are kept. */
static PetscErrorCode distinct_labels(HcField label, PetscInt room, double *values, PetscInt *found) {
  HcGrid g = label->grid;
  double *all;
  int size, count = 0;

  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Comm_size(g->comm, &size));
  for (PetscInt e = 0; e < room; e++) values[e] = PETSC_INFINITY;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++)
      for (PetscInt i = 0; i < g->n[0]; i++) {
        double v = label->c[0][i + j * label->stride[1] + k * label->stride[2]];
        PetscInt e = 0;
        if (v < 0) continue;
        while (e < count && values[e] != v) e++;
        if (e == count && count < room) values[count++] = v;
      }
  PetscCall(PetscMalloc1((size_t)(room * size), &all));
  PetscCallMPI(MPI_Allgather(values, (int)room, MPI_DOUBLE, all, (int)room, MPI_DOUBLE, g->comm));
  qsort(all, (size_t)(room * size), sizeof *all, by_value);
  *found = 0;
  for (PetscInt e = 0; e < room * size && all[e] < PETSC_INFINITY; e++)
    if (*found < room && (*found == 0 || values[*found - 1] != all[e])) values[(*found)++] = all[e];
  PetscCall(PetscFree(all));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgNumberExits(Mfg mfg) {
  HcGrid g = mfg->grid;
  HcField region = mfg->plan->region;
  double values[MFG_MAX_EXITS];

  PetscFunctionBeginUser;
  mfg->exits = 0;
  if (mfg->plan->exits > 0) {
    HcField label;
    PetscBool changed = PETSC_TRUE;
    PetscCall(HcFieldCreate(g, 1, 1, &label));
    for (PetscInt k = 0; k < g->n[2]; k++)
      for (PetscInt j = 0; j < g->n[1]; j++)
        for (PetscInt i = 0; i < g->n[0]; i++) {
          PetscInt at = i + j * label->stride[1] + k * label->stride[2];
          double number = (double)(g->start[0] + i) +
                          (double)g->cells[0] * ((double)(g->start[1] + j) + (double)g->cells[1] * (double)(g->start[2] + k));
          label->c[0][at] = region->c[0][at] == HC_DOOR ? number : -1;
        }
    const HcFill none[6] = {
      HC_FILL_CONSTANT, HC_FILL_CONSTANT, HC_FILL_CONSTANT, HC_FILL_CONSTANT, HC_FILL_CONSTANT, HC_FILL_CONSTANT};
    const double outside[6] = {-1, -1, -1, -1, -1, -1};
    HcFill rule[6];
    for (int f = 0; f < 6; f++) rule[f] = f < 2 * g->dim && g->boundary[f] != HC_PERIODIC ? none[f] : HC_FILL_NONE;
    while (changed) {
      PetscCall(HcFieldExchange(label, HC_STAR));
      PetscCall(HcFieldFillBoundary(label, 0, 1, rule, outside));
      changed = propagate(label, region);
      PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &changed, 1, MPIU_BOOL, MPI_LOR, g->comm));
    }
    PetscCall(distinct_labels(label, MFG_MAX_EXITS - 6, values, &mfg->exits));
    for (PetscInt k = 0; k < g->n[2]; k++)
      for (PetscInt j = 0; j < g->n[1]; j++)
        for (PetscInt i = 0; i < g->n[0]; i++) {
          double *v = &label->c[0][i + j * label->stride[1] + k * label->stride[2]];
          PetscInt e = 0;
          if (*v < 0) continue;
          while (e < mfg->exits - 1 && values[e] != *v) e++; /* more exits than there is room for share the last number */
          *v = (double)e;
        }
    PetscCall(HcFieldExchange(label, HC_STAR));
    mfg->exit_id = label;
  }
  for (int f = 0; f < 6; f++) {
    mfg->face_exit[f] = -1;
    if (f < 2 * g->dim && g->boundary[f] == HC_EXIT) mfg->face_exit[f] = (int)mfg->exits++;
  }
  PetscFunctionReturn(0);
}
