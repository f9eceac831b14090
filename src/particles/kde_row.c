/* One direction's kernel on cell centres: cut off, normalised, and folded back at faces. */
#include "kde_private.h"
#include "numerics/gaussian.h"
#include <math.h>
#include <string.h>

PetscInt hc_kde_half_width(HcKde kde, int d) {
  return (PetscInt)floor(kde->spec.truncation * kde->spec.bandwidth[d] / kde->grid->h[d]);
}

PetscInt hc_kde_row_room(HcKde kde, int d) { return 2 * hc_kde_half_width(kde, d) + 3; }

/* Values at nodes first .. first+count-1 of a source at node coordinate t. */
static void free_row(HcKde kde, int d, double t, HcKernelRow *row) {
  const double b = kde->spec.bandwidth[d], h = kde->grid->h[d], radius = kde->spec.truncation * b / h;
  const double first = ceil(t - radius), last = floor(t + radius);
  double sum = 0;
  row->first = (PetscInt)first;
  row->count = (PetscInt)(last - first) + 1;
  if (row->count > 0) HcGaussianRow((size_t)row->count, (first - t) * (h / b), h / b, 1 / (sqrt(2 * M_PI) * b), row->value);
  if (!kde->spec.renormalise) return;
  for (PetscInt i = 0; i < row->count; ++i) sum += row->value[i];
  if (sum > 0) {
    const double scale = 1 / (sum * h);
    for (PetscInt i = 0; i < row->count; ++i) row->value[i] *= scale;
  } else { /* so narrow that no centre is within reach: all of it goes to the nearest */
    row->first = (PetscInt)floor(t + 0.5);
    row->count = 1;
    row->value[0] = 1 / h;
  }
}

static PetscBool periodic(HcKde kde, int d) { return kde->grid->boundary[2 * d] == HC_PERIODIC ? PETSC_TRUE : PETSC_FALSE; }

static PetscInt modulo(PetscInt i, PetscInt n) { return (i % n + n) % n; }

/* Add up what lies a period apart; the new row begins at `first` and has `period` nodes. */
static void fold_period(HcKernelRow *row, PetscInt first, PetscInt period) {
  memset(row->work, 0, sizeof *row->work * (size_t)period);
  for (PetscInt i = 0; i < row->count; ++i) row->work[modulo(row->first + i - first, period)] += row->value[i];
  memcpy(row->value, row->work, sizeof *row->work * (size_t)period);
  row->first = first;
  row->count = period;
}

/* Mirror nodes below 0 and from N on into the grid: node -1-i is the image of i. */
static void mirror(HcKernelRow *row, PetscInt cells) {
  PetscInt lo = PetscMax(row->first, 0), hi = PetscMin(row->first + row->count, cells);
  if (row->first >= 0 && row->first + row->count <= cells) return;
  for (PetscInt i = 0; i < row->count; ++i) {
    const PetscInt m = modulo(row->first + i, 2 * cells), node = m < cells ? m : 2 * cells - 1 - m;
    lo = PetscMin(lo, node);
    hi = PetscMax(hi, node + 1);
  }
  memset(row->work, 0, sizeof *row->work * (size_t)(hi - lo));
  for (PetscInt i = 0; i < row->count; ++i) {
    const PetscInt m = modulo(row->first + i, 2 * cells), node = m < cells ? m : 2 * cells - 1 - m;
    row->work[node - lo] += row->value[i];
  }
  memcpy(row->value, row->work, sizeof *row->work * (size_t)(hi - lo));
  row->first = lo;
  row->count = hi - lo;
}

static void clip(HcKernelRow *row, PetscInt cells) {
  const PetscInt lo = PetscMax(row->first, 0), hi = PetscMin(row->first + row->count, cells);
  if (hi <= lo) {
    row->count = 0;
    return;
  }
  memmove(row->value, row->value + (lo - row->first), sizeof *row->value * (size_t)(hi - lo));
  row->first = lo;
  row->count = hi - lo;
}

void hc_kde_point_row(HcKde kde, int d, double x, HcKernelRow *row) {
  const double t = (x - kde->grid->lower[d]) / kde->grid->h[d] - 0.5;
  const PetscInt cells = kde->grid->cells[d];
  free_row(kde, d, t, row);
  if (periodic(kde, d)) {
    if (row->count > cells) fold_period(row, (PetscInt)floor(t) - (cells - 1) / 2, cells);
  } else if (kde->spec.reflect)
    mirror(row, cells);
  else
    clip(row, cells);
}

void hc_kde_taps(HcKde kde, int d, PetscBool fold, HcKernelRow *taps) {
  const PetscInt cells = kde->grid->cells[d];
  free_row(kde, d, 0, taps);
  if (!fold) return;
  if (periodic(kde, d)) {
    if (taps->count > cells) fold_period(taps, -((cells - 1) / 2), cells);
  } else if (kde->spec.reflect) {
    if (taps->count > 2 * cells) fold_period(taps, -(cells - 1), 2 * cells);
  } else if (taps->count > 2 * cells + 3) { /* sources -1 .. N are at most N+1 nodes away */
    const PetscInt keep = cells + 1;
    memmove(taps->value, taps->value + (-keep - taps->first), sizeof *taps->value * (size_t)(2 * keep + 1));
    taps->first = -keep;
    taps->count = 2 * keep + 1;
  }
}
