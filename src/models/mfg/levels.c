/* Helpers on time levels that every scheme of the mean field game needs: ghosts, costs, accounts of mass. */
#include "mfg.h"

/* Ghost cells of one face, row by row: the formula at the ghost cells' own centres. */
static PetscErrorCode fill_given(HcField f, int c, PetscInt width, int face, HcSource given, double t) {
  HcGrid g = f->grid;
  int d = face / 2;
  PetscInt lo[3], hi[3];

  PetscFunctionBeginUser;
  for (int e = 0; e < 3; e++) {
    PetscInt extra = e < d && e < g->dim ? width : 0; /* corners: over the ghosts filled before, as HcFieldFillBoundary */
    lo[e] = -extra;
    hi[e] = g->n[e] + extra;
  }
  lo[d] = face % 2 ? g->n[d] : -width;
  hi[d] = face % 2 ? g->n[d] + width : 0;
  for (PetscInt k = lo[2]; k < hi[2]; k++)
    for (PetscInt j = lo[1]; j < hi[1]; j++)
      PetscCall(
        HcSourceEvalRow(given, lo[0], hi[0] - lo[0], j, k, t, NULL, f->c[c] + lo[0] + j * f->stride[1] + k * f->stride[2]));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgFillGhosts(Mfg mfg, HcField f, int c, PetscInt width, double exit, HcSource given, double t) {
  HcGrid g = mfg->grid;
  HcFill rule[6];
  double value[6];
  PetscBool any_given = PETSC_FALSE;

  PetscFunctionBeginUser;
  for (int face = 0; face < 6; face++) {
    rule[face] = HC_FILL_NONE;
    value[face] = exit;
    if (face / 2 >= g->dim) continue;
    switch (g->boundary[face]) {
    case HC_REFLECTING:
    case HC_SYMMETRY:
      rule[face] = HC_FILL_EVEN;
      break;
    case HC_EXIT:
      rule[face] = HC_FILL_CONSTANT;
      break;
    case HC_GIVEN:
      any_given = PETSC_TRUE;
      break;
    default:
      break;
    }
  }
  PetscCall(HcFieldFillBoundary(f, c, width, rule, value));
  if (any_given)
    for (int face = 0; face < 2 * g->dim; face++)
      if (g->boundary[face] == HC_GIVEN && HcGridAtEdge(g, face)) PetscCall(fill_given(f, c, width, face, given, t));
  PetscFunctionReturn(0);
}

/* Keep values in free cells, `otherwise` elsewhere. */
static void select_free(Mfg mfg, PetscInt j, PetscInt k, double otherwise, double *row) {
  HcField r = mfg->plan->region;
  const double *region = r->c[0] + j * r->stride[1] + k * r->stride[2];
  for (PetscInt i = 0; i < mfg->grid->n[0]; i++) row[i] = region[i] == HC_FREE ? row[i] : otherwise;
}

/* A cost that may depend on m, over all owned cells. `floor` is a row buffer. */
static PetscErrorCode cost_level(Mfg mfg, HcSource cost, double t, const double *m, double *out) {
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0];
  double *floor_m = NULL;

  PetscFunctionBeginUser;
  if (HcSourceUses(cost, 0)) PetscCall(PetscMalloc1(n, &floor_m));
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      size_t row = (size_t)(j + k * g->n[1]) * (size_t)n;
      const double *extra[1] = {floor_m};
      if (floor_m)
        for (PetscInt i = 0; i < n; i++) floor_m[i] = m[row + (size_t)i] > 1e-300 ? m[row + (size_t)i] : 1e-300;
      PetscCall(HcSourceEvalRow(cost, 0, n, j, k, t, extra, out + row));
      if (mfg->plan->walls + mfg->plan->exits > 0) select_free(mfg, j, k, 0, out + row);
    }
  PetscCall(PetscFree(floor_m));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgRunningCost(Mfg mfg, double t, const double *m, double *out) {
  PetscFunctionBeginUser;
  PetscCall(cost_level(mfg, mfg->running_cost, t, m, out));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgTerminal(Mfg mfg) {
  HcGrid g = mfg->grid;
  HcField r = mfg->plan->region;
  double *u = MfgLevel(mfg, mfg->u, mfg->steps);

  PetscFunctionBeginUser;
  PetscCall(cost_level(mfg, mfg->terminal_cost, mfg->end, MfgLevel(mfg, mfg->m, mfg->steps), u));
  if (mfg->plan->exits > 0)
    for (PetscInt k = 0, c = 0; k < g->n[2]; k++)
      for (PetscInt j = 0; j < g->n[1]; j++)
        for (PetscInt i = 0; i < g->n[0]; i++, c++)
          if (r->c[0][i + j * r->stride[1] + k * r->stride[2]] == HC_DOOR) u[c] = mfg->exit_cost;
  PetscFunctionReturn(0);
}

PetscErrorCode MfgDensitySource(Mfg mfg, double t, double *out, PetscBool *any) {
  PetscFunctionBeginUser;
  *any = mfg->density_source ? PETSC_TRUE : PETSC_FALSE;
  if (*any) PetscCall(cost_level(mfg, mfg->density_source, t, NULL, out));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgIntegral(Mfg mfg, const double *level, double *integral) {
  PetscFunctionBeginUser;
  PetscCall(HcSum(mfg->grid->comm, HcGridTotalCells(mfg->grid), (PetscInt)mfg->cells, level, integral));
  *integral *= mfg->grid->volume;
  PetscFunctionReturn(0);
}

void MfgAccountExits(Mfg mfg, PetscInt level, const double amount[]) {
  mfg->exited_level[level] = 0;
  for (PetscInt e = 0; e < mfg->exits; e++) {
    double *share = mfg->exit_share + e * (mfg->steps + 1);
    share[level] = share[level - 1] + amount[e];
    mfg->exited_level[level] += share[level];
  }
}

int MfgExitBehind(Mfg mfg, PetscInt i, PetscInt j, PetscInt k, int f) {
  HcGrid g = mfg->grid;
  HcField open = mfg->plan->open, region = mfg->plan->region;
  int d = f / 2, up = f % 2;
  PetscInt at = i + j * open->stride[1] + k * open->stride[2];
  PetscInt local[3] = {i, j, k};

  if (open->c[d][at + (up ? open->stride[d] : 0)] != 2 || region->c[0][at] != HC_FREE) return -1;
  if (HcGridAtEdge(g, f) && g->boundary[f] == HC_EXIT && local[d] == (up ? g->n[d] - 1 : 0)) return mfg->face_exit[f];
  return (int)mfg->exit_id->c[0][at + (up ? open->stride[d] : -open->stride[d])];
}

PetscErrorCode MfgMassDiagnostics(Mfg mfg) {
  double least = PETSC_INFINITY;

  PetscFunctionBeginUser;
  mfg->mass_error_max = 0;
  for (PetscInt l = 0; l <= mfg->steps; l++) {
    const double *m = MfgLevel(mfg, mfg->m, l);
    PetscCall(MfgIntegral(mfg, m, &mfg->mass_level[l]));
    double error = PetscAbsReal(mfg->mass_level[l] + mfg->exited_level[l] - mfg->gained_level[l] - mfg->mass_level[0]);
    /* written so that a NaN shows */
    if (!(error <= mfg->mass_error_max)) mfg->mass_error_max = error;
    for (size_t c = 0; c < mfg->cells; c++) least = m[c] < least ? m[c] : least;
  }
  PetscCallMPI(MPI_Allreduce(&least, &mfg->density_min, 1, MPI_DOUBLE, MPI_MIN, mfg->grid->comm));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgLargestIntegral(Mfg mfg, const double *v, double *largest) {
  double *absolute;

  PetscFunctionBeginUser;
  PetscCall(PetscMalloc1(mfg->cells, &absolute));
  *largest = 0;
  for (PetscInt l = 1; l <= mfg->steps; l++) {
    const double *level = v + (size_t)l * mfg->cells;
    double norm;
    for (size_t c = 0; c < mfg->cells; c++) absolute[c] = PetscAbsReal(level[c]);
    PetscCall(MfgIntegral(mfg, absolute, &norm));
    if (!(norm <= *largest)) *largest = norm;
  }
  PetscCall(PetscFree(absolute));
  PetscFunctionReturn(0);
}
