/*
 * Storage of fields: one allocation, components one after the other, rows of x with a lead and padding.
 *
 * Rows start on a cache line at i = 0. The right ghosts of a row and the left ghosts of the next share the padding
 * between them: a row takes n + 2 width rounded up to 8 doubles, and only the first row needs a lead of its own.
 */
#include "grid_private.h"
#include <stdlib.h>
#include <string.h>

enum { LINE = 8, PAGE = 512, TAIL = 16 }; /* doubles in a cache line, in a page, behind the last row */

static size_t round_up(size_t n) { return (n + LINE - 1) / LINE * LINE; }

/* Strides of whole pages would put every row (plane, component) into the same sets of the first-level cache. */
static size_t off_page(size_t stride) { return stride % PAGE ? stride : stride + LINE; }

void hc_layout(HcGrid g, int components, PetscInt width, HcLayout *l) {
  size_t ghosted[3];
  for (int d = 0; d < 3; ++d) ghosted[d] = (size_t)(g->n[d] + (d < g->dim ? 2 * width : 0));
  const size_t row = g->dim > 1 ? off_page(round_up(ghosted[0])) : round_up(ghosted[0]);
  const size_t plane = g->dim > 2 ? off_page(row * ghosted[1]) : row * ghosted[1];
  const size_t wy = g->dim > 1 ? (size_t)width : 0, wz = g->dim > 2 ? (size_t)width : 0;
  l->stride[0] = 1;
  l->stride[1] = (PetscInt)row;
  l->stride[2] = (PetscInt)plane;
  l->component = components > 1 ? off_page(plane * ghosted[2]) : plane * ghosted[2];
  l->origin = round_up((size_t)width) + wy * row + wz * plane;
  l->total = round_up((size_t)width) + (size_t)components * l->component + TAIL;
}

PetscErrorCode hc_allocate(size_t n, const char *what, double **memory) {
  void *p = NULL;
  PetscFunctionBeginUser;
  if (posix_memalign(&p, 64, n * sizeof(double)))
    PetscCall(HcFail(HC_EXIT_INPUT, "grid_cells: this rank cannot get %.1f MB for %s; use more ranks or fewer cells",
      (double)n * sizeof(double) / 1e6, what));
  *memory = p;
  PetscFunctionReturn(0);
}

/* The thinnest block of all ranks decides, so that all ranks find the same error. */
static PetscErrorCode check_width(HcGrid g, PetscInt width) {
  PetscFunctionBeginUser;
  for (PetscInt d = 0; d < g->dim; ++d) {
    const PetscInt thinnest = g->cells[d] / g->ranks[d];
    HcRequire(thinnest >= width, HC_EXIT_INPUT,
      "grid_cells: blocks of %lld cells in direction %c are thinner than the %lld ghost layers; use fewer ranks or more cells",
      (long long)thinnest, "xyz"[d], (long long)width);
  }
  PetscFunctionReturn(0);
}

PetscErrorCode HcFieldCreate(HcGrid grid, int components, PetscInt width, HcField *field) {
  HcField f;
  HcLayout l;
  double *memory = NULL;
  PetscFunctionBeginUser;
  *field = NULL;
  PetscCheck(
    components >= 1 && components <= HC_MAX_COMPONENTS, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "%d components", components);
  PetscCheck(width >= 0 && width <= HC_MAX_WIDTH, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "%d ghost layers", (int)width);
  PetscCall(check_width(grid, width));
  hc_layout(grid, components, width, &l);
  PetscCall(hc_allocate(l.total, "a field", &memory));
  memset(memory, 0, l.total * sizeof(double)); /* also places the pages near this rank's core */
  PetscCall(PetscNew(&f));
  f->grid = grid;
  f->components = components;
  f->width = width;
  memcpy(f->stride, l.stride, sizeof f->stride);
  f->component_stride = l.component;
  f->allocation = memory;
  for (int c = 0; c < components; ++c) f->c[c] = memory + l.origin + (size_t)c * l.component;
  *field = f; /* so that a caller can destroy what a failure of the buffers leaves */
  PetscCall(hc_exchange_create(f));
  PetscFunctionReturn(0);
}

PetscErrorCode HcFieldDestroy(HcField *field) {
  PetscFunctionBeginUser;
  if (!*field) PetscFunctionReturn(0);
  PetscCall(hc_exchange_destroy(*field));
  free((*field)->allocation);
  PetscCall(PetscFree(*field));
  PetscFunctionReturn(0);
}

double HcFieldBytes(HcGrid grid, int components, PetscInt width) {
  HcLayout l;
  hc_layout(grid, components, width, &l);
  return (double)l.total * sizeof(double) + sizeof(struct HcField_) + hc_exchange_bytes(grid, components, width);
}

void HcFieldToArray(HcField f, int c, double *array) {
  const PetscInt *n = f->grid->n;
  for (PetscInt k = 0; k < n[2]; ++k)
    for (PetscInt j = 0; j < n[1]; ++j)
      memcpy(array + (size_t)n[0] * (size_t)(j + n[1] * k), f->c[c] + j * f->stride[1] + k * f->stride[2],
        sizeof(double) * (size_t)n[0]);
}

void HcFieldFromArray(HcField f, int c, const double *array) {
  const PetscInt *n = f->grid->n;
  for (PetscInt k = 0; k < n[2]; ++k)
    for (PetscInt j = 0; j < n[1]; ++j)
      memcpy(f->c[c] + j * f->stride[1] + k * f->stride[2], array + (size_t)n[0] * (size_t)(j + n[1] * k),
        sizeof(double) * (size_t)n[0]);
}
