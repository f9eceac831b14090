/*
 * The monotone upwind scheme of Achdou & Capuzzo-Dolcetta, SIAM J. Numer. Anal. 48 (2010) 1136, on cell centres.
 *
 * For each of the 2 dim faces f of a cell, d_f = tr_f (u_neighbour - u)/h with tr_f = 0 through a closed face, 1 through an
 * open one, 2 where an exit lies behind the face (its value holds on the face, h/2 away). Agents leave only downhill:
 *   a_f = min(d_f, 0),  S = sum a_f^2,  H = S/(2 lambda) or S^(gamma/2)/gamma,  w = 2 dH/dS,
 * at the rates c_f = tr_f (nu/h^2 + w |a_f|/h). The linearised HJB operator is 1/dt + sum_f c_f (u - u_f), the generator of that
 * jump process; the Fokker-Planck step is its transpose, so mass is exact and m >= 0, and the discrete game has the
 * duality that makes the exploitability of an equilibrium vanish to rounding.
 *
 * Implicit: backward Euler, u^n from (u^{n+1}, m^{n+1}) by Newton's method, which for this convex monotone H is policy
 * iteration and converges from any start; m^{n+1} from m^n by one transposed solve with the rates of u^n. The iterative
 * solve's residual is added back: columns of the transposed matrix sum to 1 plus the exit rates, so mass balances to
 * rounding whatever the solver's tolerance. Explicit: Euler with substeps that keep 1 - dt sum_f c_f >= 0.
 */
#include "upwind.h"

static PetscErrorCode upwind_create(Mfg mfg) {
  HcGrid g = mfg->grid;
  PetscBool implicit = mfg->scheme == &MfgUpwindImplicit ? PETSC_TRUE : PETSC_FALSE;
  Upwind *s;

  PetscFunctionBeginUser;
  PetscCall(PetscNew(&s));
  mfg->scheme_data = s;
  PetscCall(HcFieldCreate(g, 1, 1, &s->u));
  PetscCall(HcFieldCreate(g, 1, 1, &s->free));
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++)
      for (PetscInt i = 0; i < g->n[0]; i++) {
        PetscInt at = i + j * s->free->stride[1] + k * s->free->stride[2];
        s->free->c[0][at] = mfg->plan->region->c[0][at] == HC_FREE;
      }
  PetscCall(HcFieldCreate(g, (int)g->dim, 1, &s->link));
  if (mfg->hamiltonian != MFG_QUADRATIC) PetscCall(HcFieldCreate(g, 1, 1, &s->w));
  if (implicit) {
    PetscCall(HcStencilCreate(g, &s->A));
    PetscCall(HcStencilSolverCreate(g, "hjb_", &s->hjb));
    PetscCall(HcStencilSolverCreate(g, "fp_", &s->fp));
    PetscCall(PetscMalloc1(mfg->cells, &s->change));
  } else
    PetscCall(HcFieldCreate(g, 1, 1, &s->m));
  PetscCall(PetscMalloc4(mfg->cells, &s->f, mfg->cells, &s->rhs, mfg->cells, &s->work, mfg->cells, &s->delta));
  PetscCall(PetscCalloc1(9 * ((g->n[0] + 7) / 8 * 8), &s->row));
  PetscCall(upwind_list_faces(mfg, s));
  for (int d = 0; d < g->dim; d++)
    for (PetscInt k = 0; k < g->n[2] + (d == 2); k++)
      for (PetscInt j = 0; j < g->n[1] + (d == 1); j++)
        for (PetscInt i = 0; i < g->n[0] + (d == 0); i++) {
          PetscInt at = i + j * s->link->stride[1] + k * s->link->stride[2], index[3] = {i, j, k};
          PetscBool beyond = (index[d] == 0 && HcGridAtEdge(g, 2 * d) && g->boundary[2 * d] != HC_PERIODIC) ||
                             (index[d] == g->n[d] && HcGridAtEdge(g, 2 * d + 1) && g->boundary[2 * d + 1] != HC_PERIODIC);
          s->link->c[d][at] = mfg->plan->open->c[d][at] == 1 && !beyond ? 1 : 0;
        }
  if (implicit) PetscCall(MfgOccupiedRooms(mfg, s->link, &s->occupied));
  PetscFunctionReturn(0);
}

static double upwind_bytes(Mfg mfg) {
  HcGrid g = mfg->grid;
  double cells = (double)HcGridLocalCells(g);
  double bytes = 2 * HcFieldBytes(g, 1, 1) + HcFieldBytes(g, (int)g->dim, 1) + 4 * 8 * cells;
  if (mfg->hamiltonian != MFG_QUADRATIC) bytes += HcFieldBytes(g, 1, 1);
  return bytes + (mfg->scheme == &MfgUpwindImplicit ? 2 * HcStencilSolverBytes(g) + HcFieldBytes(g, 1, 1) + 8 * cells
                                                    : HcFieldBytes(g, 1, 1));
}

static PetscErrorCode upwind_destroy(Mfg mfg) {
  Upwind *s = mfg->scheme_data;

  PetscFunctionBeginUser;
  if (!s) PetscFunctionReturn(0);
  PetscCall(HcFieldDestroy(&s->u));
  PetscCall(HcFieldDestroy(&s->m));
  PetscCall(HcFieldDestroy(&s->w));
  PetscCall(HcFieldDestroy(&s->free));
  PetscCall(HcFieldDestroy(&s->occupied));
  PetscCall(HcFieldDestroy(&s->link));
  if (s->A) PetscCall(HcStencilDestroy(&s->A));
  if (s->hjb) PetscCall(HcStencilSolverDestroy(&s->hjb));
  if (s->fp) PetscCall(HcStencilSolverDestroy(&s->fp));
  PetscCall(PetscFree4(s->f, s->rhs, s->work, s->delta));
  PetscCall(PetscFree(s->change));
  PetscCall(PetscFree2(s->faces, s->flux));
  PetscCall(PetscFree(s->row));
  PetscCall(PetscFree(mfg->scheme_data));
  PetscFunctionReturn(0);
}

/* Mean velocity: rates to the right minus rates to the left, times h. */
static PetscErrorCode upwind_drift(Mfg mfg, PetscInt level, HcField drift) {
  Upwind *s = mfg->scheme_data;
  HcGrid g = mfg->grid;
  Rows r = upwind_rows(s, g->n[0]);

  PetscFunctionBeginUser;
  PetscCall(upwind_load_level(mfg, s, MfgLevel(mfg, mfg->u, level), mfg->dt * level));
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      PetscInt at = j * s->u->stride[1] + k * s->u->stride[2];
      upwind_differences(mfg, s, at, r);
      for (int d = 0; d < g->dim; d++) {
        double *out = drift->c[d] + j * drift->stride[1] + k * drift->stride[2];
        for (PetscInt i = 0; i < g->n[0]; i++)
          out[i] = (s->w ? s->w->c[0][at + i] : 1 / mfg->control_cost) * (r.am[d][i] - r.ap[d][i]);
      }
    }
  PetscFunctionReturn(0);
}

/* Sum over steps of dt (L + f) m; exits; terminal cost. Paired in time exactly as the scheme pairs u and m. */
static PetscErrorCode upwind_policy_cost(Mfg mfg, double *cost) {
  Upwind *s = mfg->scheme_data;
  double part;

  PetscFunctionBeginUser;
  *cost = 0;
  if (mfg->scheme != &MfgUpwindImplicit) PetscCall(upwind_explicit_march(mfg, cost));
  for (PetscInt l = 0; mfg->scheme == &MfgUpwindImplicit && l < mfg->steps; l++) {
    const double *m = MfgLevel(mfg, mfg->m, l + 1);
    PetscCall(upwind_load_level(mfg, s, MfgLevel(mfg, mfg->u, l), mfg->dt * l));
    PetscCall(MfgRunningCost(mfg, mfg->dt * (l + 1), m, s->f));
    PetscCall(upwind_cost_rate(mfg, s, m, &part));
    *cost += mfg->dt * part;
  }
  const double *m = MfgLevel(mfg, mfg->m, mfg->steps), *g_end = MfgLevel(mfg, mfg->u, mfg->steps);
  for (size_t c = 0; c < mfg->cells; c++) s->work[c] = g_end[c] * m[c];
  PetscCall(MfgIntegral(mfg, s->work, &part));
  *cost += part + mfg->exit_cost * mfg->exited_level[mfg->steps];
  PetscFunctionReturn(0);
}

const MfgScheme MfgUpwindImplicit = {"upwind, implicit", 1, upwind_create, upwind_bytes, upwind_implicit_hjb, upwind_implicit_fp,
  upwind_drift, upwind_policy_cost, upwind_destroy};
const MfgScheme MfgUpwindExplicit = {"upwind, explicit", 1, upwind_create, upwind_bytes, upwind_explicit_hjb, upwind_explicit_fp,
  upwind_drift, upwind_policy_cost, upwind_destroy};
