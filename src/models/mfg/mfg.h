/*
 * Mean field game: state shared by the files of this model.
 *
 *   -u_t - nu Lap u + H(x, m, grad u) = f(x, t, m),     u(T,x) = g(x, m(T,.))
 *    m_t - nu Lap m - div(m H_p) = 0 (+ density_source), m(0,x) = m0(x)
 *
 * The solution lives in two space-time arrays of owned cells, u and m, [level][n2][n1][n0], levels 0..steps, level l at
 * time l*dt. A scheme sweeps one equation over all levels with the other frozen; the coupling (coupling.c) iterates on u:
 *   u -> m = fp(u) -> G(u) = hjb(m).
 * So every density is the flow of some value function: mass is exact and m >= 0 in every iterate, and log m is defined.
 */
#pragma once
#include <halocline/halocline.h>

typedef struct Mfg_ *Mfg;

/** A discretisation of the two equations. */
typedef struct {
  const char *name;
  PetscInt width; /* ghost layers it needs */
  PetscErrorCode (*create)(Mfg mfg);  /* options, workspace in mfg->scheme_data */
  double (*bytes)(Mfg mfg);           /* workspace bytes per rank; no allocation */
  /** From mfg->m (all levels) fill mfg->u (all levels; level `steps` from the terminal cost). */
  PetscErrorCode (*hjb)(Mfg mfg);
  /** From mfg->u fill mfg->m (level 0 is given) and mfg->exited_level[], mfg->mass_level[]. */
  PetscErrorCode (*fp)(Mfg mfg);
  /** The components of the optimal drift -H_p at a level into drift (components 0..dim-1). */
  PetscErrorCode (*drift)(Mfg mfg, PetscInt level, HcField drift);
  /** Cost of following the policy of mfg->u from mfg->m's flow: integral of (L + f) m + exit costs + g. */
  PetscErrorCode (*policy_cost)(Mfg mfg, double *cost);
  PetscErrorCode (*destroy)(Mfg mfg);
} MfgScheme;

extern const MfgScheme MfgUpwindImplicit, MfgUpwindExplicit, MfgWenoExplicit;

typedef enum { MFG_QUADRATIC, MFG_POWER } MfgHamiltonianKind;

struct Mfg_ {
  HcRun run;
  HcGrid grid;
  const MfgScheme *scheme;
  void *scheme_data;

  /* the problem */
  double sigma, nu, end;
  MfgHamiltonianKind hamiltonian;
  double control_cost; /* lambda of |p|^2/(2 lambda) */
  double exponent;     /* gamma of |p|^gamma/gamma */
  HcSource running_cost, terminal_cost, initial_density, density_source, boundary_u, boundary_m, exact_u, exact_m;
  double exit_cost;
  HcFloorPlan plan; /* regions and face openness; always present */

  /* the discrete solution */
  PetscInt steps; /* levels are 0..steps */
  double dt;
  size_t cells;   /* owned cells: one level */
  double *u, *m;  /* [steps+1][cells] */
  double *mass_level, *exited_level; /* [steps+1], global, identical on all ranks: integral of m; mass absorbed up to the level */
  PetscInt *clipped_level;           /* number of cells whose m would have needed clipping (reported, expected 0) */

  /* statistics of the last sweeps */
  PetscInt newton_total, krylov_total;
  double density_min; /* least m over all levels before any repair */
  double mass_error_max;

  /* coupling iteration (coupling.c) */
  PetscInt iterations;
  double residual; /* sup over time of the L1 norm of the change of m */
  double *residual_history;
  PetscInt residual_count, residual_room;
  PetscBool converged;
  double cost, exploitability;
};
