/*
 * Levels of the aggregation multigrid and how their numbers lie in memory.
 *
 * A level solves (I - W) x = b, the rows of its operator divided by their diagonals, W >= 0 for an M-matrix. Cells are
 * coloured red and black by the parity of their global index sum, and everything that smoothing reads is stored colour
 * by colour: cell i of a row is entry q = i/2 of its colour's row, so red cell q has its y and z neighbours at black q of
 * the next rows, and its x neighbours at black q-1+o and q+o, where o is the parity of i for that colour in that row.
 * So half a sweep is a unit-stride loop that reads each coefficient once, in single precision, which is enough for a
 * preconditioner and halves the traffic.
 *
 * Rows of a colour are `stride` floats apart, a multiple of LANES; entries past the row are 0 in w, b and d, so loops run
 * over whole vectors. x has one ghost entry at either end of a row and ghost rows in y and z.
 */
#pragma once
#include "stencil_private.h"

enum { LANES = 16, MAX_LEVELS = 40 };
/* Rows of work in double precision: couplings (0..5), the neighbours', sums of row and column, inverse diagonal. */
enum { IN = 6, SUM = 12, COLUMNS, INVERSE, ROWS };

typedef struct {
  PetscInt n[3], total[3]; /* owned cells; of all ranks */
  int colours;             /* to correct: 1, or 2 where a periodic direction has an odd number of cells, so that colours clash */
  int parity;              /* of the global index sum of the block's first cell */
  int pairs[3];            /* is the direction halved on the way to the next level? */
  int halved[3];           /* how often it has been halved on the way here */
  PetscInt stride, blocks; /* floats from row to row; vectors to work on in a row */
  PetscInt plane;          /* x: rows from plane to plane */
  size_t rows;             /* n[1] n[2] */
  float *w[2][6], *b[2], *d[2], *x[2];
  /* the operator before scaling, [n2][n1][n0], levels > 0: couplings -a_f, those of the neighbours towards
   * the cell, sums of rows and columns, diagonal */
  double *off[6], *in[6], *sigma[2], *diagonal; /* sigma: sums of rows, of columns */
  HcFaceExchange faces;
  double ratio[2]; /* largest sum of couplings over the diagonal, by rows and by columns: bounds of Jacobi's radius */
} Level;

struct HcMultigrid_ {
  HcGrid grid;
  int dim, available, levels; /* levels that exist; that the present operator needs */
  int gamma, last_sweeps;     /* visits of the next level in a cycle; sweeps on the last one */
  Level level[MAX_LEVELS];
  HcField open;                                        /* 1 where a fine row has couplings; ghosts too */
  float *r[2], *shadow[2], *p[2], *v[2], *t[2], *e[2]; /* BiCGStab's vectors, stored like b of the finest level */
  float *line[2];                                      /* rows of work */
  double *row[ROWS];
  void *allocation;
};

static inline size_t hc_x_at(const Level *l, PetscInt j, PetscInt k) {
  return ((size_t)(j + 1) + (size_t)l->plane * (size_t)(k + (l->plane ? 1 : 0))) * (size_t)l->stride + LANES;
}
/* Parity of i of red's cells in a row: 0 where red cells have even i. */
static inline int hc_red(const Level *l, PetscInt j, PetscInt k) { return (int)((l->parity + j + k) & 1); }

/** Cells 2q of a natural row into even[], 2q+1 into odd[]. */
void HcRowSplit(PetscInt n, const float *restrict natural, float *restrict even, float *restrict odd);
void HcRowMerge(PetscInt n, const float *restrict even, const float *restrict odd, float *restrict natural);

/** Improve x of the finest level from 0 for the right-hand side b (stored like Level.b). Collective. */
PetscErrorCode HcMultigridCycle(HcMultigrid mg, float *const b[2]);
/** Fill x's ghosts. Collective. */
PetscErrorCode HcLevelExchange(Level *l);
/** to = (I - W) x in a row of a colour, 0 past its end. Needs x's ghosts. */
void HcLevelDefect(int dim, Level *l, int colour, PetscInt j, PetscInt k, float *to);
