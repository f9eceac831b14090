/* The upwind scheme's state and what its files share; the scheme is described in upwind.c. */
#pragma once
#include "mfg.h"
#include <halocline/stencil.h>

typedef struct {
  PetscInt i, j, k; /* owned cell */
  int f;            /* its face */
  int account;      /* exit number, or -1: a given face */
} BoundaryFace;

typedef struct {
  HcField u, m, w;  /* width 1: a level of u; of m (explicit); the factor w (power Hamiltonian) */
  HcField free;     /* width 1: 1 in free cells; rows of walls and doors stay what they are */
  HcField link;     /* components 0..dim-1: 1 where the lower face joins two unknowns, else 0 */
  HcField occupied; /* implicit: 1 in rooms where agents can be; NULL: everywhere */
  HcStencil A;
  HcStencilSolver hjb, fp;
  double *f, *rhs, *work, *delta; /* one level each */
  double *change;                 /* one level, implicit: of the iterate, at the level before */
  double *row;                    /* 8 rows: S, Laplacian, rate sum, two a per direction */
  BoundaryFace *faces;            /* every owned cell's faces through which mass leaves or enters */
  PetscInt nfaces;
  double *flux; /* [nfaces] */
} Upwind;

typedef struct {
  double *S, *lap, *sum, *am[3], *ap[3];
} Rows;

static inline Rows upwind_rows(Upwind *s, PetscInt n) {
  PetscInt room = (n + 7) / 8 * 8;
  Rows r = {.S = s->row, .lap = s->row + room, .sum = s->row + 2 * room};
  for (int d = 0; d < 3; d++) {
    r.am[d] = s->row + (3 + 2 * d) * room;
    r.ap[d] = s->row + (4 + 2 * d) * room;
  }
  return r;
}

/* H from S and w: S/(2 lambda) = w S/2, S^(gamma/2)/gamma = w S/gamma. */
static inline double upwind_hamiltonian_share(Mfg mfg) { return mfg->hamiltonian == MFG_QUADRATIC ? 0.5 : 1 / mfg->exponent; }

/* Maxima in lanes, because the compiler must not reorder comparisons itself. */
enum { LANES = 8 };

static inline double upwind_largest_lane(const double lane[LANES]) {
  double most = 0;
  for (int q = 0; q < LANES; q++) most = lane[q] > most ? lane[q] : most;
  return most;
}

/* max |v| of a row; not a number counts as infinite. */
static inline double upwind_row_max(size_t n, const double *restrict v) {
  double lane[LANES] = {0}, poison[LANES] = {0}, any = 0; /* poison: sums of 0, or not a number */
  size_t c = 0;

  for (; c + LANES <= n; c += LANES)
    for (int q = 0; q < LANES; q++) {
      double a = PetscAbsReal(v[c + (size_t)q]);
      lane[q] = a > lane[q] ? a : lane[q];
      poison[q] += a - a;
    }
  for (; c < n; c++) {
    double a = PetscAbsReal(v[c]);
    lane[0] = a > lane[0] ? a : lane[0];
    poison[0] += a - a;
  }
  for (int q = 0; q < LANES; q++) any += poison[q];
  return any == 0 ? upwind_largest_lane(lane) : PETSC_INFINITY;
}

/* upwind_rates.c */

/** S, the Laplacian and the downhill differences of the row of s->u that starts at `at`. */
void upwind_differences(Mfg mfg, Upwind *s, PetscInt at, Rows r);
/** Fill s->u from a level, its ghosts for time t, and the factor w in every cell and its ghosts. */
PetscErrorCode upwind_load_level(Mfg mfg, Upwind *s, const double *u, double t);
/** Residual u - next - dt (nu Lap u - H + f) of s->u into res and, unless A is NULL, its Jacobian. */
PetscErrorCode upwind_residual(Mfg mfg, Upwind *s, double dt, const double *next, const double *f, double *res, HcStencil A);
/** The transposed Jacobian of s->u: row i holds its own rates out and its neighbours' rates towards it. */
PetscErrorCode upwind_transposed(Mfg mfg, Upwind *s, double dt, HcStencil A);
/** Largest total rate of leaving a cell: the explicit stability limit is dt * rate <= 1. */
PetscErrorCode upwind_largest_rate(Mfg mfg, Upwind *s, double *rate);

/* upwind_boundary.c */

/** List the owned cells' faces through which mass leaves or enters (s->faces). */
PetscErrorCode upwind_list_faces(Mfg mfg, Upwind *s);
/** Mass that the density m sends through exits in dt, by exit, and its balance with what lies beyond given faces. */
PetscErrorCode upwind_boundary_mass(Mfg mfg, Upwind *s, double dt, double t_in, const double *m, double exited[], double *gained);
/** b += dt * rate in * m beyond, at given faces. */
PetscErrorCode upwind_add_inflow(Mfg mfg, Upwind *s, double dt, double t, double *b);

/* upwind_hjb.c, upwind_fp.c */

/** Sweep u backward by Newton's method, step by step. */
PetscErrorCode upwind_implicit_hjb(Mfg mfg);
/** Sweep u backward by explicit substeps. */
PetscErrorCode upwind_explicit_hjb(Mfg mfg);
/** Sweep m forward by transposed solves. */
PetscErrorCode upwind_implicit_fp(Mfg mfg);
/** Sweep m forward by explicit substeps. */
PetscErrorCode upwind_explicit_fp(Mfg mfg);
/** March m explicitly; with `cost`, m is the flow of u already, and what it pays in each substep is summed. */
PetscErrorCode upwind_explicit_march(Mfg mfg, double *cost);
/** Integral of (L + f) m at the level in s->u, f in s->f. */
PetscErrorCode upwind_cost_rate(Mfg mfg, Upwind *s, const double *m, double *rate);
/** Extrapolate how an iterate changed at the levels before into the guess for this one (see upwind_hjb.c). */
void upwind_shift_guess(
  size_t n, PetscBool linear, const double *restrict solved, double *restrict v, double *restrict old, double *restrict change);
