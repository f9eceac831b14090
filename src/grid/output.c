/* fields_NNNNNN.h5: the fields of one moment, and the index over all of them (xdmf.c). */
#include "hdf5_file.h"
#include "xdmf.h"
#include <halocline/io.h>
#include <stdio.h>
#include <string.h>

struct HcOutput_ {
  HcGrid grid;
  char dir[PETSC_MAX_PATH_LEN];
  PetscInt index;
  HcWriter writer;
  PetscInt selected;
  const char *const *select; /* borrowed */
  PetscBool *offered;        /* which of them the model has */
};

/* Cell centres, and nodes for the index, along one direction. */
static PetscErrorCode write_axis(HcOutput out, int d) {
  HcGrid g = out->grid;
  const hsize_t n = (hsize_t)g->cells[d];
  double *x;
  char name[32];
  hid_t set;
  PetscFunctionBeginUser;
  PetscCall(PetscMalloc1(n + 1, &x));
  for (int nodes = 0; nodes < 2; ++nodes) {
    const hsize_t dims[1] = {n + (hsize_t)nodes};
    for (hsize_t i = 0; i < dims[0]; ++i) x[i] = g->lower[d] + ((double)i + (nodes ? 0 : 0.5)) * g->h[d];
    if (nodes) x[n] = g->upper[d];
    snprintf(name, sizeof name, "/grid/%c%s", "xyz"[d], nodes ? "_nodes" : "");
    PetscErrorCode code = hc_writer_set(&out->writer, name, 1, dims, &set, NULL);
    if (!code) {
      code = hc_writer_small(&out->writer, set, x);
      H5Dclose(set);
    }
    if (code) {
      PetscCall(PetscFree(x));
      PetscFunctionReturn(code);
    }
  }
  PetscCall(PetscFree(x));
  PetscFunctionReturn(0);
}

static PetscErrorCode write_grid(HcOutput out) {
  HcGrid g = out->grid;
  int64_t cells[3], dim = g->dim;
  PetscFunctionBeginUser;
  for (int d = 0; d < g->dim; ++d) PetscCall(write_axis(out, d));
  for (int d = 0; d < 3; ++d) cells[d] = g->cells[d];
  hid_t group = H5Gopen2(out->writer.id, "grid", H5P_DEFAULT);
  int ok = group >= 0 && hc_attribute_ints(group, "dim", 1, &dim) && hc_attribute_ints(group, "cells", 3, cells) &&
           hc_attribute_reals(group, "lower", 3, g->lower) && hc_attribute_reals(group, "upper", 3, g->upper);
  if (group >= 0) H5Gclose(group);
  /* a file without fields still has the group */
  group = H5Gcreate2(out->writer.id, "fields", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  ok = group >= 0 && H5Gclose(group) >= 0 && ok;
  PetscCall(hc_writer_agree(&out->writer, ok));
  PetscFunctionReturn(0);
}

static PetscErrorCode start(HcOutput out, PetscInt step, double time) {
  const int64_t number = step;
  char path[PETSC_MAX_PATH_LEN];
  PetscFunctionBeginUser;
  PetscCall(PetscSNPrintf(path, sizeof path, "%s/fields_%06d.h5", out->dir, (int)out->index));
  PetscCall(hc_writer_create(out->grid->comm, path, 0, &out->writer));
  int ok = hc_attribute_reals(out->writer.id, "time", 1, &time) && hc_attribute_ints(out->writer.id, "step", 1, &number) &&
           hc_attribute_text(out->writer.id, "version", "halocline " HC_VERSION);
  PetscCall(hc_writer_agree(&out->writer, ok));
  PetscCall(write_grid(out));
  PetscFunctionReturn(0);
}

PetscErrorCode HcOutputOpen(const char *dir, HcGrid grid, PetscInt index, PetscInt step, double time, HcOutput *out) {
  HcOutput o;
  PetscFunctionBeginUser;
  *out = NULL;
  PetscCall(PetscNew(&o));
  o->grid = grid;
  o->index = index;
  PetscCall(PetscStrncpy(o->dir, dir, sizeof o->dir));
  PetscErrorCode code = start(o, step, time);
  if (code) {
    PetscCall(PetscFree(o));
    PetscFunctionReturn(code);
  }
  *out = o;
  PetscFunctionReturn(0);
}

PetscErrorCode HcOutputSelect(HcOutput out, PetscInt n, const char *const names[]) {
  PetscFunctionBeginUser;
  PetscCall(PetscFree(out->offered));
  out->select = names;
  out->selected = names ? n : 0;
  PetscCall(PetscCalloc1(out->selected, &out->offered));
  PetscFunctionReturn(0);
}

PetscBool HcOutputWants(HcOutput out, const char *name) {
  PetscBool wanted = out->selected == 0 ? PETSC_TRUE : PETSC_FALSE;
  for (PetscInt i = 0; i < out->selected; ++i)
    if (!strcmp(out->select[i], name)) wanted = out->offered[i] = PETSC_TRUE;
  return wanted;
}

PetscErrorCode HcOutputField(HcOutput out, const char *name, HcField f, int c, const char *units, const char *description) {
  HcWriter *w = &out->writer;
  char path[256];
  HcShare share;
  hid_t set;
  PetscFunctionBeginUser;
  if (!HcOutputWants(out, name)) PetscFunctionReturn(0);
  hc_share_of_grid(f->grid, 0, &share);
  PetscCall(PetscSNPrintf(path, sizeof path, "/fields/%s", name));
  PetscCall(hc_writer_set(w, path, share.rank, share.dims, &set, NULL));
  PetscCall(hc_writer_block(w, set, &share, hc_memory_of_field(f), f->c[c]));
  int ok = hc_attribute_text(set, "units", units) && hc_attribute_text(set, "description", description);
  ok = H5Dclose(set) >= 0 && ok;
  PetscCall(hc_writer_agree(w, ok));
  PetscFunctionReturn(0);
}

/* What the user asked for and the model does not have is a mistake of the input, found at the first output. */
static PetscErrorCode check_selection(HcOutput out) {
  PetscFunctionBeginUser;
  for (PetscInt i = 0; i < out->selected; ++i)
    HcRequire(out->offered[i], HC_EXIT_INPUT, "output_fields: this model has no field '%s' to write", out->select[i]);
  PetscFunctionReturn(0);
}

static PetscErrorCode finish(HcOutput out) {
  HcWriter *w = &out->writer;
  const PetscBool writes_index = w->rank == 0 ? PETSC_TRUE : PETSC_FALSE;
  PetscFunctionBeginUser;
  PetscCall(hc_writer_close(w));
  /* The index never lists a file whose content it does not know: those of an abandoned continuation go before they are replaced.
   */
  PetscErrorCode local = writes_index ? hc_xdmf_rewrite(out->dir, out->index - 1, PETSC_TRUE) : 0;
  PetscCall(HcAgree(w->comm, local));
  PetscCall(hc_writer_publish(w));
  local = writes_index ? hc_xdmf_rewrite(out->dir, out->index, PETSC_FALSE) : 0;
  PetscCall(HcAgree(w->comm, local));
  PetscFunctionReturn(0);
}

PetscErrorCode HcOutputClose(HcOutput *out) {
  HcOutput o = *out;
  PetscFunctionBeginUser;
  if (!o) PetscFunctionReturn(0);
  *out = NULL;
  PetscErrorCode code = o->writer.failed ? o->writer.failed : check_selection(o);
  if (!code) code = finish(o);
  hc_writer_abandon(&o->writer);
  PetscCall(PetscFree(o->offered));
  PetscCall(PetscFree(o));
  PetscFunctionReturn(code);
}
