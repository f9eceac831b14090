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

/* ---- the kernel ------------------------------------------------------------------------------------------------ */

typedef struct {
  double *S, *lap, *sum, *am[3], *ap[3];
} Rows;

static Rows rows_of(Upwind *s, PetscInt n) {
  PetscInt room = (n + 7) / 8 * 8;
  Rows r = {.S = s->row, .lap = s->row + room, .sum = s->row + 2 * room};
  for (int d = 0; d < 3; d++) {
    r.am[d] = s->row + (3 + 2 * d) * room;
    r.ap[d] = s->row + (4 + 2 * d) * room;
  }
  return r;
}

/* S, the Laplacian and the downhill differences of one row of u. */
static void row_differences(Mfg mfg, Upwind *s, PetscInt at, Rows r) {
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0];
  double *restrict S = r.S, *restrict lap = r.lap;

  for (int d = 0; d < g->dim; d++) {
    PetscInt stride = s->u->stride[d];
    const double *restrict u = s->u->c[0] + at;
    const double *restrict lower = mfg->plan->open->c[d] + at, *restrict upper = lower + stride;
    const double *restrict free = s->free->c[0] + at;
    double *restrict am = r.am[d], *restrict ap = r.ap[d];
    double inv_h = 1 / g->h[d];
    for (PetscInt i = 0; i < n; i++) {
      double dm = free[i] * lower[i] * (u[i - stride] - u[i]) * inv_h, dp = free[i] * upper[i] * (u[i + stride] - u[i]) * inv_h;
      am[i] = dm < 0 ? dm : 0;
      ap[i] = dp < 0 ? dp : 0;
      double squares = am[i] * am[i] + ap[i] * ap[i], second = (dm + dp) * inv_h;
      S[i] = d ? S[i] + squares : squares;
      lap[i] = d ? lap[i] + second : second;
    }
  }
}

/* w = 2 dH/dS. The floor keeps w finite where S = 0 and gamma < 2; w a_f stays 0 there because a_f does. */
static void row_factor(Mfg mfg, PetscInt n, const double *S, double *w) {
  if (mfg->hamiltonian == MFG_QUADRATIC)
    for (PetscInt i = 0; i < n; i++) w[i] = 1 / mfg->control_cost;
  else
    for (PetscInt i = 0; i < n; i++) w[i] = pow(S[i] > 1e-100 ? S[i] : 1e-100, mfg->exponent / 2 - 1);
}

/* H from S and w: S/(2 lambda) = w S/2, S^(gamma/2)/gamma = w S/gamma. */
static double hamiltonian_share(Mfg mfg) { return mfg->hamiltonian == MFG_QUADRATIC ? 0.5 : 1 / mfg->exponent; }

/* Fill s->u from a level, its ghosts for time t, and the factor w in every cell and its ghosts. */
static PetscErrorCode load_level(Mfg mfg, Upwind *s, const double *u, double t) {
  HcGrid g = mfg->grid;

  PetscFunctionBeginUser;
  HcFieldFromArray(s->u, 0, u);
  PetscCall(HcFieldExchange(s->u, HC_STAR));
  PetscCall(MfgFillGhosts(mfg, s->u, 0, 1, mfg->exit_cost, mfg->boundary_u, t));
  if (!s->w) PetscFunctionReturn(0);
  Rows r = rows_of(s, g->n[0]);
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      PetscInt at = j * s->u->stride[1] + k * s->u->stride[2];
      row_differences(mfg, s, at, r);
      row_factor(mfg, g->n[0], r.S, s->w->c[0] + at);
    }
  PetscCall(HcFieldExchange(s->w, HC_STAR));
  /* beyond given faces the neighbour's own S is unknown: its nearest cell's factor, a first-order choice */
  const HcFill copy[6] = {HC_FILL_COPY, HC_FILL_COPY, HC_FILL_COPY, HC_FILL_COPY, HC_FILL_COPY, HC_FILL_COPY};
  HcFill rule[6];
  for (int f = 0; f < 6; f++) rule[f] = f < 2 * g->dim && g->boundary[f] != HC_PERIODIC ? copy[f] : HC_FILL_NONE;
  PetscCall(HcFieldFillBoundary(s->w, 0, 1, rule, NULL));
  PetscFunctionReturn(0);
}

/* Residual u - next - dt (nu Lap u - H + f) into res and, unless A is NULL, its Jacobian 1 + dt sum c_f (1 - shift_f). */
static PetscErrorCode residual_and_jacobian(
  Mfg mfg, Upwind *s, double dt, const double *next, const double *f, double *res, HcStencil A) {
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0];
  Rows r = rows_of(s, n);
  double share = hamiltonian_share(mfg), nu = mfg->nu, constant = 1 / mfg->control_cost;

  PetscFunctionBeginUser;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      PetscInt at = j * s->u->stride[1] + k * s->u->stride[2];
      size_t row = (size_t)(j + k * g->n[1]) * (size_t)n;
      const double *restrict u = s->u->c[0] + at, *restrict nx = next + row, *restrict fr = f + row;
      const double *restrict w = s->w ? s->w->c[0] + at : NULL;
      double *restrict R = res + row;
      row_differences(mfg, s, at, r);
      for (PetscInt i = 0; i < n; i++) {
        double H = (w ? w[i] : constant) * r.S[i] * share;
        R[i] = u[i] - nx[i] - dt * (nu * r.lap[i] - H + fr[i]);
      }
      if (!A) continue;
      double *restrict sum = r.sum;
      for (int d = 0; d < g->dim; d++) {
        PetscInt stride = s->u->stride[d];
        const double *restrict ol = mfg->plan->open->c[d] + at, *restrict ou = ol + stride;
        const double *restrict free = s->free->c[0] + at;
        const double *restrict ll = s->link->c[d] + at, *restrict lu = ll + stride;
        const double *restrict am = r.am[d], *restrict ap = r.ap[d];
        double *restrict Am = A->a->c[1 + 2 * d] + at, *restrict Ap = A->a->c[2 + 2 * d] + at;
        double inv_h = 1 / g->h[d], diffusion = nu * inv_h * inv_h;
        for (PetscInt i = 0; i < n; i++) {
          double wi = w ? w[i] : constant;
          double cm = dt * free[i] * ol[i] * (diffusion - wi * am[i] * inv_h),
                 cp = dt * free[i] * ou[i] * (diffusion - wi * ap[i] * inv_h);
          Am[i] = -ll[i] * cm;
          Ap[i] = -lu[i] * cp;
          sum[i] = d ? sum[i] + (cm + cp) : cm + cp;
        }
      }
      double *restrict A0 = A->a->c[0] + at;
      for (PetscInt i = 0; i < n; i++) A0[i] = 1 + sum[i];
    }
  PetscFunctionReturn(0);
}

/* The transposed operator from s->u: row i holds its own rates out and its neighbours' rates towards it. */
static PetscErrorCode transposed(Mfg mfg, Upwind *s, double dt, HcStencil A) {
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0];
  double nu = mfg->nu, constant = 1 / mfg->control_cost;

  PetscFunctionBeginUser;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      PetscInt at = j * s->u->stride[1] + k * s->u->stride[2];
      const double *restrict u = s->u->c[0] + at;
      const double *restrict w = s->w ? s->w->c[0] + at : NULL;
      double *restrict A0 = A->a->c[0] + at;
      for (PetscInt i = 0; i < n; i++) A0[i] = 1;
      for (int d = 0; d < g->dim; d++) {
        PetscInt stride = s->u->stride[d];
        const double *restrict ol = mfg->plan->open->c[d] + at, *restrict ou = ol + stride;
        const double *restrict free = s->free->c[0] + at;
        const double *restrict ll = s->link->c[d] + at, *restrict lu = ll + stride;
        double *restrict Am = A->a->c[1 + 2 * d] + at, *restrict Ap = A->a->c[2 + 2 * d] + at;
        double inv_h = 1 / g->h[d], diffusion = nu * inv_h * inv_h;
        for (PetscInt i = 0; i < n; i++) {
          double dm = ol[i] * (u[i - stride] - u[i]) * inv_h, dp = ou[i] * (u[i + stride] - u[i]) * inv_h;
          double wi = w ? w[i] : constant, wm = w ? w[i - stride] : constant, wp = w ? w[i + stride] : constant;
          double out_m = wi * (dm < 0 ? -dm : 0), out_p = wi * (dp < 0 ? -dp : 0);
          double in_m = wm * (dm > 0 ? dm : 0), in_p = wp * (dp > 0 ? dp : 0);
          A0[i] += dt * free[i] * (ol[i] * (diffusion + out_m * inv_h) + ou[i] * (diffusion + out_p * inv_h));
          Am[i] = -ll[i] * dt * (diffusion + in_m * inv_h);
          Ap[i] = -lu[i] * dt * (diffusion + in_p * inv_h);
        }
      }
    }
  PetscFunctionReturn(0);
}

/* Largest total rate of leaving a cell: the explicit stability limit is dt * rate <= 1. */
static PetscErrorCode largest_rate(Mfg mfg, Upwind *s, double *rate) {
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0];
  Rows r = rows_of(s, n);
  double constant = 1 / mfg->control_cost, largest = 0;

  PetscFunctionBeginUser;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      PetscInt at = j * s->u->stride[1] + k * s->u->stride[2];
      const double *restrict w = s->w ? s->w->c[0] + at : NULL;
      double *restrict sum = r.sum;
      row_differences(mfg, s, at, r);
      for (int d = 0; d < g->dim; d++) {
        const double *restrict ol = mfg->plan->open->c[d] + at, *restrict ou = ol + s->u->stride[d];
        const double *restrict free = s->free->c[0] + at;
        const double *restrict am = r.am[d], *restrict ap = r.ap[d];
        double inv_h = 1 / g->h[d], diffusion = mfg->nu * inv_h * inv_h;
        for (PetscInt i = 0; i < n; i++) {
          double wi = w ? w[i] : constant;
          double c = free[i] * (ol[i] * (diffusion - wi * am[i] * inv_h) + ou[i] * (diffusion - wi * ap[i] * inv_h));
          sum[i] = d ? sum[i] + c : c;
        }
      }
      for (PetscInt i = 0; i < n; i++) largest = sum[i] > largest ? sum[i] : largest;
    }
  PetscCallMPI(MPI_Allreduce(&largest, rate, 1, MPI_DOUBLE, MPI_MAX, g->comm));
  PetscFunctionReturn(0);
}

/* ---- mass through exits and given faces ------------------------------------------------------------------------- */

static PetscErrorCode list_boundary_faces(Mfg mfg, Upwind *s) {
  HcGrid g = mfg->grid;

  PetscFunctionBeginUser;
  for (int pass = 0; pass < 2; pass++) {
    PetscInt count = 0;
    for (PetscInt k = 0; k < g->n[2]; k++)
      for (PetscInt j = 0; j < g->n[1]; j++)
        for (PetscInt i = 0; i < g->n[0]; i++)
          for (int f = 0; f < 2 * g->dim; f++) {
            PetscInt local[3] = {i, j, k};
            int d = f / 2, up = f % 2, account = MfgExitBehind(mfg, i, j, k, f);
            PetscBool given = g->boundary[f] == HC_GIVEN && HcGridAtEdge(g, f) && local[d] == (up ? g->n[d] - 1 : 0);
            PetscInt at = i + j * s->u->stride[1] + k * s->u->stride[2];
            if (given && mfg->plan->open->c[d][at + (up ? s->u->stride[d] : 0)] == 0) given = PETSC_FALSE;
            if (account < 0 && !given) continue;
            if (pass) s->faces[count] = (BoundaryFace){i, j, k, f, account};
            count++;
          }
    if (!pass) PetscCall(PetscMalloc2(count, &s->faces, count, &s->flux));
    s->nfaces = count;
  }
  PetscFunctionReturn(0);
}

/* dt times the rates out of (sign +1) cell i through a listed face, and into it from beyond. */
static void face_rates(Mfg mfg, Upwind *s, const BoundaryFace *b, double dt, double *out, double *in) {
  HcGrid g = mfg->grid;
  int d = b->f / 2, up = b->f % 2;
  PetscInt stride = s->u->stride[d], at = b->i + b->j * s->u->stride[1] + b->k * s->u->stride[2];
  PetscInt nb = at + (up ? stride : -stride);
  double tr = mfg->plan->open->c[d][up ? nb : at], inv_h = 1 / g->h[d];
  double wi = s->w ? s->w->c[0][at] : 1 / mfg->control_cost, wn = s->w ? s->w->c[0][nb] : wi;
  double diff = tr * (s->u->c[0][nb] - s->u->c[0][at]) * inv_h;
  *out = dt * tr * (mfg->nu * inv_h * inv_h + wi * (diff < 0 ? -diff : 0) * inv_h);
  *in = dt * tr * (mfg->nu * inv_h * inv_h + wn * (diff > 0 ? diff : 0) * inv_h);
}

/* The value of boundary_m beyond a given face. */
static PetscErrorCode given_density(Mfg mfg, const BoundaryFace *b, double t, double *m) {
  PetscInt at[3] = {b->i, b->j, b->k};

  PetscFunctionBeginUser;
  at[b->f / 2] += b->f % 2 ? 1 : -1;
  PetscCall(HcSourceEvalRow(mfg->boundary_m, at[0], 1, at[1], at[2], t, NULL, m));
  PetscFunctionReturn(0);
}

/* Mass that the density `m` sends through exits, by exit, and the balance with what lies beyond given faces: sums of
 * dt * rate * m * volume, with bits that do not depend on the number of ranks. */
static PetscErrorCode boundary_mass(
  Mfg mfg, Upwind *s, double dt, double t_in, const double *m, double exited[], double *gained) {
  HcGrid g = mfg->grid;

  PetscFunctionBeginUser;
  for (PetscInt e = -1; e < mfg->exits; e++) {
    PetscInt count = 0;
    double sum = 0;
    if (e < 0) {
      PetscBool any = PETSC_FALSE;
      for (int f = 0; f < 2 * g->dim; f++) any = any || g->boundary[f] == HC_GIVEN ? PETSC_TRUE : PETSC_FALSE;
      *gained = 0;
      if (!any) continue;
    }
    for (PetscInt b = 0; b < s->nfaces; b++) {
      const BoundaryFace *face = &s->faces[b];
      double out, in, beyond;
      if (face->account != e) continue;
      size_t c = (size_t)(face->i + g->n[0] * (face->j + g->n[1] * face->k));
      face_rates(mfg, s, face, dt, &out, &in);
      if (e >= 0)
        s->flux[count++] = out * m[c];
      else {
        PetscCall(given_density(mfg, face, t_in, &beyond));
        s->flux[count++] = in * beyond - out * m[c];
      }
    }
    PetscCall(HcSum(g->comm, 2 * g->dim * HcGridTotalCells(g), count, s->flux, &sum));
    if (e >= 0)
      exited[e] = sum * g->volume;
    else
      *gained = sum * g->volume;
  }
  PetscFunctionReturn(0);
}

/* b += dt * rate in * m beyond, at given faces. */
static PetscErrorCode add_inflow(Mfg mfg, Upwind *s, double dt, double t, double *b) {
  PetscFunctionBeginUser;
  for (PetscInt q = 0; q < s->nfaces; q++) {
    const BoundaryFace *face = &s->faces[q];
    double out, in, beyond;
    if (face->account >= 0) continue;
    face_rates(mfg, s, face, dt, &out, &in);
    PetscCall(given_density(mfg, face, t, &beyond));
    b[face->i + mfg->grid->n[0] * (face->j + mfg->grid->n[1] * face->k)] += in * beyond;
  }
  PetscFunctionReturn(0);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

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
  PetscCall(list_boundary_faces(mfg, s));
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

/* Maxima in lanes, because the compiler must not reorder comparisons itself. */
enum { LANES = 8 };

static inline double largest_lane(const double lane[LANES]) {
  double most = 0;
  for (int q = 0; q < LANES; q++) most = lane[q] > most ? lane[q] : most;
  return most;
}

/* max |v| of a row; not a number counts as infinite. */
static double row_max_abs(size_t n, const double *restrict v) {
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
  return any == 0 ? largest_lane(lane) : PETSC_INFINITY;
}

/* ---- Hamilton-Jacobi-Bellman ------------------------------------------------------------------------------------- */

#define MAX_NEWTON 60

/* Over all cells: max |R_i|, max |R_i|/a_0i, max a_0i. Not a number counts as infinite. */
static PetscErrorCode residual_norms(Mfg mfg, Upwind *s, double norms[3]) {
  HcGrid g = mfg->grid;
  size_t n = (size_t)g->n[0];
  double local[3] = {0, 0, 0}, *restrict scaled = s->row;

  PetscFunctionBeginUser;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      const double *restrict R = s->work + (size_t)(j + k * g->n[1]) * n;
      const double *restrict a = s->A->a->c[0] + j * s->A->a->stride[1] + k * s->A->a->stride[2];
      for (size_t i = 0; i < n; i++) scaled[i] = R[i] / a[i];
      local[0] = PetscMax(local[0], row_max_abs(n, R));
      local[1] = PetscMax(local[1], row_max_abs(n, scaled));
      local[2] = PetscMax(local[2], row_max_abs(n, a));
    }
  PetscCallMPI(MPI_Allreduce(local, norms, 3, MPI_DOUBLE, MPI_MAX, g->comm));
  PetscFunctionReturn(0);
}

/* One implicit step: u (initial guess on entry) from next. The residual in the max norm bounds the error, because the
 * inverse of the Jacobian does not increase the max norm. Below `round`, rounding may keep the residual above tol: there it
 * is enough that it has stopped to fall. */
static PetscErrorCode newton(Mfg mfg, Upwind *s, PetscInt level, const double *next, double *u, double tol, double round) {
  double t = mfg->dt * level, norms[3] = {0}, last = PETSC_INFINITY;

  PetscFunctionBeginUser;
  for (PetscInt it = 0; it < MAX_NEWTON; it++) {
    PetscInt krylov;
    PetscCall(load_level(mfg, s, u, t));
    PetscCall(residual_and_jacobian(mfg, s, mfg->dt, next, s->f, s->work, s->A));
    PetscCall(residual_norms(mfg, s, norms));
    if (norms[0] <= tol || (norms[0] <= round && norms[0] > 0.5 * last)) PetscFunctionReturn(0);
    last = norms[0];
    HcRequire(!PetscIsInfReal(norms[0]), HC_EXIT_FAILED, "the value function is not a number at time %g (iteration %lld)", t,
      (long long)mfg->iterations + 1);
    mfg->newton_total++;
    PetscCall(PetscArrayzero(s->delta, mfg->cells));
    /* Newton converges quadratically once near: a linear tolerance far below what the step will reach is wasted */
    HcTimerStart(HC_TIMER_SOLVE);
    PetscCall(HcStencilSolve(s->hjb, s->A, s->work, s->delta, PetscMax(0.3 * tol / norms[2], 1e-3 * norms[1]), &krylov));
    HcTimerStop(HC_TIMER_SOLVE);
    mfg->krylov_total += krylov;
    for (size_t c = 0; c < mfg->cells; c++) u[c] -= s->delta[c];
  }
  PetscCall(HcFail(HC_EXIT_FAILED,
    "Newton's method did not converge at time %g: residual %.3g after %d steps, wanted %.3g; try more time steps", t, norms[0],
    MAX_NEWTON, tol));
  PetscFunctionReturn(0);
}

/* First guess of a level in v from the last iterate there: shifted by how much the iterate has changed at the level just
 * solved and the one before, extrapolated. `old` holds the last iterate at the level just solved, `change` what changed
 * at the level before it if there is one; both move on. Changes are smooth, so a guess is a few digits nearer. */
static void shift_guess(
  size_t n, PetscBool linear, const double *restrict solved, double *restrict v, double *restrict old, double *restrict change) {
  const double past = linear ? 1 : 0;
  for (size_t c = 0; c < n; c++) {
    double last = v[c], now = solved[c] - old[c], before = linear ? change[c] : 0;
    v[c] = last + (now + past * (now - before));
    old[c] = last;
    change[c] = now;
  }
}

static PetscErrorCode implicit_hjb(Mfg mfg) {
  Upwind *s = mfg->scheme_data;
  double *old = s->rhs; /* the last iterate at level l+1; free here, used by fp only */

  PetscFunctionBeginUser;
  mfg->newton_total = mfg->krylov_total = 0;
  PetscCall(PetscArraycpy(old, MfgLevel(mfg, mfg->u, mfg->steps), mfg->cells));
  PetscCall(MfgTerminal(mfg));
  for (PetscInt l = mfg->steps - 1; l >= 0; l--) {
    double *u = MfgLevel(mfg, mfg->u, l), scale, size[2];
    const double *next = MfgLevel(mfg, mfg->u, l + 1);
    PetscCall(MfgRunningCost(mfg, mfg->dt * (l + 1), MfgLevel(mfg, mfg->m, l + 1), s->f));
    size[0] = row_max_abs(mfg->cells, next);
    size[1] = row_max_abs(mfg->cells, s->f);
    PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, size, 2, MPI_DOUBLE, MPI_MAX, mfg->grid->comm));
    HcRequire(size[0] < PETSC_INFINITY, HC_EXIT_FAILED, "the %s is not a number at time %g",
      l == mfg->steps - 1 ? "terminal cost" : "value function", mfg->dt * (l + 1));
    HcRequire(size[1] < PETSC_INFINITY, HC_EXIT_FAILED, "the running cost is not a number at time %g", mfg->dt * (l + 1));
    scale = PetscMax(PetscMax(size[0], mfg->dt * size[1]), PetscAbsReal(mfg->exit_cost));
    shift_guess(mfg->cells, l < mfg->steps - 1 ? PETSC_TRUE : PETSC_FALSE, next, u, old, s->change);
    scale = PetscMax(scale, 1e-300);
    PetscCall(newton(mfg, s, l, next, u, 1e-3 * mfg->tolerance / (double)mfg->steps * scale, 1e-10 * scale));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode explicit_hjb(Mfg mfg) {
  Upwind *s = mfg->scheme_data;

  PetscFunctionBeginUser;
  mfg->substeps_total = 0;
  PetscCall(MfgTerminal(mfg));
  for (PetscInt l = mfg->steps - 1; l >= 0; l--) {
    double *u = MfgLevel(mfg, mfg->u, l), left = 1; /* part of the interval still to go */
    PetscCall(MfgRunningCost(mfg, mfg->dt * (l + 1), MfgLevel(mfg, mfg->m, l + 1), s->f));
    PetscCall(PetscArraycpy(u, MfgLevel(mfg, mfg->u, l + 1), mfg->cells));
    while (left > 0) {
      double rate;
      PetscCall(load_level(mfg, s, u, mfg->dt * (l + left)));
      PetscCall(largest_rate(mfg, s, &rate));
      HcRequire(rate < PETSC_INFINITY, HC_EXIT_FAILED, "the value function is not a number at time %g", mfg->dt * (l + left));
      double parts = PetscCeilReal(PetscMax(left * mfg->dt * rate / mfg->cfl, 1));
      HcRequire(parts < 1e6, HC_EXIT_FAILED,
        "the explicit scheme needs more than a million substeps at time %g: use time_stepping implicit", mfg->dt * l);
      double part = left / parts;
      /* residual with next = u: -dt (nu Lap u - H + f) */
      PetscCall(residual_and_jacobian(mfg, s, part * mfg->dt, u, s->f, s->work, NULL));
      for (size_t c = 0; c < mfg->cells; c++) u[c] -= s->work[c];
      left = parts > 1 ? left - part : 0;
      mfg->substeps_total++;
    }
  }
  PetscFunctionReturn(0);
}

/* ---- Fokker-Planck ----------------------------------------------------------------------------------------------- */

static PetscErrorCode add_source(Mfg mfg, Upwind *s, double dt, double t, double *m, double *gained) {
  PetscBool any;

  PetscFunctionBeginUser;
  *gained = 0;
  PetscCall(MfgDensitySource(mfg, t, s->work, &any));
  if (!any) PetscFunctionReturn(0);
  for (size_t c = 0; c < mfg->cells; c++) s->work[c] *= dt;
  PetscCall(MfgIntegral(mfg, s->work, gained));
  for (size_t c = 0; c < mfg->cells; c++) m[c] += s->work[c];
  PetscFunctionReturn(0);
}

/* Coarse cells of the solver join both sides of a wall, so that an iterate may carry traces of what is on the other side. */
static void clear_empty_rooms(Mfg mfg, Upwind *s, double *m) {
  HcGrid g = mfg->grid;

  if (!s->occupied) return;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      const double *restrict o = s->occupied->c[0] + j * s->occupied->stride[1] + k * s->occupied->stride[2];
      double *restrict row = m + (size_t)(j + k * g->n[1]) * (size_t)g->n[0];
      for (PetscInt i = 0; i < g->n[0]; i++) row[i] = o[i] > 0 ? row[i] : 0;
    }
}

static PetscErrorCode implicit_fp(Mfg mfg) {
  Upwind *s = mfg->scheme_data;
  double *old = s->delta; /* the last iterate at level l; free here, used by hjb only */

  PetscFunctionBeginUser;
  PetscCall(PetscArraycpy(old, mfg->m, mfg->cells));
  for (PetscInt l = 0; l < mfg->steps; l++) {
    const double *now = MfgLevel(mfg, mfg->m, l);
    double *m = MfgLevel(mfg, mfg->m, l + 1), t = mfg->dt * (l + 1), exited[MFG_MAX_EXITS] = {0}, source, gained, scale;
    PetscInt krylov;
    PetscCall(load_level(mfg, s, MfgLevel(mfg, mfg->u, l), mfg->dt * l));
    PetscCall(transposed(mfg, s, mfg->dt, s->A));
    PetscCall(PetscArraycpy(s->rhs, now, mfg->cells));
    PetscCall(add_source(mfg, s, mfg->dt, t, s->rhs, &source));
    PetscCall(add_inflow(mfg, s, mfg->dt, t, s->rhs));
    scale = row_max_abs(mfg->cells, s->rhs);
    PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &scale, 1, MPI_DOUBLE, MPI_MAX, mfg->grid->comm));
    HcRequire(!PetscIsInfReal(scale), HC_EXIT_FAILED, "the density is not a number at time %g", t);
    shift_guess(mfg->cells, l > 0 ? PETSC_TRUE : PETSC_FALSE, now, m, old, s->change);
    HcTimerStart(HC_TIMER_SOLVE);
    PetscCall(HcStencilSolve(s->fp, s->A, s->rhs, m, 1e-14 * PetscMax(scale, 1e-300), &krylov));
    HcTimerStop(HC_TIMER_SOLVE);
    mfg->krylov_total += krylov;
    clear_empty_rooms(mfg, s, m);
    PetscCall(boundary_mass(mfg, s, mfg->dt, t, m, exited, &gained));
    PetscCall(HcStencilResidual(s->A, s->rhs, m, s->work));
    for (size_t c = 0; c < mfg->cells; c++) m[c] += s->work[c];
    MfgAccountExits(mfg, l + 1, exited);
    mfg->gained_level[l + 1] = mfg->gained_level[l] + source + gained;
  }
  PetscFunctionReturn(0);
}

/* m += dt (what neighbours send - what leaves): every transfer is one product, the same bits on both sides of a face. */
static PetscErrorCode explicit_fp_step(Mfg mfg, Upwind *s, double dt, double *m) {
  HcGrid g = mfg->grid;
  PetscInt n = g->n[0];
  double constant = 1 / mfg->control_cost;

  PetscFunctionBeginUser;
  HcFieldFromArray(s->m, 0, m);
  PetscCall(HcFieldExchange(s->m, HC_STAR));
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      PetscInt at = j * s->u->stride[1] + k * s->u->stride[2];
      const double *restrict u = s->u->c[0] + at, *restrict q = s->m->c[0] + at;
      const double *restrict w = s->w ? s->w->c[0] + at : NULL;
      double *restrict out = m + (size_t)(j + k * g->n[1]) * (size_t)n;
      for (int d = 0; d < g->dim; d++) {
        PetscInt stride = s->u->stride[d];
        const double *restrict ol = mfg->plan->open->c[d] + at, *restrict ou = ol + stride;
        const double *restrict ll = s->link->c[d] + at, *restrict lu = ll + stride;
        double inv_h = 1 / g->h[d], diffusion = mfg->nu * inv_h * inv_h;
        for (PetscInt i = 0; i < n; i++) {
          double dm = ol[i] * (u[i - stride] - u[i]) * inv_h, dp = ou[i] * (u[i + stride] - u[i]) * inv_h;
          double wi = w ? w[i] : constant, wm = w ? w[i - stride] : constant, wp = w ? w[i + stride] : constant;
          double cm = dt * ol[i] * (diffusion + wi * (dm < 0 ? -dm : 0) * inv_h);
          double cp = dt * ou[i] * (diffusion + wi * (dp < 0 ? -dp : 0) * inv_h);
          double bm = ll[i] * (dt * ol[i] * (diffusion + wm * (dm > 0 ? dm : 0) * inv_h));
          double bp = lu[i] * (dt * ou[i] * (diffusion + wp * (dp > 0 ? dp : 0) * inv_h));
          out[i] += (bm * q[i - stride] - cm * q[i]) + (bp * q[i + stride] - cp * q[i]);
        }
      }
    }
  PetscFunctionReturn(0);
}

/* What the agents m pay a time unit: the integral of (L + f) m, with L = sum w a_f^2 - H the Legendre transform along the policy
 * of the loaded u, and f in s->f. */
static PetscErrorCode cost_rate(Mfg mfg, Upwind *s, const double *m, double *rate) {
  HcGrid g = mfg->grid;
  Rows r = rows_of(s, g->n[0]);
  double share = hamiltonian_share(mfg);

  PetscFunctionBeginUser;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      PetscInt at = j * s->u->stride[1] + k * s->u->stride[2];
      size_t row = (size_t)(j + k * g->n[1]) * (size_t)g->n[0];
      row_differences(mfg, s, at, r);
      for (PetscInt i = 0; i < g->n[0]; i++) {
        double w = s->w ? s->w->c[0][at + i] : 1 / mfg->control_cost;
        s->work[row + (size_t)i] = ((1 - share) * w * r.S[i] + s->f[row + (size_t)i]) * m[row + (size_t)i];
      }
    }
  PetscCall(MfgIntegral(mfg, s->work, rate));
  PetscFunctionReturn(0);
}

/* March m. With `cost`, m is the flow of u already and is marched once more, to the same bits, to sum what it pays in each
 * substep: the policy may change much between two levels, as where a value jumps at an exit at the horizon. */
static PetscErrorCode explicit_march(Mfg mfg, double *cost) {
  Upwind *s = mfg->scheme_data;

  PetscFunctionBeginUser;
  for (PetscInt l = 0; l < mfg->steps; l++) {
    const double *u0 = MfgLevel(mfg, mfg->u, l), *u1 = MfgLevel(mfg, mfg->u, l + 1);
    double *m = MfgLevel(mfg, mfg->m, l + 1), done = 0, exited[MFG_MAX_EXITS] = {0}, gained_step = 0;
    if (cost) PetscCall(MfgRunningCost(mfg, mfg->dt * (l + 1), m, s->f));
    PetscCall(PetscArraycpy(m, MfgLevel(mfg, mfg->m, l), mfg->cells));
    while (done < 1) {
      /* With one substep the rates are those of u at the end of the interval, the exact transpose of the HJB step; with
       * more, u in between is linear in time. */
      double rate, part, parts, t, out[MFG_MAX_EXITS] = {0}, source, gained;
      PetscCall(load_level(mfg, s, u1, mfg->dt * (l + 1)));
      PetscCall(largest_rate(mfg, s, &rate));
      parts = PetscCeilReal(PetscMax((1 - done) * mfg->dt * rate / mfg->cfl, 1));
      for (;;) {
        part = (1 - done) / parts;
        double end = parts > 1 ? done + part : 1;
        if (end < 1) {
          for (size_t c = 0; c < mfg->cells; c++) s->delta[c] = u0[c] + end * (u1[c] - u0[c]);
          PetscCall(load_level(mfg, s, s->delta, mfg->dt * (l + end)));
          PetscCall(largest_rate(mfg, s, &rate));
        } else
          PetscCall(load_level(mfg, s, u1, mfg->dt * (l + 1)));
        HcRequire(rate < PETSC_INFINITY && parts < 1e6, HC_EXIT_FAILED,
          "the explicit scheme needs more than a million substeps at time %g: use time_stepping implicit", mfg->dt * l);
        if (part * mfg->dt * rate <= 1) break;
        parts *= 2;
      }
      t = mfg->dt * (l + done);
      if (cost) {
        double paid;
        PetscCall(cost_rate(mfg, s, m, &paid));
        *cost += part * mfg->dt * paid;
      }
      PetscCall(boundary_mass(mfg, s, part * mfg->dt, t, m, out, &gained));
      PetscCall(PetscArraycpy(s->rhs, m, mfg->cells));
      PetscCall(explicit_fp_step(mfg, s, part * mfg->dt, m));
      PetscCall(add_inflow(mfg, s, part * mfg->dt, t, m));
      PetscCall(add_source(mfg, s, part * mfg->dt, t, m, &source));
      for (PetscInt e = 0; e < mfg->exits; e++) exited[e] += out[e];
      gained_step += gained + source;
      done = parts > 1 ? done + part : 1;
    }
    MfgAccountExits(mfg, l + 1, exited);
    mfg->gained_level[l + 1] = mfg->gained_level[l] + gained_step;
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode explicit_fp(Mfg mfg) {
  PetscFunctionBeginUser;
  PetscCall(explicit_march(mfg, NULL));
  PetscFunctionReturn(0);
}

/* ---- what the policy costs ---------------------------------------------------------------------------------------- */

/* Mean velocity: rates to the right minus rates to the left, times h. */
static PetscErrorCode upwind_drift(Mfg mfg, PetscInt level, HcField drift) {
  Upwind *s = mfg->scheme_data;
  HcGrid g = mfg->grid;
  Rows r = rows_of(s, g->n[0]);

  PetscFunctionBeginUser;
  PetscCall(load_level(mfg, s, MfgLevel(mfg, mfg->u, level), mfg->dt * level));
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      PetscInt at = j * s->u->stride[1] + k * s->u->stride[2];
      row_differences(mfg, s, at, r);
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
  if (mfg->scheme != &MfgUpwindImplicit) PetscCall(explicit_march(mfg, cost));
  for (PetscInt l = 0; mfg->scheme == &MfgUpwindImplicit && l < mfg->steps; l++) {
    const double *m = MfgLevel(mfg, mfg->m, l + 1);
    PetscCall(load_level(mfg, s, MfgLevel(mfg, mfg->u, l), mfg->dt * l));
    PetscCall(MfgRunningCost(mfg, mfg->dt * (l + 1), m, s->f));
    PetscCall(cost_rate(mfg, s, m, &part));
    *cost += mfg->dt * part;
  }
  const double *m = MfgLevel(mfg, mfg->m, mfg->steps), *g_end = MfgLevel(mfg, mfg->u, mfg->steps);
  for (size_t c = 0; c < mfg->cells; c++) s->work[c] = g_end[c] * m[c];
  PetscCall(MfgIntegral(mfg, s->work, &part));
  *cost += part + mfg->exit_cost * mfg->exited_level[mfg->steps];
  PetscFunctionReturn(0);
}

const MfgScheme MfgUpwindImplicit = {"upwind, implicit", 1, upwind_create, upwind_bytes, implicit_hjb, implicit_fp, upwind_drift,
  upwind_policy_cost, upwind_destroy};
const MfgScheme MfgUpwindExplicit = {"upwind, explicit", 1, upwind_create, upwind_bytes, explicit_hjb, explicit_fp, upwind_drift,
  upwind_policy_cost, upwind_destroy};
