/* Which rooms agents are in at the start: without sources they stay in those. */
#include "mfg.h"

/* Spread 1 through open links until nothing changes on this rank. */
static PetscBool spread(HcField occupied, HcField link) {
  HcGrid g = occupied->grid;
  PetscBool changed = PETSC_TRUE, any = PETSC_FALSE;
  double *v = occupied->c[0];

  while (changed) {
    changed = PETSC_FALSE;
    for (PetscInt q = 0; q < 2; q++) /* alternating sweeps cross a room in a few passes */
      for (PetscInt kk = 0; kk < g->n[2]; kk++)
        for (PetscInt jj = 0; jj < g->n[1]; jj++)
          for (PetscInt ii = 0; ii < g->n[0]; ii++) {
            PetscInt i = q ? g->n[0] - 1 - ii : ii, j = q ? g->n[1] - 1 - jj : jj, k = q ? g->n[2] - 1 - kk : kk;
            PetscInt at = i + j * occupied->stride[1] + k * occupied->stride[2];
            for (int d = 0; d < g->dim && v[at] == 0; d++) {
              PetscInt stride = occupied->stride[d];
              if ((link->c[d][at] > 0 && v[at - stride] > 0) || (link->c[d][at + stride] > 0 && v[at + stride] > 0))
                v[at] = 1, changed = any = PETSC_TRUE;
            }
          }
  }
  return any;
}

PetscErrorCode MfgOccupiedRooms(Mfg mfg, HcField link, HcField *occupied) {
  HcGrid g = mfg->grid;
  PetscBool all = mfg->density_source ? PETSC_TRUE : PETSC_FALSE, changed = PETSC_TRUE;

  PetscFunctionBeginUser;
  *occupied = NULL;
  for (int f = 0; f < 2 * g->dim; f++) all = all || g->boundary[f] == HC_GIVEN ? PETSC_TRUE : PETSC_FALSE;
  if (all) PetscFunctionReturn(0);
  PetscCall(HcFieldCreate(g, 1, 1, occupied));
  HcField o = *occupied, region = mfg->plan->region;
  for (PetscInt k = 0, c = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++)
      for (PetscInt i = 0; i < g->n[0]; i++, c++) o->c[0][i + j * o->stride[1] + k * o->stride[2]] = mfg->m[c] != 0;
  while (changed) {
    PetscCall(HcFieldExchange(o, HC_STAR));
    changed = spread(o, link);
    PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &changed, 1, MPIU_BOOL, MPI_LOR, g->comm));
  }
  all = PETSC_TRUE;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++)
      for (PetscInt i = 0; i < g->n[0]; i++) {
        PetscInt at = i + j * o->stride[1] + k * o->stride[2];
        if (region->c[0][at] == HC_FREE && o->c[0][at] == 0) all = PETSC_FALSE;
      }
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &all, 1, MPIU_BOOL, MPI_LAND, g->comm));
  if (all) PetscCall(HcFieldDestroy(occupied));
  PetscFunctionReturn(0);
}
