/*
 * The levels of the multigrid: blocks, memory, coarse operators.
 *
 * Aggregates are pairs of a rank's own cells in each direction that is halved; the coarse operator is Galerkin's with
 * piecewise constant transfer, so it stays nearest-neighbour: a coarse coupling is the sum of the fine couplings through
 * that face of the aggregate, and the coarse row sum is the sum of the row sums. That is exact for the time derivative
 * and for drift; diffusion comes out twice too stiff each time a direction is halved, because the face grows with the
 * aggregate but the distance across it does not (Braess, Computing 55 (1995) 379). The diffusive part is what the
 * couplings through a face have in common, so those in both directions are carried along, and a level uses
 *   |a_ij| = |A_ij| - (1 - 2^-halvings) min(|A_ij|, |A_ji|),   A being the plain sums.
 * Upwinding's own diffusion is left as it comes: softening it down to what an M-matrix needs gains 20 % of the iterations
 * for weak drift but costs two to four times as many where |drift| dt/h exceeds 100.
 *
 * Cells without couplings (walls, prescribed values) belong to no aggregate: relaxation solves them exactly.
 */
#include "multigrid_private.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A level is the last where the couplings are at most this share of the diagonal: there a symmetric sweep reduces
 * errors as well as a cycle would. */
#define LAST_RATIO 0.55

static PetscInt round_up(PetscInt n, PetscInt to) { return (n + to - 1) / to * to; }

/* ---- blocks and memory ------------------------------------------------------------------------------------------- */

/* Largest and summed number of cells of the blocks along an axis, and my first cell, after the level's halvings. */
static void along_axis(HcGrid g, int d, int halved, PetscInt *largest, PetscInt *total, PetscInt *first) {
  *largest = *total = 0;
  for (PetscInt b = 0; b < g->ranks[d]; ++b) {
    PetscInt n = g->split[d][b + 1] - g->split[d][b];
    for (int h = 0; h < halved; ++h) n = (n + 1) / 2;
    if (b == g->block[d]) *first = *total;
    *largest = PetscMax(*largest, n);
    *total += n;
  }
}

/* Directions are halved where the cells are within a factor of two of the shortest: point relaxation smooths only along
 * strong couplings. */
static void describe(HcGrid g, const int halved[3], Level *l) {
  PetscInt largest[3], first[3], sum = 0;
  double shortest = INFINITY;
  memset(l, 0, sizeof *l);
  for (int d = 0; d < 3; ++d) {
    l->halved[d] = halved[d];
    along_axis(g, d, halved[d], &largest[d], &l->total[d], &first[d]);
    l->n[d] = g->n[d];
    for (int h = 0; h < halved[d]; ++h) l->n[d] = (l->n[d] + 1) / 2;
    sum += first[d];
    if (largest[d] > 1) shortest = PetscMin(shortest, ldexp(g->h[d], halved[d]));
  }
  for (int d = 0; d < 3; ++d) l->pairs[d] = largest[d] > 1 && ldexp(g->h[d], halved[d]) < 1.99 * shortest;
  l->parity = (int)(sum & 1);
  l->colours = 1;
  for (int d = 0; d < g->dim; ++d)
    if (g->boundary[2 * d] == HC_PERIODIC && l->total[d] % 2 && l->total[d] > 1) l->colours = 2;
  l->rows = (size_t)(l->n[1] * l->n[2]);
  l->blocks = round_up((l->n[0] + 1) / 2, LANES) / LANES;
  l->stride = round_up((l->n[0] + 1) / 2 + 2, LANES);
  l->plane = g->dim > 2 ? l->n[1] + 2 : 0;
}

static int describe_all(HcGrid g, Level level[MAX_LEVELS]) {
  int halved[3] = {0, 0, 0}, count = 0;
  do {
    describe(g, halved, &level[count]);
    for (int d = 0; d < 3; ++d) halved[d] += level[count].pairs[d];
    ++count;
  } while (count < MAX_LEVELS && (level[count - 1].pairs[0] || level[count - 1].pairs[1] || level[count - 1].pairs[2]));
  for (int d = 0; d < 3; ++d) level[count - 1].pairs[d] = 0;
  return count;
}

static size_t x_floats(int dim, const Level *l) {
  return (size_t)(l->n[1] + 2) * (size_t)(dim > 2 ? l->n[2] + 2 : 1) * (size_t)l->stride + 2 * LANES;
}

/* Hand out (or, with memory NULL, count) a level's arrays. */
static size_t carve_level(Level *l, int dim, PetscBool coarse, PetscBool last, char *memory) {
  size_t used = 0;
  const size_t row_floats = l->rows * (size_t)l->stride;
  const size_t cells = (size_t)l->n[0] * l->rows;
#define CARVE(p, count)                                                                                                          \
  do {                                                                                                                           \
    if (memory) (p) = (void *)(memory + used);                                                                                   \
    used += ((count) * sizeof *(p) + 63) / 64 * 64;                                                                              \
  } while (0)
  for (int c = 0; c < 2; ++c) {
    for (int f = 0; f < 2 * dim; ++f) CARVE(l->w[c][f], row_floats);
    CARVE(l->b[c], row_floats);
    if (!last) CARVE(l->d[c], row_floats);
    CARVE(l->x[c], x_floats(dim, l));
  }
  if (coarse) {
    for (int f = 0; f < 2 * dim; ++f) {
      CARVE(l->off[f], cells);
      CARVE(l->in[f], cells);
    }
    for (int s = 0; s < 2; ++s) CARVE(l->sigma[s], cells);
    CARVE(l->diagonal, cells);
  }
#undef CARVE
  return used;
}

static size_t carve(HcGrid g, HcMultigrid mg, char *memory) {
  const size_t n = (size_t)round_up(g->n[0], 2 * LANES) + 2 * LANES, vector = mg->level[0].rows * (size_t)mg->level[0].stride;
  float **vectors[] = {mg->r, mg->shadow, mg->p, mg->v, mg->t, mg->e};
  size_t used = 0;
  for (int i = 0; i < mg->available; ++i)
    used += carve_level(&mg->level[i], (int)g->dim, i > 0 ? PETSC_TRUE : PETSC_FALSE,
      i == mg->available - 1 ? PETSC_TRUE : PETSC_FALSE, memory ? memory + used : NULL);
  for (size_t i = 0; i < 2 * sizeof vectors / sizeof *vectors; ++i, used += vector * sizeof(float))
    if (memory) vectors[i / 2][i % 2] = (float *)(memory + used);
  for (int i = 0; i < 2; ++i, used += n * sizeof(float))
    if (memory) mg->line[i] = (float *)(memory + used);
  for (int i = 0; i < ROWS; ++i, used += n * sizeof(double))
    if (memory) mg->row[i] = (double *)(memory + used);
  return used;
}

static void faces_cells(const Level *l, PetscInt n[3]) {
  n[0] = 2 * ((l->n[0] + 1) / 2); /* rows travel as two halves of equal length */
  n[1] = l->n[1];
  n[2] = l->n[2];
}

double HcMultigridBytes(HcGrid g) {
  HcMultigrid mg = calloc(1, sizeof *mg);
  double bytes = sizeof *mg;
  if (!mg) return INFINITY;
  mg->available = describe_all(g, mg->level);
  bytes += (double)carve(g, mg, NULL) + HcFieldBytes(g, 1, 1);
  for (int i = 0; i < mg->available; ++i) {
    PetscInt n[3];
    faces_cells(&mg->level[i], n);
    bytes += HcFaceExchangeBytes(g, n, sizeof(float));
  }
  free(mg);
  return bytes;
}

PetscErrorCode HcMultigridCreate(HcGrid grid, HcMultigrid *out) {
  HcMultigrid mg;

  PetscFunctionBeginUser;
  PetscCall(PetscNew(&mg));
  mg->grid = grid;
  mg->dim = (int)grid->dim;
  mg->gamma = 1;
  mg->available = describe_all(grid, mg->level);
  size_t bytes = carve(grid, mg, NULL);
  mg->allocation = aligned_alloc(64, (bytes + 63) / 64 * 64);
  HcRequire(mg->allocation, HC_EXIT_FAILED, "out of memory: %g bytes for the multigrid", (double)bytes);
  memset(mg->allocation, 0, bytes);
  carve(grid, mg, mg->allocation);
  for (int i = 0; i < mg->available; ++i) {
    PetscInt n[3];
    faces_cells(&mg->level[i], n);
    PetscCall(HcFaceExchangeCreate(grid, n, MPI_FLOAT, &mg->level[i].faces));
  }
  PetscCall(HcFieldCreate(grid, 1, 1, &mg->open));
  *out = mg;
  PetscFunctionReturn(0);
}

PetscErrorCode HcMultigridDestroy(HcMultigrid *mg) {
  PetscFunctionBeginUser;
  if (!*mg) PetscFunctionReturn(0);
  for (int i = 0; i < (*mg)->available; ++i) PetscCall(HcFaceExchangeDestroy(&(*mg)->level[i].faces));
  PetscCall(HcFieldDestroy(&(*mg)->open));
  free((*mg)->allocation);
  PetscCall(PetscFree(*mg));
  PetscFunctionReturn(0);
}

int HcMultigridLevels(HcMultigrid mg) { return mg->levels; }

/* ---- operators --------------------------------------------------------------------------------------------------- */

static double largest_of(PetscInt n, const double *restrict v) {
  double max[8] = {0};
  PetscInt i = 0;
  for (; i + 8 <= n; i += 8)
    for (int l = 0; l < 8; ++l) max[l] = v[i + l] > max[l] ? v[i + l] : max[l];
  for (; i < n; ++i) max[0] = v[i] > max[0] ? v[i] : max[0];
  for (int l = 1; l < 8; ++l) max[0] = PetscMax(max[0], max[l]);
  return max[0];
}

/* Couplings of a row, `sign` times off[f], over the diagonal, into the colours' storage. Their sums go to sum. */
static void scale_row(HcMultigrid mg, Level *l, PetscInt j, PetscInt k, double sign, const double *const off[6],
  const double *restrict diagonal, double *restrict sum) {
  const PetscInt n = l->n[0];
  const size_t at = (size_t)(j + l->n[1] * k) * (size_t)l->stride;
  const int red = hc_red(l, j, k);
  double *restrict inverse = mg->row[INVERSE];
  float *restrict line = mg->line[0];
  for (PetscInt i = 0; i < n; ++i) {
    inverse[i] = sign / diagonal[i];
    sum[i] = 0;
  }
  for (int f = 0; f < 2 * mg->dim; ++f) {
    const double *restrict a = off[f];
    for (PetscInt i = 0; i < n; ++i) {
      double w = a[i] * inverse[i];
      sum[i] += w;
      line[i] = (float)w;
    }
    HcRowSplit(n, line, l->w[red ? 1 : 0][f] + at, l->w[red ? 0 : 1][f] + at);
  }
}

static void scale_finest(HcMultigrid mg, HcStencil A) {
  Level *l = &mg->level[0];
  const HcField a = A->a;
  double *sum = mg->row[SUM];
  l->ratio[0] = 0;
  for (PetscInt k = 0; k < l->n[2]; ++k)
    for (PetscInt j = 0; j < l->n[1]; ++j) {
      const PetscInt at = j * a->stride[1] + k * a->stride[2];
      const double *off[6];
      for (int f = 0; f < 2 * mg->dim; ++f) off[f] = a->c[1 + f] + at;
      scale_row(mg, l, j, k, -1.0, off, a->c[0] + at, sum);
      l->ratio[0] = PetscMax(l->ratio[0], largest_of(l->n[0], sum));
    }
}

/* The largest sum of a column's couplings over its diagonal. Needs the ghosts of A's coefficients. */
static void column_ratio(HcMultigrid mg, HcStencil A) {
  const HcField a = A->a;
  Level *l = &mg->level[0];
  double *restrict sum = mg->row[SUM];
  l->ratio[1] = 0;
  for (PetscInt k = 0; k < l->n[2]; ++k)
    for (PetscInt j = 0; j < l->n[1]; ++j) {
      const PetscInt at = j * a->stride[1] + k * a->stride[2], n = l->n[0];
      const double *restrict a0 = a->c[0] + at;
      memset(sum, 0, (size_t)n * sizeof(double));
      for (int f = 0; f < 2 * mg->dim; ++f) {
        const double *restrict in = a->c[1 + (f ^ 1)] + at + (f % 2 ? a->stride[f / 2] : -a->stride[f / 2]);
        for (PetscInt i = 0; i < n; ++i) sum[i] -= in[i];
      }
      for (PetscInt i = 0; i < n; ++i) sum[i] /= a0[i];
      l->ratio[1] = PetscMax(l->ratio[1], largest_of(n, sum));
    }
}

/* 1 in the ghosted field `open` where a row of A has couplings. Rows of ghosts are known from A's ghosts; beyond the edge of the
 * domain there is nothing to couple to. */
static void find_open(HcMultigrid mg, HcStencil A) {
  const HcField a = A->a, open = mg->open;
  const PetscInt *n = mg->grid->n, gz = mg->dim > 2 ? 1 : 0;
  for (PetscInt k = -gz; k < n[2] + gz; ++k)
    for (PetscInt j = -1; j < n[1] + 1; ++j) {
      const PetscInt at = j * a->stride[1] + k * a->stride[2];
      double *restrict to = open->c[0] + j * open->stride[1] + k * open->stride[2], *restrict sum = mg->row[SUM] + 1;
      for (PetscInt i = -1; i < n[0] + 1; ++i) sum[i] = 0;
      for (int f = 0; f < 2 * mg->dim; ++f) {
        const double *restrict c = a->c[1 + f] + at;
        for (PetscInt i = -1; i < n[0] + 1; ++i) sum[i] -= c[i];
      }
      for (PetscInt i = -1; i < n[0] + 1; ++i) to[i] = sum[i] != 0 ? 1 : 0;
    }
}

/* 1 for cells of a row that belong to an aggregate: a cell that nobody depends on is as closed as one that depends on
 * nobody. */
static void used_cells(HcMultigrid mg, HcStencil A, PetscInt j, PetscInt k, double *restrict used) {
  const HcField a = A->a, open = mg->open;
  const PetscInt n = mg->grid->n[0], at = j * a->stride[1] + k * a->stride[2];
  const double *restrict me = open->c[0] + j * open->stride[1] + k * open->stride[2];
  for (PetscInt i = 0; i < n; ++i) used[i] = 0;
  for (int f = 0; f < 2 * mg->dim; ++f) {
    const double *restrict from = a->c[1 + (f ^ 1)] + at + (f % 2 ? a->stride[f / 2] : -a->stride[f / 2]);
    for (PetscInt i = 0; i < n; ++i) used[i] -= from[i];
  }
  for (PetscInt i = 0; i < n; ++i) used[i] = used[i] != 0 ? me[i] : 0;
}

/* What a row of A gives to its aggregates: couplings, those of the neighbours towards it, sums of row and
 * column. */
static void fine_row(
  HcMultigrid mg, HcStencil A, PetscInt j, PetscInt k, double *const off[6], double *const into[6], double *const sigma[2]) {
  const HcField a = A->a, open = mg->open;
  const PetscInt n = mg->grid->n[0], at = j * a->stride[1] + k * a->stride[2];
  const double *restrict a0 = a->c[0] + at;
  double *restrict rows = sigma[0], *restrict columns = sigma[1], *restrict used = mg->row[INVERSE];
  used_cells(mg, A, j, k, used);
  for (PetscInt i = 0; i < n; ++i) rows[i] = columns[i] = used[i] * a0[i];
  for (int f = 0; f < 2 * mg->dim; ++f) {
    const int d = f / 2, side = f % 2 ? 1 : -1;
    const double *restrict to = a->c[1 + f] + at, *restrict from = a->c[1 + (f ^ 1)] + at + side * a->stride[d];
    const double *restrict there = open->c[0] + j * open->stride[1] + k * open->stride[2] + side * open->stride[d];
    double *restrict o = off[f], *restrict s = into[f];
    for (PetscInt i = 0; i < n; ++i) {
      const double both = used[i] * there[i], out = -both * to[i], in = -both * from[i];
      rows[i] -= out;
      columns[i] -= in;
      o[i] = out;
      s[i] = in;
    }
  }
}

/* Add a fine row's values to its aggregates' row: of both cells of a pair (face of another direction), or of the cell at
 * the face only (faces x-, x+). */
static void add_pairs(PetscInt n, PetscBool pairs, int face, const double *restrict from, double *restrict to) {
  const PetscInt half = n / 2;
  if (!pairs) {
    for (PetscInt i = 0; i < n; ++i) to[i] += from[i];
    return;
  }
  if (face == 0)
    for (PetscInt q = 0; q < half; ++q) to[q] += from[2 * q];
  else if (face == 1)
    for (PetscInt q = 0; q < half; ++q) to[q] += from[2 * q + 1];
  else
    for (PetscInt q = 0; q < half; ++q) to[q] += from[2 * q] + from[2 * q + 1];
  if (n % 2) to[half] += from[n - 1];
}

static void coarsen(HcMultigrid mg, HcStencil A, int depth) {
  Level *l = &mg->level[depth], *c = &mg->level[depth + 1];
  const size_t cells = (size_t)c->n[0] * c->rows;
  for (int f = 0; f < 2 * mg->dim; ++f) {
    memset(c->off[f], 0, cells * sizeof(double));
    memset(c->in[f], 0, cells * sizeof(double));
  }
  for (int s = 0; s < 2; ++s) memset(c->sigma[s], 0, cells * sizeof(double));
  for (PetscInt k = 0; k < l->n[2]; ++k)
    for (PetscInt j = 0; j < l->n[1]; ++j) {
      const PetscInt J = l->pairs[1] ? j / 2 : j, K = l->pairs[2] ? k / 2 : k;
      const size_t to = (size_t)(J + c->n[1] * K) * (size_t)c->n[0], from = (size_t)(j + l->n[1] * k) * (size_t)l->n[0];
      double *off[6], *in[6], *sigma[2];
      if (depth == 0) {
        for (int f = 0; f < 6; ++f) {
          off[f] = mg->row[f];
          in[f] = mg->row[IN + f];
        }
        sigma[0] = mg->row[SUM];
        sigma[1] = mg->row[COLUMNS];
        fine_row(mg, A, j, k, off, in, sigma);
      } else {
        for (int f = 0; f < 2 * mg->dim; ++f) {
          off[f] = l->off[f] + from;
          in[f] = l->in[f] + from;
        }
        for (int s = 0; s < 2; ++s) sigma[s] = l->sigma[s] + from;
      }
      const PetscBool pairs = l->pairs[0] ? PETSC_TRUE : PETSC_FALSE;
      const PetscInt index[3] = {0, j, k};
      for (int f = 0; f < 2 * mg->dim; ++f) {
        const int d = f / 2;
        /* inner faces of an aggregate of two rows couple nothing */
        if (d > 0 && l->pairs[d] && (f % 2 ? index[d] % 2 == 0 && index[d] + 1 < l->n[d] : index[d] % 2 == 1)) continue;
        if (c->total[d] == 1) continue; /* periodic onto itself */
        add_pairs(l->n[0], pairs, f, off[f], c->off[f] + to);
        add_pairs(l->n[0], pairs, f, in[f], c->in[f] + to);
      }
      for (int s = 0; s < 2; ++s) add_pairs(l->n[0], pairs, 2, sigma[s], c->sigma[s] + to);
    }
}

/* Soften the coarse level's diffusion, scale its rows and note its ratios. */
static void finish_level(HcMultigrid mg, int depth) {
  Level *l = &mg->level[depth];
  const PetscInt n = l->n[0];
  double *sum = mg->row[SUM];
  l->ratio[0] = l->ratio[1] = 0;
  for (PetscInt k = 0; k < l->n[2]; ++k)
    for (PetscInt j = 0; j < l->n[1]; ++j) {
      const size_t at = (size_t)(j + l->n[1] * k) * (size_t)n;
      double *restrict diagonal = l->diagonal + at;
      const double *restrict sigma = l->sigma[0] + at, *restrict sigma_columns = l->sigma[1] + at;
      const double *soft[6];
      memcpy(diagonal, sigma, (size_t)n * sizeof(double));
      for (int f = 0; f < 2 * mg->dim; ++f) {
        const double stiff = 1 - ldexp(1.0, -l->halved[f / 2]);
        const double *restrict out = l->off[f] + at, *restrict in = l->in[f] + at;
        double *restrict s = mg->row[f];
        for (PetscInt i = 0; i < n; ++i) {
          s[i] = out[i] - stiff * (out[i] < in[i] ? out[i] : in[i]);
          diagonal[i] += s[i];
        }
        soft[f] = s;
      }
      for (PetscInt i = 0; i < n; ++i) diagonal[i] = diagonal[i] != 0 ? diagonal[i] : 1;
      scale_row(mg, l, j, k, 1.0, soft, diagonal, sum);
      l->ratio[0] = PetscMax(l->ratio[0], largest_of(n, sum));
      for (PetscInt i = 0; i < n; ++i) sum[i] = sigma_columns[i] != 0 ? 1 - sigma_columns[i] / diagonal[i] : 0;
      l->ratio[1] = PetscMax(l->ratio[1], largest_of(n, sum));
    }
}

/* The weight of a fine row in its aggregate's equation, both divided by their diagonals; 0 for closed cells. */
static void set_weights(HcMultigrid mg, HcStencil A, int depth) {
  Level *l = &mg->level[depth], *c = &mg->level[depth + 1];
  float *restrict line = mg->line[0];
  double *coarse = mg->row[SUM];
  const PetscInt n = l->n[0];
  for (PetscInt k = 0; k < l->n[2]; ++k)
    for (PetscInt j = 0; j < l->n[1]; ++j) {
      const PetscInt J = l->pairs[1] ? j / 2 : j, K = l->pairs[2] ? k / 2 : k;
      const size_t at = (size_t)(j + l->n[1] * k) * (size_t)l->stride, from = (size_t)(j + l->n[1] * k) * (size_t)n;
      const double *restrict diagonal = depth ? l->diagonal + from : A->a->c[0] + j * A->a->stride[1] + k * A->a->stride[2];
      const double *restrict D = c->diagonal + (size_t)(J + c->n[1] * K) * (size_t)c->n[0];
      const int red = hc_red(l, j, k);
      for (PetscInt i = 0; i < n; ++i) coarse[i] = D[l->pairs[0] ? i / 2 : i];
      for (PetscInt i = 0; i < n; ++i) line[i] = (float)(diagonal[i] / coarse[i]);
      if (depth == 0) {
        double *restrict used = mg->row[0];
        used_cells(mg, A, j, k, used);
        for (PetscInt i = 0; i < n; ++i) line[i] = used[i] != 0 ? line[i] : 0;
      }
      HcRowSplit(n, line, l->d[red ? 1 : 0] + at, l->d[red ? 0 : 1] + at);
    }
}

/* Enough levels of A to relax on the last one? */
static PetscBool is_last(const Level *l) { return !(PetscMin(l->ratio[0], l->ratio[1]) > LAST_RATIO) ? PETSC_TRUE : PETSC_FALSE; }

PetscErrorCode HcMultigridSetUp(HcMultigrid mg, HcStencil A) {
  const MPI_Comm comm = mg->grid->comm;
  Level *finest = &mg->level[0];

  PetscFunctionBeginUser;
  mg->levels = 1;
  mg->last_sweeps = 1;
  scale_finest(mg, A);
  finest->ratio[1] = INFINITY;
  if (mg->grid->size > 1) PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &finest->ratio[0], 1, MPI_DOUBLE, MPI_MAX, comm));
  if (is_last(finest)) PetscFunctionReturn(0);
  PetscCall(HcFieldExchange(A->a, HC_STAR));
  column_ratio(mg, A);
  if (mg->grid->size > 1) PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &finest->ratio[1], 1, MPI_DOUBLE, MPI_MAX, comm));
  if (is_last(finest)) PetscFunctionReturn(0);
  for (int i = 0; i < mg->available; ++i)
    for (int c = 0; c < 2; ++c) memset(mg->level[i].x[c], 0, x_floats(mg->dim, &mg->level[i]) * sizeof(float));
  find_open(mg, A);
  double ratios[2 * MAX_LEVELS];
  for (int i = 1; i < mg->available; ++i) {
    coarsen(mg, A, i - 1);
    finish_level(mg, i);
    for (int s = 0; s < 2; ++s) ratios[2 * i + s] = mg->level[i].ratio[s];
  }
  if (mg->grid->size > 1)
    PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, ratios + 2, 2 * (mg->available - 1), MPI_DOUBLE, MPI_MAX, comm));
  for (int i = 1; i < mg->available; ++i) {
    for (int s = 0; s < 2; ++s) mg->level[i].ratio[s] = ratios[2 * i + s];
    mg->levels = i + 1;
    set_weights(mg, A, i - 1);
    if (is_last(&mg->level[i])) break;
  }
  /* the last level may be stiff when every rank is down to one cell: sweep until news has crossed all ranks and back */
  const Level *last = &mg->level[mg->levels - 1];
  if (!is_last(last)) mg->last_sweeps = (int)(2 * PetscMax(last->total[0], PetscMax(last->total[1], last->total[2])));
  PetscFunctionReturn(0);
}
