/*
 * Where the weno scheme falls back to the first-order monotone formulas of the upwind scheme.
 *
 * A cell is first order in a direction when a wall, a door, an exit face or a closed face cuts its seven-point stencil in that
 * direction; a face when its six-point stencil is cut. Plain reflecting faces of the domain do not cut: values continue as mirror
 * images. The cells on both sides of a first-order face are first order in its direction, so the outflow rates that such a
 * face needs exist on both sides, and the flux is one number seen from both cells.
 */
#include "weno.h"

/* Does the stencil pass the face with local index q of direction d? `line` points at the openness of face 0 of this line. */
static int passes(HcGrid g, int d, const double *line, ptrdiff_t stride, PetscInt q) {
  PetscInt n = g->n[d];

  for (int up = 0; up < 2; up++) {
    PetscInt edge = up ? n : 0, beyond = up ? q - n : -q;
    HcBoundary b = g->boundary[2 * d + up];
    if (!HcGridAtEdge(g, 2 * d + up) || b == HC_PERIODIC || beyond < 0) continue;
    if (b == HC_REFLECTING || b == HC_SYMMETRY) {
      if (beyond == 0) return 1;
      return line[(up ? edge - beyond : beyond) * stride] == 1;
    }
    if (beyond > 0) return 1;
  }
  return line[q * stride] == 1;
}

static int all_pass(HcGrid g, int d, const double *line, ptrdiff_t stride, PetscInt q0, PetscInt q1) {
  for (PetscInt q = q0; q <= q1; q++)
    if (!passes(g, d, line, stride, q)) return 0;
  return 1;
}

static PetscErrorCode copy_openness(Mfg mfg, HcField open) {
  HcGrid g = mfg->grid;
  HcField plan = mfg->plan->open;

  PetscFunctionBeginUser;
  for (int d = 0; d < g->dim; d++)
    for (PetscInt k = 0; k < g->n[2] + (d == 2); k++)
      for (PetscInt j = 0; j < g->n[1] + (d == 1); j++)
        for (PetscInt i = 0; i < g->n[0] + (d == 0); i++)
          open->c[d][i + MfgWenoOffset(open, j, k)] = plan->c[d][i + MfgWenoOffset(plan, j, k)];
  PetscCall(HcFieldExchange(open, HC_STAR)); /* leaves the upper domain faces' values alone */
  PetscFunctionReturn(0);
}

/* First-order faces of direction d; `id` (component d) becomes the index in the list + 1, -1 for closed faces, 0 for others. */
static PetscErrorCode list_faces(Mfg mfg, int d, HcField id) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  HcField region = mfg->plan->region;
  MfgWenoFaces *f = &w->face[d];
  ptrdiff_t s = w->open->stride[d];

  PetscFunctionBeginUser;
  for (int pass = 0; pass < 2; pass++) {
    f->n = f->nclosed = 0;
    for (PetscInt k = 0; k < g->n[2] + (d == 2); k++)
      for (PetscInt j = 0; j < g->n[1] + (d == 1); j++)
        for (PetscInt i = 0; i < g->n[0] + (d == 0); i++) {
          PetscInt at[3] = {i, j, k}, q = at[d];
          ptrdiff_t o = i + MfgWenoOffset(w->open, j, k), r = i + MfgWenoOffset(region, j, k);
          const double *line = w->open->c[d] + o - q * s;
          if (all_pass(g, d, line, s, q - 2, q + 2)) continue;
          int free_above = region->c[0][r] == HC_FREE, free_below = region->c[0][r - region->stride[d]] == HC_FREE;
          if (line[q * s] == 0 || (!free_above && !free_below)) {
            if (pass) f->closed[f->nclosed] = o, id->c[d][o] = -1;
            f->nclosed++;
          } else {
            if (pass) f->o[f->n] = o, f->open[f->n] = line[q * s], id->c[d][o] = (double)f->n + 1;
            f->n++;
          }
        }
    if (!pass) {
      PetscCall(PetscMalloc1(f->n, &f->o));
      PetscCall(PetscMalloc1(f->n, &f->open));
      PetscCall(PetscMalloc1(f->nclosed, &f->closed));
    }
  }
  f->base = w->faces;
  w->faces += f->n;
  PetscFunctionReturn(0);
}

static PetscErrorCode list_cells(Mfg mfg, HcField id) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  HcField region = mfg->plan->region;

  PetscFunctionBeginUser;
  PetscCall(PetscMalloc2(g->n[1] * g->n[2] + 1, &w->row_cell, g->n[1] * g->n[2] + 1, &w->row_inactive));
  for (int pass = 0; pass < 2; pass++) {
    PetscInt count = 0;
    w->ninactive = 0;
    for (PetscInt k = 0; k < g->n[2]; k++)
      for (PetscInt j = 0; j < g->n[1]; j++) {
        w->row_cell[j + g->n[1] * k] = count;
        w->row_inactive[j + g->n[1] * k] = w->ninactive;
        for (PetscInt i = 0; i < g->n[0]; i++) {
          PetscInt at[3] = {i, j, k};
          ptrdiff_t o = i + MfgWenoOffset(w->open, j, k);
          MfgWenoCell cell = {.i = i};
          if (region->c[0][i + MfgWenoOffset(region, j, k)] != HC_FREE) {
            if (pass) w->inactive[w->ninactive] = MfgWenoOwned(g, j, k) + i, w->inactive_o[w->ninactive] = o;
            w->ninactive++;
            continue;
          }
          for (int d = 0; d < g->dim; d++) {
            ptrdiff_t s = w->open->stride[d];
            if (!all_pass(g, d, w->open->c[d] + o - at[d] * s, s, at[d] - 2, at[d] + 3)) cell.low |= 1 << d;
            for (int up = 0; up < 2; up++) {
              PetscInt number = (PetscInt)id->c[d][o + up * s];
              cell.face[2 * d + up] = number > 0 ? w->face[d].base + number - 1 : number < 0 ? -2 : -1;
            }
          }
          if (!cell.low) continue;
          if (pass) w->cell[count] = cell;
          count++;
        }
      }
    w->row_cell[g->n[1] * g->n[2]] = count;
    w->row_inactive[g->n[1] * g->n[2]] = w->ninactive;
    if (!pass) {
      PetscCall(PetscMalloc1(count, &w->cell));
      PetscCall(PetscMalloc2(w->ninactive, &w->inactive, w->ninactive, &w->inactive_o));
    }
  }
  PetscFunctionReturn(0);
}

/* Exits and given faces, each counted by the rank that owns the free cell inside. */
static PetscErrorCode list_crossings(Mfg mfg) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  HcField region = mfg->plan->region;

  PetscFunctionBeginUser;
  for (int pass = 0; pass < 2; pass++) {
    PetscInt count = 0;
    for (PetscInt k = 0; k < g->n[2]; k++)
      for (PetscInt j = 0; j < g->n[1]; j++)
        for (PetscInt i = 0; i < g->n[0]; i++)
          for (int f = 0; f < 2 * g->dim; f++) {
            PetscInt at[3] = {i, j, k};
            int d = f / 2, up = f % 2, account = MfgExitBehind(mfg, i, j, k, f);
            ptrdiff_t o = i + MfgWenoOffset(w->open, j, k) + up * w->open->stride[d];
            PetscBool given = g->boundary[f] == HC_GIVEN && HcGridAtEdge(g, f) && at[d] == (up ? g->n[d] - 1 : 0) &&
                              w->open->c[d][o] == 1 && region->c[0][i + MfgWenoOffset(region, j, k)] == HC_FREE;
            if (account < 0 && !given) continue;
            if (pass) w->crossing[count] = (MfgWenoCrossing){d, account, o, (up ? 1 : -1) * g->volume * w->inv_h[d]};
            count++;
          }
    if (!pass) PetscCall(PetscMalloc3(count, &w->crossing, count, &w->crossed, count, &w->account));
    w->ncrossing = count;
  }
  PetscFunctionReturn(0);
}

PetscErrorCode MfgWenoWallsCreate(Mfg mfg) {
  MfgWeno w = mfg->scheme_data;
  HcGrid g = mfg->grid;
  HcField id;

  PetscFunctionBeginUser;
  PetscCall(HcFieldCreate(g, (int)g->dim, MFG_WENO_WIDTH, &w->open));
  PetscCall(copy_openness(mfg, w->open));
  PetscCall(HcFieldCreate(g, (int)g->dim, MFG_WENO_WIDTH, &id));
  for (int d = 0; d < g->dim; d++) PetscCall(list_faces(mfg, d, id));
  PetscCall(list_cells(mfg, id));
  PetscCall(HcFieldDestroy(&id));
  PetscCall(list_crossings(mfg));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgWenoWallsDestroy(MfgWeno w) {
  PetscFunctionBeginUser;
  PetscCall(HcFieldDestroy(&w->open));
  for (int d = 0; d < 3; d++) {
    PetscCall(PetscFree(w->face[d].o));
    PetscCall(PetscFree(w->face[d].open));
    PetscCall(PetscFree(w->face[d].closed));
  }
  PetscCall(PetscFree2(w->row_cell, w->row_inactive));
  PetscCall(PetscFree(w->cell));
  PetscCall(PetscFree2(w->inactive, w->inactive_o));
  PetscCall(PetscFree3(w->crossing, w->crossed, w->account));
  PetscFunctionReturn(0);
}
