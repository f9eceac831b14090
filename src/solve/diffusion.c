/*
 * The central Laplacian and implicit steps with it.
 *
 * The solve is for the correction e = u - guess, with homogeneous boundary values, so given values enter only through the
 * residual of the guess. KSP sees a matrix-free operator; its preconditioner sees I - c Lap of second order.
 */
#include <halocline/diffusion.h>
#include <halocline/run.h>
#include <petscksp.h>

struct HcDiffusion_ {
  HcGrid grid;
  PetscInt order, width;
  HcFill rule[6];
  HcFillGhosts fill;
  void *ctx;
  PetscBool chosen; /* by the user: the preconditioner */
  PetscBool multigrid;
  double c;          /* of the operator */
  double c_prepared; /* of the preconditioner; 0 before the first */
  HcField work;      /* for ghosts of Krylov vectors */
  Vec x, b;
  Mat A, P;
  KSP ksp;
};

double HcSecondDifferenceBound(PetscInt order) { return order == 2 ? 4.0 : order == 4 ? 16. / 3. : 272. / 45.; }

/* Above this condition number a preconditioner pays. Without one conjugate gradients take some 12 sqrt(condition) iterations of
 * 15 ns a cell for ten digits; with algebraic multigrid about 8 of 1 us, and its set-up. */
#define CONDITION_MULTIGRID 1000.0

static double condition(HcGrid g, PetscInt order, double c) {
  double sum = 0;
  for (int d = 0; d < g->dim; ++d) sum += 1 / (g->h[d] * g->h[d]);
  return 1 + c * HcSecondDifferenceBound(order) * sum;
}

void HcSecondDifferenceAdd(PetscInt order, size_t n, const double *f, ptrdiff_t s, double scale, double *restrict out) {
  if (order == 2) {
    for (size_t i = 0; i < n; ++i) out[i] += scale * ((f[i + s] + f[i - s]) - 2 * f[i]);
  } else if (order == 4) {
    for (size_t i = 0; i < n; ++i)
      out[i] += scale * ((4. / 3.) * (f[i + s] + f[i - s]) - (1. / 12.) * (f[i + 2 * s] + f[i - 2 * s]) - 2.5 * f[i]);
  } else {
    for (size_t i = 0; i < n; ++i)
      out[i] += scale * (1.5 * (f[i + s] + f[i - s]) - 0.15 * (f[i + 2 * s] + f[i - 2 * s]) +
                          (1. / 90.) * (f[i + 3 * s] + f[i - 3 * s]) - (49. / 18.) * f[i]);
  }
}

/* out = a u + scale Lap u with ghosts in place. */
static void laplacian(PetscInt order, HcField u, double a, double scale, double *out, ptrdiff_t row, ptrdiff_t plane) {
  HcGrid g = u->grid;
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j) {
      double *o = out + j * row + k * plane;
      const double *f = u->c[0] + j * u->stride[1] + k * u->stride[2];
      for (PetscInt i = 0; i < g->n[0]; ++i) o[i] = a * f[i];
      for (int d = 0; d < g->dim; ++d)
        HcSecondDifferenceAdd(order, (size_t)g->n[0], f, u->stride[d], scale / (g->h[d] * g->h[d]), o);
    }
}

PetscErrorCode HcDiffusionApply(HcDiffusion d, double t, double scale, HcField u, HcField out) {
  PetscFunctionBeginUser;
  PetscCall(d->fill(d->ctx, t, u));
  laplacian(d->order, u, 0, scale, out->c[0], out->stride[1], out->stride[2]);
  PetscFunctionReturn(0);
}

/* y = x - c Lap x with homogeneous boundary values. */
static PetscErrorCode multiply(Mat A, Vec x, Vec y) {
  HcDiffusion d;
  const double *in;
  double *out;
  PetscFunctionBeginUser;
  PetscCall(MatShellGetContext(A, &d));
  PetscCall(VecGetArrayRead(x, &in));
  HcFieldFromArray(d->work, 0, in);
  PetscCall(VecRestoreArrayRead(x, &in));
  PetscCall(HcFieldExchange(d->work, HC_STAR));
  HcFill rule[6];
  const double zero[6] = {0};
  for (int f = 0; f < 6; ++f)
    rule[f] = d->grid->boundary[f] != HC_PERIODIC && d->rule[f] == HC_FILL_NONE ? HC_FILL_CONSTANT : d->rule[f];
  PetscCall(HcFieldFillBoundary(d->work, 0, d->work->width, rule, zero));
  PetscCall(VecGetArrayWrite(y, &out));
  laplacian(d->order, d->work, 1, -d->c, out, d->grid->n[0], d->grid->n[0] * d->grid->n[1]);
  PetscCall(VecRestoreArrayWrite(y, &out));
  PetscFunctionReturn(0);
}

/* Global number (rank by rank) of the neighbour of owned cell i across face f; -1 beyond the domain. */
static PetscInt neighbour_row(HcGrid g, const PetscInt *range, const PetscInt i[3], int f) {
  const int dir = f / 2, step = f % 2 ? 1 : -1;
  PetscInt c[3] = {i[0], i[1], i[2]}, n[3] = {g->n[0], g->n[1], g->n[2]};
  int offset[3] = {0, 0, 0}, rank = g->rank;
  c[dir] += step;
  if (c[dir] < 0 || c[dir] >= n[dir]) {
    offset[dir] = step;
    rank = g->neighbour[(offset[0] + 1) + 3 * (offset[1] + 1) + 9 * (offset[2] + 1)];
    if (rank < 0) return -1;
    const PetscInt block = (g->block[dir] + step + g->ranks[dir]) % g->ranks[dir];
    n[dir] = g->split[dir][block + 1] - g->split[dir][block];
    c[dir] = step > 0 ? 0 : n[dir] - 1;
  }
  return range[rank] + c[0] + n[0] * (c[1] + n[1] * c[2]);
}

/* P = I - c Lap of second order; faces with given values as Dirichlet half a cell away, others as Neumann. */
static PetscErrorCode prepare(HcDiffusion d) {
  HcGrid g = d->grid;
  const PetscInt *range;
  PetscFunctionBeginUser;
  PetscCall(VecGetOwnershipRanges(d->x, &range));
  PetscCall(MatZeroEntries(d->P));
  PetscInt i[3], row = range[g->rank];
  for (i[2] = 0; i[2] < g->n[2]; ++i[2])
    for (i[1] = 0; i[1] < g->n[1]; ++i[1])
      for (i[0] = 0; i[0] < g->n[0]; ++i[0], ++row) {
        double v[7] = {1};
        PetscInt col[7] = {row}, m = 1;
        for (int f = 0; f < 2 * g->dim; ++f) {
          const double w = d->c / (g->h[f / 2] * g->h[f / 2]);
          const PetscInt q = neighbour_row(g, range, i, f);
          if (q >= 0 || d->rule[f] == HC_FILL_NONE) v[0] += w;
          if (q >= 0) v[m] = -w, col[m++] = q;
        }
        PetscCall(MatSetValues(d->P, 1, &row, m, col, v, ADD_VALUES));
      }
  PetscCall(MatAssemblyBegin(d->P, MAT_FINAL_ASSEMBLY));
  PetscCall(MatAssemblyEnd(d->P, MAT_FINAL_ASSEMBLY));
  d->c_prepared = d->c;
  PetscFunctionReturn(0);
}

static PetscErrorCode create_matrix(HcDiffusion d) {
  HcGrid grid = d->grid;
  const PetscInt n = HcGridLocalCells(grid);
  PetscFunctionBeginUser;
  PetscCall(
    MatCreateAIJ(grid->comm, n, n, PETSC_DETERMINE, PETSC_DETERMINE, 2 * grid->dim + 1, NULL, 2 * grid->dim, NULL, &d->P));
  PetscCall(MatSetOption(d->P, MAT_NEW_NONZERO_ALLOCATION_ERR, PETSC_TRUE));
  PetscCall(KSPSetOperators(d->ksp, d->A, d->P));
  PetscFunctionReturn(0);
}

/* Take the preconditioner that suits this c, and its matrix where it needs one. */
static PetscErrorCode choose_preconditioner(HcDiffusion d) {
  const PetscBool multigrid = condition(d->grid, d->order, d->c) > CONDITION_MULTIGRID ? PETSC_TRUE : PETSC_FALSE;
  PC pc;
  PetscBool none;
  PetscFunctionBeginUser;
  PetscCall(KSPGetPC(d->ksp, &pc));
  if (!d->chosen && multigrid != d->multigrid) {
#ifdef PETSC_HAVE_HYPRE
    PetscCall(PCSetType(pc, multigrid ? PCHYPRE : PCNONE));
#else
    PetscCall(PCSetType(pc, multigrid ? PCGAMG : PCNONE));
#endif
    PetscCall(KSPSetFromOptions(d->ksp));
    d->multigrid = multigrid;
    d->c_prepared = 0;
  }
  PetscCall(PetscObjectTypeCompare((PetscObject)pc, PCNONE, &none));
  if (none) PetscFunctionReturn(0);
  if (!d->P) PetscCall(create_matrix(d));
  /* One for another c of the same size serves as well: the ratio of the two spectra lies between 1 and c/c'. */
  const PetscBool old = d->c_prepared > 0 && d->c < 1.25 * d->c_prepared && d->c > 0.8 * d->c_prepared ? PETSC_TRUE : PETSC_FALSE;
  if (!old) PetscCall(prepare(d));
  PetscCall(KSPSetReusePreconditioner(d->ksp, old));
  PetscFunctionReturn(0);
}

/* Vectors and matrices, at the first solve: until then an operator costs nothing. */
static PetscErrorCode allocate(HcDiffusion d) {
  HcGrid grid = d->grid;
  const PetscInt n = HcGridLocalCells(grid);
  PetscFunctionBeginUser;
  PetscCall(HcFieldCreate(grid, 1, d->width, &d->work));
  PetscCall(HcGridCreateVec(grid, &d->x));
  PetscCall(VecDuplicate(d->x, &d->b));
  PetscCall(MatCreateShell(grid->comm, n, n, PETSC_DETERMINE, PETSC_DETERMINE, d, &d->A));
  PetscCall(MatShellSetOperation(d->A, MATOP_MULT, (void (*)(void))multiply));
  PetscCall(KSPSetOperators(d->ksp, d->A, d->A));
  PetscFunctionReturn(0);
}

PetscErrorCode HcDiffusionCreate(
  HcGrid grid, PetscInt order, PetscInt width, const HcFill rule[6], HcFillGhosts fill, void *ctx, HcDiffusion *out) {
  HcDiffusion d;
  PC pc;
  PetscBool symmetric = PETSC_TRUE;
  PetscFunctionBeginUser;
  PetscCall(PetscNew(&d));
  d->grid = grid;
  d->order = order;
  d->fill = fill;
  d->ctx = ctx;
  for (int f = 0; f < 6; ++f) {
    d->rule[f] = rule[f];
    if (rule[f] == HC_FILL_LINEAR || rule[f] == HC_FILL_CUBIC || rule[f] == HC_FILL_COPY) symmetric = PETSC_FALSE;
  }
  d->width = width;
  PetscCall(KSPCreate(grid->comm, &d->ksp));
  PetscCall(KSPSetOptionsPrefix(d->ksp, "diffusion_"));
  PetscCall(KSPSetType(d->ksp, symmetric ? KSPCG : KSPGMRES));
  PetscCall(KSPSetNormType(d->ksp, KSP_NORM_UNPRECONDITIONED));
  if (!symmetric) PetscCall(KSPSetPCSide(d->ksp, PC_RIGHT));
  PetscCall(KSPSetTolerances(d->ksp, 1e-10, PETSC_DEFAULT, PETSC_DEFAULT, 2000));
  PetscCall(KSPGetPC(d->ksp, &pc));
  PetscCall(PCSetType(pc, PCNONE));
  PetscCall(PetscOptionsHasName(NULL, "diffusion_", "-pc_type", &d->chosen));
  PetscCall(KSPSetFromOptions(d->ksp));
  *out = d;
  PetscFunctionReturn(0);
}

PetscErrorCode HcDiffusionDestroy(HcDiffusion *d) {
  PetscFunctionBeginUser;
  if (!*d) PetscFunctionReturn(0);
  PetscCall(KSPDestroy(&(*d)->ksp));
  PetscCall(MatDestroy(&(*d)->A));
  PetscCall(MatDestroy(&(*d)->P));
  PetscCall(VecDestroy(&(*d)->x));
  PetscCall(VecDestroy(&(*d)->b));
  PetscCall(HcFieldDestroy(&(*d)->work));
  PetscCall(PetscFree(*d));
  PetscFunctionReturn(0);
}

/* Six Krylov vectors; with multigrid a matrix of 2 dim + 1 entries of 12 bytes a row, the preconditioner's copy of it, and a
 * hierarchy whose size was measured: 5.5 matrices with hypre, and some 3 more where blocks have neighbours. */
double HcDiffusionBytes(HcGrid g, PetscInt order, PetscInt width, double c) {
  const double cells = (double)HcGridLocalCells(g), matrix = (2 * (double)g->dim + 1) * 12;
  double bytes = HcFieldBytes(g, 1, width) + cells * 6 * 8;
  if (condition(g, order, c) > CONDITION_MULTIGRID) bytes += cells * matrix * (g->size > 1 ? 9 : 6.5);
  return bytes;
}

PetscErrorCode HcDiffusionSolve(HcDiffusion d, double t, double c, HcField rhs, HcField u, PetscInt *iterations) {
  HcGrid g = d->grid;
  double *r, norm, rtol;
  PetscInt its;
  KSPConvergedReason reason;
  PetscFunctionBeginUser;
  HcTimerStart(HC_TIMER_SOLVE);
  if (!d->A) PetscCall(allocate(d));
  d->c = c;
  PetscCall(choose_preconditioner(d));
  PetscCall(d->fill(d->ctx, t, u));
  PetscCall(VecGetArrayWrite(d->b, &r));
  laplacian(d->order, u, -1, c, r, g->n[0], g->n[0] * g->n[1]);
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j) {
      const double *f = rhs->c[0] + j * rhs->stride[1] + k * rhs->stride[2];
      double *o = r + (j + k * g->n[1]) * g->n[0];
      for (PetscInt i = 0; i < g->n[0]; ++i) o[i] += f[i];
    }
  PetscCall(VecRestoreArrayWrite(d->b, &r));
  PetscCall(HcFieldNorm(rhs, 0, HC_NORM_L2, &norm));
  if (!(norm < PETSC_INFINITY)) PetscCall(HcFail(HC_EXIT_FAILED, "diffusion: the state is not a number at t = %g", t));
  PetscCall(KSPGetTolerances(d->ksp, &rtol, NULL, NULL, NULL));
  PetscCall(KSPSetTolerances(d->ksp, rtol, rtol * norm, PETSC_DEFAULT, PETSC_DEFAULT));
  PetscCall(KSPSolve(d->ksp, d->b, d->x));
  PetscCall(KSPGetConvergedReason(d->ksp, &reason));
  PetscCall(KSPGetIterationNumber(d->ksp, &its));
  if (reason < 0)
    PetscCall(HcFail(HC_EXIT_FAILED, "diffusion: the linear solve did not converge in %d iterations at t = %g (%s)", (int)its, t,
      KSPConvergedReasons[reason]));
  const double *e;
  PetscCall(VecGetArrayRead(d->x, &e));
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j) {
      double *o = u->c[0] + j * u->stride[1] + k * u->stride[2];
      const double *q = e + (j + k * g->n[1]) * g->n[0];
      for (PetscInt i = 0; i < g->n[0]; ++i) o[i] += q[i];
    }
  PetscCall(VecRestoreArrayRead(d->x, &e));
  if (iterations) *iterations = its;
  HcTimerStop(HC_TIMER_SOLVE);
  PetscFunctionReturn(0);
}
