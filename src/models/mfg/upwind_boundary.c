/* Mass of the upwind scheme through exits and given faces. */
#include "upwind.h"

PetscErrorCode upwind_list_faces(Mfg mfg, Upwind *s) {
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
PetscErrorCode upwind_boundary_mass(
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
PetscErrorCode upwind_add_inflow(Mfg mfg, Upwind *s, double dt, double t, double *b) {
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
