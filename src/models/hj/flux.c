/* Numerical Hamiltonians on rows. */
#include "hj.h"
#include <string.h>

static inline double max2(double a, double b) { return a > b ? a : b; }
static inline double min2(double a, double b) { return a < b ? a : b; }

/* The box between the one-sided derivatives. */
static void box_row(PetscInt n, const double *m, const double *p, double *restrict lo, double *restrict hi) {
  for (PetscInt i = 0; i < n; ++i) lo[i] = min2(m[i], p[i]), hi[i] = max2(m[i], p[i]);
}

/* H((m+p)/2) - sum_d alpha_d (p_d - m_d)/2 with alpha_d = max |dH/dp_d| over the box of the cell (Osher & Shu 1991). */
void HjFluxLocal(const HjHamiltonian *H, const HjRow *row, const double *const m[3], const double *const p[3], double *const a[3],
  double *restrict out) {
  double lo[3][HJ_ROW], hi[3][HJ_ROW];
  const double *const l[3] = {lo[0], lo[1], lo[2]}, *const h[3] = {hi[0], hi[1], hi[2]};
  const PetscInt n = row->n;
  for (int d = 0; d < H->dim; ++d) box_row(n, m[d], p[d], lo[d], hi[d]);
  HjSpeeds(H, row, l, h, a);
  for (int d = 0; d < H->dim; ++d)
    for (PetscInt i = 0; i < n; ++i) lo[d][i] = 0.5 * (m[d][i] + p[d][i]);
  HjValue(H, row, l, out);
  for (int d = 0; d < H->dim; ++d) {
    const double *restrict ad = a[d];
    for (PetscInt i = 0; i < n; ++i) out[i] -= ad[i] * (0.5 * (p[d][i] - m[d][i]));
  }
}

/* H increasing in |p_d|: the steeper of the two upwind differences (Osher & Sethian 1988; Rouy & Tourin 1992). */
static void steeper(PetscInt n, const double *m, const double *p, const double *F, double *restrict out) {
  for (PetscInt i = 0; i < n; ++i) {
    const double outward = max2(max2(m[i], 0), -min2(p[i], 0)), inward = max2(max2(p[i], 0), -min2(m[i], 0));
    out[i] = F && F[i] < 0 ? inward : outward;
  }
}

/*
 * H_d convex: the minimum over [m,p] where m <= p, the maximum over [p,m], at an end, where m > p. The minimum inside is
 * where the slope changes sign, found by bisection to the last bit; each element takes the same steps wherever it stands.
 */
static void convex_choice(
  const HjHamiltonian *H, const HjRow *row, int d, const double *const m[3], const double *const p[3], double *restrict out) {
  double lo[HJ_ROW], hi[HJ_ROW], sl[HJ_ROW], sh[HJ_ROW];
  const PetscInt n = row->n;
  const double *at[3] = {m[0], m[1], m[2]};
  PetscInt inside = 0, crossed = 0;
  box_row(n, m[d], p[d], lo, hi);
  at[d] = lo;
  H->kind->slope(H, row, d, at, sl);
  at[d] = hi;
  H->kind->slope(H, row, d, at, sh);
  for (PetscInt i = 0; i < n; ++i) {
    inside += m[d][i] < p[d][i] && sl[i] < 0 && sh[i] > 0;
    crossed += m[d][i] > p[d][i];
    out[i] = sl[i] >= 0 ? lo[i] : hi[i];
  }
  if (crossed) {
    double vl[HJ_ROW], vh[HJ_ROW];
    at[d] = lo;
    HjValue(H, row, at, vl);
    at[d] = hi;
    HjValue(H, row, at, vh);
    for (PetscInt i = 0; i < n; ++i)
      if (m[d][i] > p[d][i]) out[i] = vl[i] > vh[i] ? lo[i] : hi[i];
  }
  if (!inside) return;
  PetscBool open[HJ_ROW];
  double middle[HJ_ROW], s[HJ_ROW];
  for (PetscInt i = 0; i < n; ++i) open[i] = m[d][i] < p[d][i] && sl[i] < 0 && sh[i] > 0 ? PETSC_TRUE : PETSC_FALSE;
  at[d] = middle;
  for (int step = 0; step < 60; ++step) {
    for (PetscInt i = 0; i < n; ++i) middle[i] = 0.5 * (lo[i] + hi[i]);
    H->kind->slope(H, row, d, at, s);
    for (PetscInt i = 0; i < n; ++i)
      if (s[i] < 0)
        lo[i] = middle[i];
      else
        hi[i] = middle[i];
  }
  for (PetscInt i = 0; i < n; ++i)
    if (open[i]) out[i] = hi[i];
}

void HjFluxGodunov(const HjHamiltonian *H, const HjRow *row, const double *const m[3], const double *const p[3],
  double *const a[3], double *restrict out) {
  double lo[3][HJ_ROW], hi[3][HJ_ROW], F[HJ_ROW];
  const double *const l[3] = {lo[0], lo[1], lo[2]}, *const h[3] = {hi[0], hi[1], hi[2]};
  const PetscInt n = row->n;
  for (int d = 0; d < H->dim; ++d) box_row(n, m[d], p[d], lo[d], hi[d]);
  HjSpeeds(H, row, l, h, a);
  if (H->speed) HjSpeedRow(H, row, F);
  for (int d = 0; d < H->dim; ++d) {
    if (H->godunov == HJ_GODUNOV_INCREASING)
      steeper(n, m[d], p[d], H->speed ? F : NULL, lo[d]);
    else
      convex_choice(H, row, d, m, p, lo[d]);
  }
  HjValue(H, row, l, out);
}
