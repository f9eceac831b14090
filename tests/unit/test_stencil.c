/* parallel: stencil operators and their solution against dense elimination, identities, iteration counts, failures */
#include "tap.h"
#include <float.h>
#include <halocline/stencil.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* ---- operators defined cell by cell from global indices, so that every rank knows all of them ---------------------- */

typedef struct {
  PetscInt dim, N[3];
  PetscBool periodic[3];
  double strength; /* size of the couplings; row sums are 1 */
  double walls;    /* share of excluded cells */
  double drift;    /* 0: symmetric couplings; 1: each as it comes */
} Problem;

static double noise(const PetscInt c[3], int salt) {
  unsigned long long z =
    (unsigned long long)(c[0] + 1000 * (c[1] + 1000LL * c[2])) * 0x9E3779B97F4A7C15ULL + (unsigned)salt * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* The neighbour at a face; false beyond the domain. */
static int neighbour(const Problem *p, const PetscInt c[3], int f, PetscInt to[3]) {
  int d = f / 2;
  memcpy(to, c, 3 * sizeof *to);
  to[d] += f % 2 ? 1 : -1;
  if (to[d] >= 0 && to[d] < p->N[d]) return 1;
  to[d] = (to[d] + p->N[d]) % p->N[d];
  return p->periodic[d];
}

static int is_wall(const Problem *p, const PetscInt c[3]) { return noise(c, 77) < p->walls; }

static double coefficient(const Problem *p, const PetscInt c[3], int component) {
  double sum = 1;
  if (component == 0) {
    for (int f = 0; f < 2 * p->dim; ++f) sum -= coefficient(p, c, 1 + f);
    return sum;
  }
  PetscInt to[3];
  if (!neighbour(p, c, component - 1, to) || is_wall(p, c) || is_wall(p, to)) return 0;
  const PetscInt *at = (component - 1) % 2 ? c : to; /* of the face's lower cell: both sides agree */
  double common = 0.2 + noise(at, (component - 1) / 2), own = noise(c, 10 + component);
  return -p->strength * (common * (1 - p->drift) + own * p->drift);
}

static PetscErrorCode make_grid(const Problem *p, HcGrid *g) {
  HcGridSpec spec = {.dim = p->dim};
  PetscFunctionBeginUser;
  for (int d = 0; d < 3; ++d) {
    spec.cells[d] = p->N[d];
    spec.upper[d] = (double)p->N[d];
    spec.boundary[2 * d] = spec.boundary[2 * d + 1] = p->periodic[d] ? HC_PERIODIC : HC_REFLECTING;
  }
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, g));
  PetscFunctionReturn(0);
}

static void fill(const Problem *p, HcStencil A) {
  HcGrid g = A->grid;
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i) {
        PetscInt c[3] = {g->start[0] + i, g->start[1] + j, g->start[2] + k};
        for (int q = 0; q < 1 + 2 * p->dim; ++q) A->a->c[q][i + j * A->a->stride[1] + k * A->a->stride[2]] = coefficient(p, c, q);
      }
}

static PetscInt number(const Problem *p, const PetscInt c[3]) { return c[0] + p->N[0] * (c[1] + p->N[1] * c[2]); }

/* Owned values of a function of the cell. */
static double *owned(HcGrid g, int salt) {
  double *v = malloc(sizeof(double) * (size_t)HcGridLocalCells(g));
  size_t at = 0;
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i)
        v[at++] = noise((PetscInt[]){g->start[0] + i, g->start[1] + j, g->start[2] + k}, salt) - 0.5;
  return v;
}

/* The whole matrix, row by row, or its transpose. */
static double *dense(const Problem *p, int transposed) {
  PetscInt n = p->N[0] * p->N[1] * p->N[2];
  double *m = calloc((size_t)(n * n), sizeof *m);
  for (PetscInt q = 0; q < n; ++q) {
    PetscInt c[3] = {q % p->N[0], q / p->N[0] % p->N[1], q / (p->N[0] * p->N[1])}, to[3];
    m[q * n + q] += coefficient(p, c, 0);
    for (int f = 0; f < 2 * p->dim; ++f) {
      if (!neighbour(p, c, f, to)) continue;
      PetscInt r = number(p, to);
      m[transposed ? r * n + q : q * n + r] += coefficient(p, c, 1 + f);
    }
  }
  return m;
}

/* Solve in place without pivoting: M-matrices need none. */
static void dense_solve(PetscInt n, double *m, double *b) {
  for (PetscInt k = 0; k < n; ++k)
    for (PetscInt i = k + 1; i < n; ++i) {
      double l = m[i * n + k] / m[k * n + k];
      if (l == 0) continue;
      for (PetscInt j = k; j < n; ++j) m[i * n + j] -= l * m[k * n + j];
      b[i] -= l * b[k];
    }
  for (PetscInt i = n - 1; i >= 0; --i) {
    for (PetscInt j = i + 1; j < n; ++j) b[i] -= m[i * n + j] * b[j];
    b[i] /= m[i * n + i];
  }
}

/* ---- against dense elimination --------------------------------------------------------------------------------------- */

static PetscErrorCode against_dense(const Problem *p, int transposed) {
  HcGrid g;
  HcStencil A, T;
  HcStencilSolver s;
  PetscInt n = p->N[0] * p->N[1] * p->N[2], its, at = 0;
  const double tol = 1e-10;

  PetscFunctionBeginUser;
  PetscCall(make_grid(p, &g));
  PetscCall(HcStencilCreate(g, &A));
  PetscCall(HcStencilCreate(g, &T));
  PetscCall(HcStencilSolverCreate(g, "test_", &s));
  fill(p, A);
  PetscCall(HcStencilTranspose(A, T));
  HcStencil M = transposed ? T : A;
  double *b = owned(g, 1), *x = owned(g, 2), *y = owned(g, 3), *m = dense(p, transposed), *v = malloc(sizeof *v * (size_t)n),
         *keep = owned(g, 2);
  double product = 0, solution = 0, largest = 0;

  PetscCall(HcStencilMult(M, keep, y));
  PetscCall(HcStencilSolve(s, M, b, x, tol, &its));
  for (PetscInt q = 0; q < n; ++q) {
    PetscInt c[3] = {q % p->N[0], q / p->N[0] % p->N[1], q / (p->N[0] * p->N[1])};
    v[q] = noise(c, 1) - 0.5;
    largest = fmax(largest, m[q * n + q]);
  }
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i, ++at) {
        PetscInt q = number(p, (PetscInt[]){g->start[0] + i, g->start[1] + j, g->start[2] + k});
        double sum = 0;
        for (PetscInt r = 0; r < n; ++r)
          sum += m[q * n + r] * (noise((PetscInt[]){r % p->N[0], r / p->N[0] % p->N[1], r / (p->N[0] * p->N[1])}, 2) - 0.5);
        product = fmax(product, fabs(sum - y[at]));
      }
  dense_solve(n, m, v);
  at = 0;
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i, ++at)
        solution = fmax(solution, fabs(x[at] - v[number(p, (PetscInt[]){g->start[0] + i, g->start[1] + j, g->start[2] + k})]));
  /* row sums of A are 1, so |A^-1| <= 1 in the maximum norm; its transpose has column sums <= 1, hence row sums <= n.
   * The error is A^-1 D times the scaled residual. */
  double bound = 2 * tol * largest * (transposed ? (double)n : 1);
  int wide = p->periodic[0];
  tap_ok(product <= 16 * DBL_EPSILON * largest && solution <= bound,
    "%dD %dx%dx%d, %s, couplings %g, walls %g, drift %g%s: product off by %.1e, solution by %.1e (allowed %.1e), %d iterations",
    (int)p->dim, (int)p->N[0], (int)p->N[1], (int)p->N[2], wide ? "periodic" : "closed", p->strength, p->walls, p->drift,
    transposed ? ", transposed" : "", product, solution, bound, (int)its);
  free(b), free(x), free(y), free(m), free(v), free(keep);
  PetscCall(HcStencilSolverDestroy(&s));
  PetscCall(HcStencilDestroy(&A));
  PetscCall(HcStencilDestroy(&T));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

static PetscErrorCode all_against_dense(void) {
  const PetscInt sizes[][3] = {{1, 1, 1}, {2, 1, 1}, {4, 1, 1}, {37, 1, 1}, {13, 9, 1}, {6, 17, 1}, {7, 5, 6}};
  int ranks;

  PetscFunctionBeginUser;
  MPI_Comm_size(PETSC_COMM_WORLD, &ranks);
  for (size_t q = 0; q < sizeof sizes / sizeof *sizes; ++q)
    for (int periodic = 0; periodic < 2; ++periodic)
      for (int strong = 0; strong < 2; ++strong)
        for (int transposed = 0; transposed < 2; ++transposed) {
          Problem p = {.dim = q < 4   ? 1
                              : q < 6 ? 2
                                      : 3,
            .strength = strong ? 40 : 0.1,
            .walls = q < 4 ? 0.05 : 0.25,
            .drift = strong ? 1 : 0.5};
          memcpy(p.N, sizes[q], sizeof p.N);
          for (int d = 0; d < p.dim; ++d) p.periodic[d] = periodic ? PETSC_TRUE : PETSC_FALSE;
          if (p.dim == 1 && p.N[0] < ranks) continue;
          PetscCall(against_dense(&p, transposed));
        }
  PetscFunctionReturn(0);
}

/* ---- identities -------------------------------------------------------------------------------------------------------- */

static PetscErrorCode transposition(void) {
  HcGrid g;
  HcStencil A, T, back;

  PetscFunctionBeginUser;
  for (int dim = 1; dim <= 3; ++dim) {
    Problem p = {.dim = dim, .N = {19, dim > 1 ? 14 : 1, dim > 2 ? 11 : 1}, .strength = 3, .walls = 0.2, .drift = 1};
    p.periodic[dim - 1] = PETSC_TRUE;
    PetscCall(make_grid(&p, &g));
    PetscCall(HcStencilCreate(g, &A));
    PetscCall(HcStencilCreate(g, &T));
    PetscCall(HcStencilCreate(g, &back));
    fill(&p, A);
    PetscCall(HcStencilTranspose(A, T));
    PetscCall(HcStencilTranspose(T, back));
    double *x = owned(g, 5), *y = owned(g, 6), *Ay = owned(g, 0), *Tx = owned(g, 0), *r = owned(g, 0), sums[3] = {0};
    PetscCall(HcStencilMult(A, y, Ay));
    PetscCall(HcStencilMult(T, x, Tx));
    PetscCall(HcStencilResidual(A, x, y, r));
    double residual = 0;
    int same = 1;
    for (PetscInt i = 0; i < HcGridLocalCells(g); ++i) {
      sums[0] += x[i] * Ay[i];
      sums[1] += Tx[i] * y[i];
      sums[2] += fabs(x[i] * Ay[i]);
      residual = fmax(residual, fabs(r[i] - (x[i] - Ay[i])));
    }
    MPI_Allreduce(MPI_IN_PLACE, sums, 3, MPI_DOUBLE, MPI_SUM, PETSC_COMM_WORLD);
    for (int c = 0; c < 1 + 2 * dim; ++c)
      for (PetscInt k = 0; k < g->n[2]; ++k)
        for (PetscInt j = 0; j < g->n[1]; ++j)
          same = same && !memcmp(A->a->c[c] + j * A->a->stride[1] + k * A->a->stride[2],
                           back->a->c[c] + j * back->a->stride[1] + k * back->a->stride[2], sizeof(double) * (size_t)g->n[0]);
    tap_ok(fabs(sums[0] - sums[1]) <= 64 * DBL_EPSILON * sums[2] * HcGridTotalCells(g), "%dD: x.(A y) = (A^T x).y", dim);
    tap_ok(residual <= 4 * DBL_EPSILON * 20, "%dD: residual is b - A x", dim);
    tap_ok(same, "%dD: transposed twice is the same operator, bit for bit", dim);
    free(x), free(y), free(Ay), free(Tx), free(r);
    PetscCall(HcStencilDestroy(&A));
    PetscCall(HcStencilDestroy(&T));
    PetscCall(HcStencilDestroy(&back));
    PetscCall(HcGridDestroy(&g));
  }
  PetscFunctionReturn(0);
}

/* ---- larger systems ------------------------------------------------------------------------------------------------------ */

/* Solve; returns iterations, -1 on failure. */
static PetscErrorCode solve(const Problem *p, const char *prefix, double tol, int transposed, PetscInt *its, double *reached) {
  HcGrid g;
  HcStencil A, T;
  HcStencilSolver s;

  PetscFunctionBeginUser;
  PetscCall(make_grid(p, &g));
  PetscCall(HcStencilCreate(g, &A));
  PetscCall(HcStencilCreate(g, &T));
  PetscCall(HcStencilSolverCreate(g, prefix, &s));
  fill(p, A);
  PetscCall(HcStencilTranspose(A, T));
  HcStencil M = transposed ? T : A;
  double *b = owned(g, 1), *x = owned(g, 2), *r = owned(g, 3);
  PetscErrorCode code = HcStencilSolve(s, M, b, x, tol, its);
  if (code) *its = -1;
  *reached = 0;
  PetscCall(HcStencilResidual(M, b, x, r));
  PetscInt at = 0;
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i, ++at)
        *reached = fmax(*reached, fabs(r[at]) / M->a->c[0][i + j * M->a->stride[1] + k * M->a->stride[2]]);
  free(b), free(x), free(r);
  PetscCall(HcStencilSolverDestroy(&s));
  PetscCall(HcStencilDestroy(&A));
  PetscCall(HcStencilDestroy(&T));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

static PetscErrorCode iteration_counts(void) {
  PetscInt its[3];
  double reached;

  PetscFunctionBeginUser;
  for (int dim = 2; dim <= 3; ++dim) {
    for (int level = 0; level < 3; ++level) {
      PetscInt n = (dim == 2 ? 32 : 10) << level;
      Problem p = {.dim = dim, .N = {n, n + 3, dim > 2 ? n - 1 : 1}, .strength = 1e4};
      PetscCall(solve(&p, "test_", 1e-9, 0, &its[level], &reached));
      tap_ok(
        its[level] >= 0 && reached <= 1e-9, "%dD, %d cells across, nearly elliptic: %d iterations", dim, (int)n, (int)its[level]);
    }
    /* one-level methods double their iterations each time */
    tap_ok(its[2] <= 1.5 * (double)its[0] + 2, "%dD: iterations hardly grow from %d to %d as the grid is refined by 4", dim,
      (int)its[0], (int)its[2]);
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode other_methods(void) {
  const char *methods[][3] = {{"gmres_", "ksp_type", "gmres"}, {"gamg_", "pc_type", "gamg"}, {"hypre_", "pc_type", "hypre"},
    {"jacobi_", "pc_type", "bjacobi"}, {"own_", "pc_type", "stencil"}};
  PetscInt its;
  double reached;

  PetscFunctionBeginUser;
  for (size_t q = 0; q < sizeof methods / sizeof *methods; ++q) {
    char option[64];
    Problem p = {.dim = q % 2 ? 3 : 2, .N = {17, 12, q % 2 ? 9 : 1}, .strength = 5, .walls = 0.1, .drift = 1};
#if !defined(PETSC_HAVE_HYPRE)
    if (!strcmp(methods[q][2], "hypre")) continue;
#endif
    snprintf(option, sizeof option, "-%s%s", methods[q][0], methods[q][1]);
    PetscCall(PetscOptionsSetValue(NULL, option, methods[q][2]));
    for (int transposed = 0; transposed < 2; ++transposed) {
      PetscCall(solve(&p, methods[q][0], 1e-10, transposed, &its, &reached));
      tap_ok(
        its > 0 && reached <= 1e-10, "%s %s%s: %d iterations", option, methods[q][2], transposed ? ", transposed" : "", (int)its);
    }
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode not_a_number(void) {
  PetscFunctionBeginUser;
  for (int dim = 1; dim <= 3; ++dim)
    for (int where = 0; where < 2; ++where) {
      HcGrid g;
      HcStencil A;
      HcStencilSolver s;
      PetscInt its;
      Problem p = {.dim = dim, .N = {9, dim > 1 ? 8 : 1, dim > 2 ? 7 : 1}, .strength = 5};
      PetscCall(make_grid(&p, &g));
      PetscCall(HcStencilCreate(g, &A));
      PetscCall(HcStencilSolverCreate(g, "test_", &s));
      fill(&p, A);
      double *b = owned(g, 1), *x = owned(g, 2);
      if (g->rank == g->size - 1) {
        if (where)
          A->a->c[2][0] = NAN;
        else
          b[0] = NAN;
      }
      PetscErrorCode code = HcStencilSolve(s, A, b, x, 1e-10, &its);
      tap_ok(code && HcErrorKind(code) == HC_EXIT_FAILED && strlen(HcErrorMessage()) > 0,
        "%dD: not a number in %s is an error on all ranks", dim, where ? "the operator" : "the right-hand side");
      HcErrorClear();
      free(b);
      free(x);
      /* the solver is as good as new afterwards */
      fill(&p, A);
      b = owned(g, 1), x = owned(g, 2);
      tap_ok(!HcStencilSolve(s, A, b, x, 1e-10, &its), "%dD: and the next solve works", dim);
      free(b), free(x);
      PetscCall(HcStencilSolverDestroy(&s));
      PetscCall(HcStencilDestroy(&A));
      PetscCall(HcGridDestroy(&g));
    }
  PetscFunctionReturn(0);
}

static double allocated(void) {
  struct mallinfo2 m = mallinfo2();
  return (double)m.uordblks + (double)m.hblkhd;
}

static PetscErrorCode memory(void) {
  PetscFunctionBeginUser;
  for (int dim = 1; dim <= 3; ++dim) {
    HcGrid g;
    HcStencil A;
    HcStencilSolver s;
    PetscInt its;
    Problem p = {.dim = dim,
      .N = {dim == 1   ? 100000
            : dim == 2 ? 300
                       : 70,
        dim > 1 ? (dim == 2 ? 200 : 50) : 1, dim > 2 ? 60 : 1},
      .strength = 20,
      .drift = 1};
    PetscCall(make_grid(&p, &g));
    double *b = owned(g, 1), *x = owned(g, 2), before = allocated();
    PetscCall(HcStencilCreate(g, &A));
    PetscCall(HcStencilSolverCreate(g, "test_", &s));
    fill(&p, A);
    PetscCall(HcStencilSolve(s, A, b, x, 1e-10, &its));
    double used = allocated() - before, stated = HcStencilSolverBytes(g);
    for (PetscInt i = 0; i < HcGridLocalCells(g); ++i) x[i] = 0;
    double steady = allocated();
    PetscCall(HcStencilSolve(s, A, b, x, 1e-10, &its));
    tap_ok(fabs(used - stated) <= 0.1 * used, "%dD: stated memory %.4g MB, used %.4g MB", dim, stated / 1e6, used / 1e6);
    /* MPI may keep message descriptors */
    tap_ok(allocated() - steady <= 65536, "%dD: a solve allocates nothing (%g bytes)", dim, allocated() - steady);
    free(b), free(x);
    PetscCall(HcStencilSolverDestroy(&s));
    PetscCall(HcStencilDestroy(&A));
    PetscCall(HcGridDestroy(&g));
  }
  PetscFunctionReturn(0);
}

/* Everything within 12 x 12 cells drifts together within a step: the solution is a hundred times the right-hand side, and
 * the residual cannot be expected to fall below the rounding of its terms. */
static PetscErrorCode mass_runs_together(void) {
  const PetscInt N = 48;
  HcGridSpec spec = {
    .dim = 2, .cells = {N, N}, .upper = {1, 1}, .boundary = {HC_REFLECTING, HC_REFLECTING, HC_REFLECTING, HC_REFLECTING}};
  HcGrid g;
  HcStencil A, T;
  HcStencilSolver s;
  PetscInt iterations;
  double sum = 0, total = 0;

  PetscFunctionBeginUser;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, &g));
  PetscCall(HcStencilCreate(g, &A));
  PetscCall(HcStencilCreate(g, &T));
  for (PetscInt j = 0; j < g->n[1]; ++j)
    for (PetscInt i = 0; i < g->n[0]; ++i) {
      const PetscInt c[2] = {g->start[0] + i, g->start[1] + j};
      double rate[4], diagonal = 1;
      for (int f = 0; f < 4; ++f) {
        const PetscInt to = c[f / 2] + (f % 2 ? 1 : -1);
        const double away = 5.3 - (double)(c[f / 2] % 12);
        rate[f] = to < 0 || to >= N ? 0 : 20 + 100 * PetscMax(0, f % 2 ? away : -away); /* diffusion and drift */
        diagonal += rate[f];
        A->a->c[1 + f][i + j * A->a->stride[1]] = -rate[f];
      }
      A->a->c[0][i + j * A->a->stride[1]] = diagonal;
    }
  PetscCall(HcStencilTranspose(A, T));
  PetscCall(HcStencilSolverCreate(g, "fp_", &s));
  const size_t n = (size_t)HcGridLocalCells(g);
  double *b = malloc(n * sizeof *b), *x = calloc(n, sizeof *x);
  for (size_t c = 0; c < n; ++c) b[c] = 1;
  const PetscErrorCode err = HcStencilSolve(s, T, b, x, 1e-18, &iterations);
  tap_ok(!err, "a tolerance below rounding is met to rounding%s%s", err ? ": " : "", err ? HcErrorMessage() : "");
  for (size_t c = 0; c < n; ++c) sum += x[c];
  PetscCallMPI(MPI_Allreduce(&sum, &total, 1, MPI_DOUBLE, MPI_SUM, PETSC_COMM_WORLD));
  /* columns sum to 1, so the sum of x is that of b; the residual of a row is at most 7/2 eps 2 |x|_max times its a_0 */
  const double x_max = (double)(N * N), a_max = 1 + 4 * 20 + 2 * 100 * 12.0;
  tap_ok(fabs(total - x_max) <= (double)(N * N) * 7 * DBL_EPSILON * x_max * a_max, "with its mass: %g of %g", total, x_max);
  free(b);
  free(x);
  PetscCall(HcStencilSolverDestroy(&s));
  PetscCall(HcStencilDestroy(&T));
  PetscCall(HcStencilDestroy(&A));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  PetscCallAbort(PETSC_COMM_WORLD, all_against_dense());
  PetscCallAbort(PETSC_COMM_WORLD, transposition());
  PetscCallAbort(PETSC_COMM_WORLD, iteration_counts());
  PetscCallAbort(PETSC_COMM_WORLD, other_methods());
  PetscCallAbort(PETSC_COMM_WORLD, not_a_number());
  PetscCallAbort(PETSC_COMM_WORLD, mass_runs_together());
#if !defined(__SANITIZE_ADDRESS__) /* its allocator does not count */
  PetscCallAbort(PETSC_COMM_WORLD, memory());
#endif
  return tap_done();
}
