/*
 * The weno scheme of the mean field game: state shared by its files.
 *
 *   weno.c        options, workspace, time interpolation, ghosts, policy cost
 *   weno_walls.c  which cells and faces are near walls and exits and take first-order formulas
 *   weno_hjb.c    the value function, backward in time
 *   weno_drift.c  the optimal drift of a value function, its speeds
 *   weno_fp.c     the density, forward in time
 *   weno_limit.c  the positivity limiter of its fluxes
 *
 * All fields have three ghost layers and so the same strides: `o` below is an offset into any of them. A face carries
 * the index of the cell above it: face i of direction d lies between cells i-1 and i.
 */
#pragma once
#include "mfg.h"

#define MFG_WENO_WIDTH 3
/* Substeps aim at `cfl` of the stability and positivity limit, because speeds change within an interval; an interval that met
 * more than this share of the limit is done again with more substeps. */
#define MFG_WENO_LIMIT 0.98

/** A cell with a first-order direction. */
typedef struct {
  PetscInt i;       /* in its row */
  int low;          /* bit d: direction d is first order */
  PetscInt face[6]; /* x-,x+,...: number among all directions' first-order faces; -1 a face of high order, -2 closed */
} MfgWenoCell;

/** Faces of one direction that take first-order fluxes. */
typedef struct {
  PetscInt n, nclosed;
  ptrdiff_t *o, *closed; /* offsets of the open and of the closed ones */
  double *open;          /* 1, or 2 at exits */
  PetscInt base;         /* position of the first one's rates in an array of all directions' */
} MfgWenoFaces;

/** A face through which mass leaves the domain: exits, and `given` boundaries. */
typedef struct {
  int d, account; /* exit number, -1 for a given face */
  ptrdiff_t o;
  double area; /* with the sign of the outward normal */
} MfgWenoCrossing;

/** The drift of one time level, and what the time step needs of it. */
typedef struct {
  PetscInt level; /* -1: empty */
  HcField b;      /* components of the drift, then 2 dH/dS where `power` */
  double *rate;   /* [2 * faces]: outflow rate times h of the cell below and of the cell above a first-order face */
  double speed;   /* global max over cells of the sum of outflow rates */
} MfgWenoDrift;

typedef struct {
  HcWenoWeights weights;
  PetscInt order;                  /* of the diffusion: 4 or 6 */
  int power;                       /* is the factor 2 dH/dS a field? */
  double inv_h[3], diffusion_rate; /* the latter: share of the step limit that diffusion takes, 1/time */

  HcField open;       /* openness of faces, components 0..dim-1 */
  PetscInt *row_cell; /* [rows+1] into cell[] */
  MfgWenoCell *cell;
  MfgWenoFaces face[3];
  PetscInt faces;                /* all directions */
  PetscInt ninactive, *inactive; /* owned index of walls and doors */
  PetscInt *row_inactive;        /* [rows+1] into inactive[] */
  ptrdiff_t *inactive_o;
  PetscInt ncrossing;
  MfgWenoCrossing *crossing;
  double *crossed, *account; /* [ncrossing] mass through each in this interval; scratch */

  HcExpr given_gradient[3]; /* of boundary_u; NULL without given faces */

  HcField state; /* the stage's u or m */
  MfgWenoDrift drift[4], stage;
  HcField high, low;                             /* fluxes */
  HcField ratio;                                 /* of the limiter */
  double *start, *change, *work, *source, *gain; /* owned cells */
  double *cost[2], cost_at[2];                   /* running cost at two times (in levels), -1: none */
  int cost_last;
  double *row; /* scratch rows */
  size_t row_length;

  PetscInt limited; /* stages of the last sweep in which the limiter acted */
} * MfgWeno;

#define MFG_WENO_ROWS 24
/** Scratch row q, with room for ghosts: index -8..n0+7. */
static inline double *MfgWenoRow(MfgWeno w, int q) { return w->row + (size_t)q * w->row_length + 8; }

static inline PetscInt MfgWenoOwned(HcGrid g, PetscInt j, PetscInt k) { return g->n[0] * (j + g->n[1] * k); }
static inline ptrdiff_t MfgWenoOffset(HcField f, PetscInt j, PetscInt k) {
  return (ptrdiff_t)f->stride[1] * j + (ptrdiff_t)f->stride[2] * k;
}

/** Levels and Lagrange weights that interpolate at `at` (in levels) within the interval n..n+1: cubic, one-sided at the ends, of
 * lower degree where there are fewer levels. Exact (one weight 1, the others 0) at a level. Returns the number of levels. */
int MfgWenoTimeWeights(PetscInt steps, PetscInt n, double at, PetscInt *first, double weight[4]);

/** out = x^e elementwise for x >= 0, taken as 0 at x = 0 where e < 0; by square roots where 4e is an integer. */
void MfgWenoPower(PetscInt n, const double *x, double e, double *out);

/** A stage of a Runge-Kutta step: 0, 1, 2, and the times between which the step leads. */
typedef struct {
  int number;
  double from, to;
} MfgWenoStage;

/** Fill the ghosts of w->state, that holds u (or m), for a stage; stage 0 is the solution at `from`. */
PetscErrorCode MfgWenoGhostsU(Mfg mfg, const MfgWenoStage *stage);
PetscErrorCode MfgWenoGhostsM(Mfg mfg, const MfgWenoStage *stage);

PetscErrorCode MfgWenoWallsCreate(Mfg mfg);
PetscErrorCode MfgWenoWallsDestroy(MfgWeno w);

/** Gradient of w->state in a row: component d in g[d] (the net one-sided difference where d is first order), and its square S. */
void MfgWenoGradientRow(Mfg mfg, PetscInt j, PetscInt k, double *const g[3], double *S);
/** 2 dH/dS in a row. */
void MfgWenoFactorRow(Mfg mfg, PetscInt n, const double *S, double *out);
/** H in a row. */
void MfgWenoHamiltonianRow(Mfg mfg, PetscInt n, const double *S, double *out);
PetscErrorCode MfgWenoDriftLevel(Mfg mfg, PetscInt level, MfgWenoDrift *drift);
/** This rank's largest sum of outflow rates of a cell. */
double MfgWenoDriftSpeed(Mfg mfg, const MfgWenoDrift *drift);

PetscErrorCode MfgWenoHjb(Mfg mfg);
PetscErrorCode MfgWenoFp(Mfg mfg);
/** The running cost at `at` levels within interval n, in a buffer that stays valid until the call after the next. */
PetscErrorCode MfgWenoCost(Mfg mfg, PetscInt n, double at, const double **cost);

/** First-order and closed faces of a flux field. */
void MfgWenoFluxWalls(Mfg mfg, const MfgWenoDrift *drift, HcField flux);
/** Where an Euler stage with w->high gave negative values: blend with the first-order flux. In: w->state, w->high; out: w->change
 * (the stage), w->high at the crossings (the fluxes used; scratch elsewhere). `source` may be NULL. */
PetscErrorCode MfgWenoLimit(Mfg mfg, const MfgWenoDrift *drift, double tau, const double *source);
