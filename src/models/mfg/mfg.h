/*
 * Mean field game: state shared by the files of this model.
 *
 *   -u_t - nu Lap u + H(x, m, grad u) = f(x, t, m),     u(T,x) = g(x, m(T,.))
 *    m_t - nu Lap m - div(m H_p) = 0 (+ density_source), m(0,x) = m0(x)
 *
 * The solution lives in two space-time arrays of owned cells, u and m, [level][n2][n1][n0], levels 0..steps, level l at
 * time l*dt. A scheme sweeps one equation over all levels with the other frozen; the coupling (coupling.c) iterates on m:
 *   m -> u = hjb(m) -> G(m) = fp(u).
 */
#pragma once
#include <halocline/halocline.h>
#include <petscsnes.h>

typedef struct Mfg_ *Mfg;

/** A discretisation of the two equations. */
typedef struct {
  const char *name;
  PetscInt width;                    /* ghost layers it needs */
  PetscErrorCode (*create)(Mfg mfg); /* options, workspace in mfg->scheme_data */
  double (*bytes)(Mfg mfg);          /* workspace bytes per rank; no allocation */
  /** From mfg->m (all levels) fill mfg->u (all levels; level `steps` from the terminal cost). mfg->u holds the last
   * iterate on entry and may serve as the initial guess of an implicit solve. */
  PetscErrorCode (*hjb)(Mfg mfg);
  /** From mfg->u fill mfg->m (level 0 is given) and mfg->exited_level[], mfg->gained_level[]. */
  PetscErrorCode (*fp)(Mfg mfg);
  /** The components of the optimal drift -H_p at a level into drift (components 0..dim-1). */
  PetscErrorCode (*drift)(Mfg mfg, PetscInt level, HcField drift);
  /** Cost of following the policy of mfg->u from mfg->m's flow: integral of (L + f) m + exit costs + g. */
  PetscErrorCode (*policy_cost)(Mfg mfg, double *cost);
  PetscErrorCode (*destroy)(Mfg mfg);
} MfgScheme;

extern const MfgScheme MfgUpwindImplicit, MfgUpwindExplicit, MfgWenoExplicit;

typedef enum { MFG_QUADRATIC, MFG_POWER } MfgHamiltonianKind;

#define MFG_MAX_EXITS 32
#define MFG_RECENT 5

struct Mfg_ {
  HcRun run;
  HcGrid grid;
  const MfgScheme *scheme;
  void *scheme_data;
  /* the scheme's fp and policy_cost, or those of particles */
  PetscErrorCode (*fp)(Mfg mfg);
  PetscErrorCode (*policy_cost)(Mfg mfg, double *cost);
  struct MfgParticles_ *particles; /* fokker_planck: particles; else NULL */

  /* the problem */
  double sigma, nu, end;
  MfgHamiltonianKind hamiltonian;
  double control_cost; /* lambda of |p|^2/(2 lambda) */
  double exponent;     /* gamma of |p|^gamma/gamma */
  HcSource running_cost, terminal_cost, initial_density, density_source, boundary_u, boundary_m, exact_u, exact_m;
  double exit_cost;
  PetscBool normalise;
  HcFloorPlan plan; /* regions and face openness; always present */
  PetscInt exits;   /* separate exits: connected door areas and exit faces of the domain */
  HcField exit_id;  /* component 0, width 1: 0.. exits-1 in doors, -1 elsewhere; NULL without doors. Exit faces of the
                       domain: face_exit */
  int face_exit[6]; /* the number of the exit behind a domain face, -1 if it is none */

  /* the discrete solution */
  PetscInt steps;       /* levels are 0..steps */
  double dt, cfl;       /* cfl: safety factor of explicit substeps */
  size_t cells;         /* owned cells: one level */
  double *u, *m;        /* [steps+1][cells] */
  double *mass_level;   /* [steps+1] integral of m, identical on all ranks */
  double *exited_level; /* [steps+1] mass absorbed by exits up to the level */
  double *gained_level; /* [steps+1] mass gained from sources and `given` boundaries up to the level */
  double *exit_share;   /* [exits][steps+1] mass absorbed by each exit up to the level; their sum is exited_level */

  /* statistics of the last sweeps */
  PetscInt newton_total, krylov_total, substeps_total;
  PetscInt clipped;      /* values of m that had to be clipped (expected 0; reported) */
  double density_min;    /* least m over all levels before any repair */
  double mass_error_max; /* max over levels of |mass + exited - gained - initial mass| */

  /* coupling iteration (coupling.c) */
  PetscBool anderson, spectral; /* spectral: the damping is chosen by the code */
  double damping, tolerance;
  double theta, recent_theta[MFG_RECENT]; /* the spectral damping, and its last values */
  PetscInt depth, max_iterations;
  PetscInt iterations, first_iteration; /* first_iteration > 0 after a restart */
  SNES snes;
  Vec solution;
  Vec iterate;     /* the iterate of m whose G was evaluated last: what a checkpoint saves */
  double residual; /* sup over time of the L1 norm of the change of m */
  double *residual_history;
  PetscBool converged;
  double cost, exploitability;
};

/* levels.c: helpers on levels, for all schemes */

/** Level l of a space-time array. */
static inline double *MfgLevel(Mfg mfg, double *v, PetscInt l) { return v + (size_t)l * mfg->cells; }

/** Fill the first `width` ghost layers of component c of a field beyond the domain faces, after the exchange: even images
 * at reflecting and symmetry faces, `exit` at exit faces, the formula `given` at time t at given faces. */
PetscErrorCode MfgFillGhosts(Mfg mfg, HcField f, int c, PetscInt width, double exit, HcSource given, double t);

/** f(x, t, m) of a level of m into out[cells]; 0 outside of the free cells. m is taken as at least 1e-300 there, so that
 * log m is finite where the density underflows. */
PetscErrorCode MfgRunningCost(Mfg mfg, double t, const double *m, double *out);

/** Set level `steps` of u from the terminal cost of m's last level: g in free cells, the exit cost in doors, 0 in walls. */
PetscErrorCode MfgTerminal(Mfg mfg);

/** density_source at time t into out[cells], 0 outside of the free cells; *any is false, and out untouched, without one. */
PetscErrorCode MfgDensitySource(Mfg mfg, double t, double *out, PetscBool *any);

/** Bits independent of the number of ranks: sum of a level times the cell volume. */
PetscErrorCode MfgIntegral(Mfg mfg, const double *level, double *integral);

/** Add to an exit's account at `level` (and to exited_level): amount[exits] absorbed since the level before. */
void MfgAccountExits(Mfg mfg, PetscInt level, const double amount[]);

/** Which exit lies behind face f of owned cell (i,j,k)? -1 if that face is no exit face (open != 2). */
int MfgExitBehind(Mfg mfg, PetscInt i, PetscInt j, PetscInt k, int f);

/** mass_level, density_min, mass_error_max from m, exited_level, gained_level. */
PetscErrorCode MfgMassDiagnostics(Mfg mfg);

/** sup over levels of the integral of |v|, v a space-time array. */
PetscErrorCode MfgLargestIntegral(Mfg mfg, const double *v, double *largest);

/* rooms.c */
/** 1 in every owned cell that a way through `link` (components 0..dim-1: 1 where a lower face can be passed) joins to a cell with
 * initial density, else 0; NULL if that is every free cell, or if sources or given faces may bring agents anywhere. Collective.
 */
PetscErrorCode MfgOccupiedRooms(Mfg mfg, HcField link, HcField *occupied);

/* coupling.c */
/** Make the SNES and its vector (setup), with options under the prefix coupling_. */
PetscErrorCode MfgCouplingCreate(Mfg mfg);
/** Iterate to the fixed point from mfg->u, then compute the policy's cost and the exploitability. */
PetscErrorCode MfgCouplingSolve(Mfg mfg, HcClock *clock, HcIterationDone done, void *driver);
PetscErrorCode MfgCouplingDestroy(Mfg mfg);
/** Bytes a rank that the coupling's vectors need. */
double MfgCouplingBytes(Mfg mfg);

/* exits.c */
/** Number the exits: connected door areas, then exit faces of the domain (mfg->exits, exit_id, face_exit). Collective. */
PetscErrorCode MfgNumberExits(Mfg mfg);
