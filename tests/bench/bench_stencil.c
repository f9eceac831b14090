/* Solution of time-step systems (1/dt + diffusion + upwind drift) to 1e-10, ns per cell with everything: set-up,
 * iterations, checks; and its parts. */
#include "bench.h"
#include <halocline/error.h>
#include <halocline/stencil.h>
#include <string.h>

typedef struct {
  HcStencil A;
  HcStencilSolver solver;
  double *b, *x, *y;
  size_t cells;
  PetscInt iterations;
  PetscErrorCode code;
} Work;

/* dt = 1, couplings so that their sum over the row is about `number`, a quarter of it drift in a swirling field; `walls`
 * in lines with gaps. */
static PetscErrorCode fill(HcStencil A, double number, int walls) {
  const HcGrid g = A->grid;
  const double diffusion = 0.75 * number / (2 * (double)g->dim), drift = 0.5 * number / (double)g->dim;

  PetscFunctionBeginUser;
#define WALL(c) (walls && ((c)[0] % 32 == 7 || (c)[1] % 32 == 19) && ((c)[0] + (c)[1]) % 13 > 2)
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i) {
        const PetscInt c[3] = {i, j, k}, at = i + j * A->a->stride[1] + k * A->a->stride[2];
        const double x = HcGridCentre(g, 0, i), y = HcGridCentre(g, 1, j), z = HcGridCentre(g, 2, k);
        const double v[3] = {sin(6 * y + z), cos(5 * x), sin(4 * (x + y))};
        double sum = 1;
        for (int f = 0; f < 2 * g->dim; ++f) {
          PetscInt to[3] = {c[0], c[1], c[2]};
          to[f / 2] += f % 2 ? 1 : -1;
          double a = diffusion + drift * fmax(f % 2 ? -v[f / 2] : v[f / 2], 0);
          if (to[f / 2] < 0 || to[f / 2] >= g->cells[f / 2] || WALL(c) || WALL(to)) a = 0;
          A->a->c[1 + f][at] = -a;
          sum += a;
        }
        A->a->c[0][at] = sum;
      }
  PetscFunctionReturn(0);
}

static void solve(void *data) {
  Work *w = data;
  memset(w->x, 0, w->cells * sizeof(double));
  w->code = HcStencilSolve(w->solver, w->A, w->b, w->x, 1e-10, &w->iterations);
}

static void multiply(void *data) {
  Work *w = data;
  w->code = HcStencilMult(w->A, w->b, w->y);
}

static PetscErrorCode measure(PetscInt dim, PetscInt n, double number, int walls, int transposed) {
  HcGridSpec spec = {.dim = dim, .cells = {n, dim > 1 ? n : 1, dim > 2 ? n : 1}, .upper = {1, 1, 1}};
  HcGrid grid;
  HcStencil A;
  Work w = {0};
  char name[96];

  PetscFunctionBeginUser;
  for (int f = 0; f < 6; ++f) spec.boundary[f] = HC_REFLECTING;
  PetscCall(HcGridCreate(PETSC_COMM_WORLD, &spec, &grid));
  PetscCall(HcStencilCreate(grid, &A));
  PetscCall(HcStencilCreate(grid, &w.A));
  PetscCall(HcStencilSolverCreate(grid, "bench_", &w.solver));
  PetscCall(fill(A, number, walls));
  if (transposed) {
    PetscCall(HcStencilTranspose(A, w.A));
  } else {
    PetscCall(fill(w.A, number, walls));
  }
  w.cells = (size_t)HcGridLocalCells(grid);
  PetscCall(PetscMalloc3(w.cells, &w.b, w.cells, &w.x, w.cells, &w.y));
  for (size_t i = 0; i < w.cells; ++i) w.b[i] = sin(0.001 * (double)i) + 0.1 * cos((double)(i * i % 1009));
  double ns = 1e9 * bench_median(solve, &w, 0.6) / (double)w.cells;
  PetscCall(w.code);
  snprintf(name, sizeof name, "stencil_solve_%dd_%d_number_%g%s%s", (int)dim, (int)n, number, walls ? "_walls" : "",
    transposed ? "_transposed" : "");
  if (dim == 1)
    printf("BENCH %s %.3g ns/cell division chain from both ends; at most 20\n", name, ns);
  else
    printf("BENCH %s %.4g ns/cell %d iterations; at most 500 (PETSc with hypre 1700, PCMG 2200)\n", name, ns, (int)w.iterations);
  if (dim > 1 && !walls && !transposed && number == 10) {
    ns = 1e9 * bench_median(multiply, &w, 0.1) / (double)w.cells;
    PetscCall(w.code);
    printf("BENCH stencil_mult_%dd_%d %.3g ns/cell %.3g GB/s of coefficients and vectors\n", (int)dim, (int)n, ns,
      (double)(sizeof(double) * (size_t)(3 + 2 * dim)) / ns);
  }
  fflush(stdout);
  PetscCall(PetscFree3(w.b, w.x, w.y));
  PetscCall(HcStencilSolverDestroy(&w.solver));
  PetscCall(HcStencilDestroy(&A));
  PetscCall(HcStencilDestroy(&w.A));
  PetscCall(HcGridDestroy(&grid));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  PetscCall(PetscInitialize(&argc, &argv, NULL, NULL));
  PetscCall(HcErrorSetUp());
  for (PetscInt n = 100; n <= 100000; n *= 1000) PetscCall(measure(1, n, 10, 0, 0));
  for (double number = 1; number < 200; number *= 10) {
    PetscCall(measure(2, 256, number, 0, 0));
    PetscCall(measure(3, 64, number, 0, 0));
  }
  PetscCall(measure(2, 256, 10, 1, 0));
  PetscCall(measure(2, 256, 10, 1, 1));
  PetscCall(measure(3, 64, 10, 1, 1));
  PetscCall(measure(2, 256, 1e4, 0, 0));
  PetscCall(measure(3, 64, 1e4, 0, 0));
  PetscCall(PetscFinalize());
  return 0;
}
