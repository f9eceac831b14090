/*
 * Grid: a box of equal cells, cut into one block a rank; fields of cell-centred values with ghost layers; ghost exchange.
 *
 * Index order everywhere: x fastest, then y, then z. Directions are 0,1,2; faces 0..5 are x-,x+,y-,y+,z-,z+. Unused
 * directions (dim < 3) have one cell, no ghosts and one rank. Cell i of direction d has its centre at
 * lower[d] + (i + 0.5) h[d].
 */
#pragma once
#include "options.h"
#include <petscvec.h>

#define HC_MAX_WIDTH 4

typedef enum {
  HC_PERIODIC,
  HC_REFLECTING,
  HC_EXIT,
  HC_OUTFLOW,
  HC_GIVEN,
  HC_SYMMETRY,
} HcBoundary;

/** Read-only for everyone but src/grid/. */
typedef struct HcGrid_ {
  MPI_Comm comm;
  int rank, size;
  PetscInt dim;
  PetscInt cells[3]; /* N, whole grid */
  PetscReal lower[3], upper[3], h[3];
  HcBoundary boundary[6];
  PetscInt ranks[3];         /* blocks in each direction */
  PetscInt block[3];         /* which block is mine */
  PetscInt start[3], n[3];   /* first owned cell, number of owned cells */
  PetscInt *split[3];        /* split[d][b] = first cell of block b; split[d][ranks[d]] = N */
  int neighbour[27];         /* rank at offset (dx,dy,dz) in -1..1, index (dx+1)+3(dy+1)+9(dz+1), periodic faces
                                wrapped; MPI_PROC_NULL beyond other faces; my own rank where the wrap is onto me */
  double volume;             /* of a cell */
  long long messages, bytes; /* sent by this rank so far (for the scaling report) */
} * HcGrid;

/** How to make a grid. */
typedef struct {
  PetscInt dim, cells[3];
  PetscReal lower[3], upper[3];
  HcBoundary boundary[6]; /* a periodic face needs its opposite periodic */
  PetscInt min_block;     /* fewest cells a block may have in a used direction (>= the widest ghost layer);
                             0 means 1 */
} HcGridSpec;

/** Read the `grid` section: grid_dim, grid_cells, grid_lower, grid_upper, grid_boundary (one word or one a face).
 * @param allowed bit mask of HcBoundary values that the model can do, e.g. 1<<HC_PERIODIC | 1<<HC_OUTFLOW
 * Errors (HC_EXIT_INPUT) name the key. */
PetscErrorCode HcGridSpecFromOptions(HcOptions opts, unsigned allowed, HcGridSpec *spec);

/** Cut the box into blocks, choosing the cut with the smallest exchanged surface. Collective.
 * Fails with HC_EXIT_INPUT when there are more ranks than blocks of min_block cells. Allocates O(ranks along an axis). */
PetscErrorCode HcGridCreate(MPI_Comm comm, const HcGridSpec *spec, HcGrid *grid);
/** Free; *grid = NULL. Fields must be destroyed before. */
PetscErrorCode HcGridDestroy(HcGrid *grid);

/** Number of owned cells, of all cells. */
static inline PetscInt HcGridLocalCells(HcGrid g) { return g->n[0] * g->n[1] * g->n[2]; }
static inline double HcGridTotalCells(HcGrid g) { return (double)g->cells[0] * (double)g->cells[1] * (double)g->cells[2]; }

/** Centre of the cell with local index i (may be a ghost index) in direction d. The same bits on any number of ranks. */
static inline double HcGridCentre(HcGrid g, int d, PetscInt i) {
  return g->lower[d] + ((double)(g->start[d] + i) + 0.5) * g->h[d];
}

/** Is the block at this face's side at the edge of the domain (true also for periodic faces)? */
static inline PetscBool HcGridAtEdge(HcGrid g, int face) {
  int d = face / 2;
  return (face % 2 ? g->block[d] == g->ranks[d] - 1 : g->block[d] == 0) ? PETSC_TRUE : PETSC_FALSE;
}

/* ---- fields ---------------------------------------------------------------------------------------------------- */

#define HC_MAX_COMPONENTS 64

/** Values in ghosted structure-of-arrays storage: component c of cell (i,j,k), local indices, ghosts at -width..-1 and
 * n..n+width-1 in used directions, is f->c[c][i + j*f->stride[1] + k*f->stride[2]]. f->c[c] + row start is 64-byte
 * aligned at i = 0; rows are padded so that reading a whole vector of 8 from any i <= n-1 stays inside the allocation. */
typedef struct HcField_ {
  HcGrid grid;
  int components;
  PetscInt width;
  PetscInt stride[3];      /* stride[0] = 1 */
  size_t component_stride; /* doubles from one component to the next */
  double *c[HC_MAX_COMPONENTS];
  struct HcExchange_ *exchange; /* private: buffers and requests */
  void *allocation;             /* private */
} * HcField;

/** Allocate, zeroed (ghosts and padding too). Not collective; width 0..HC_MAX_WIDTH. */
PetscErrorCode HcFieldCreate(HcGrid grid, int components, PetscInt width, HcField *field);
/** Free everything and set the handle to NULL; NULL is allowed. */
PetscErrorCode HcFieldDestroy(HcField *field);
/** Bytes that HcFieldCreate would allocate on this rank, exchange buffers included. */
double HcFieldBytes(HcGrid grid, int components, PetscInt width);

typedef enum { HC_STAR, HC_BOX } HcShape; /* ghosts behind faces only; also behind edges and corners */

/** Fill ghost cells from neighbouring blocks (periodic images included) for components c0 .. c0+nc-1, `width` layers.
 * Ghosts beyond non-periodic domain faces are left alone. All components travel in one message a neighbour.
 * Begin posts, End completes; interior cells may be read (not written) in between. */
PetscErrorCode HcFieldExchangeBegin(HcField f, int c0, int nc, PetscInt width, HcShape shape);
/** Complete what HcFieldExchangeBegin started; ghosts are valid after it. Collective. */
PetscErrorCode HcFieldExchangeEnd(HcField f);
/** Begin and End, timed as HC_TIMER_EXCHANGE, all components, full width. */
PetscErrorCode HcFieldExchange(HcField f, HcShape shape);

/** The reverse: add ghost values of components c0 .. c0+nc-1 into the owning cells (ghosts beyond non-periodic domain
 * faces are dropped), then zero them. Order of additions is fixed by global position; exact for integers below 2^53. */
PetscErrorCode HcFieldExchangeAdd(HcField f, int c0, int nc, PetscInt width, HcShape shape);

/** How ghosts beyond a domain face are filled. */
typedef enum {
  HC_FILL_NONE,     /* leave alone (periodic faces are filled by the exchange) */
  HC_FILL_EVEN,     /* mirror image in the face */
  HC_FILL_ODD,      /* mirror image, sign changed */
  HC_FILL_COPY,     /* nearest interior value */
  HC_FILL_LINEAR,   /* linear extrapolation */
  HC_FILL_CUBIC,    /* cubic extrapolation */
  HC_FILL_CONSTANT, /* a value */
} HcFill;

/** Fill the ghosts of component c, `width` layers, beyond the six domain faces by rules; face by face in the order x,y,z,
 * each over rows extended into the ghosts filled before, so that HC_BOX corners are consistent. Call after the exchange.
 * @param value for HC_FILL_CONSTANT, one a face; may be NULL otherwise */
PetscErrorCode HcFieldFillBoundary(HcField f, int c, PetscInt width, const HcFill rule[6], const double value[6]);

/** Copy owned cells to / from a contiguous array [n2][n1][n0] (a Vec's local array of a grid vector). */
void HcFieldToArray(HcField f, int c, double *array);
/** The reverse of HcFieldToArray; ghosts are not touched. */
void HcFieldFromArray(HcField f, int c, const double *array);
/** A Vec with the layout of one component's owned cells (global size N0*N1*N2, rank by rank). */
PetscErrorCode HcGridCreateVec(HcGrid grid, Vec *vec);

/* ---- reductions: the same bits on any number of ranks ------------------------------------------------------------ */

/** Sum of v[0..n-1] over all ranks with `count` values in total: every bit independent of how the values are spread.
 * Error below 2^-60 of count * max|v|. NaN or Inf anywhere gives NaN. Collective. */
PetscErrorCode HcSum(MPI_Comm comm, double count, PetscInt n, const double *v, double *sum);

typedef enum { HC_NORM_SUM, HC_NORM_L1, HC_NORM_L2, HC_NORM_MAX, HC_NORM_MIN, HC_NORM_LINF } HcNorm;
/** Reduce owned cells of a component. SUM, L1 (sum |v|), L2 (sqrt of the sum of squares) are plain sums over cells: multiply by
 * the cell volume for an integral. MAX, MIN, LINF give NaN if any value is NaN. */
PetscErrorCode HcFieldNorm(HcField f, int c, HcNorm norm, double *value);
/** The same of the difference a - b (same grid). */
PetscErrorCode HcFieldNormDifference(HcField a, int ca, HcField b, int cb, HcNorm norm, double *value);
/** The sum over owned cells of a*b. */
PetscErrorCode HcFieldDot(HcField a, int ca, HcField b, int cb, double *value);
