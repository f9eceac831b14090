/*
 * Data on a grid of their own, brought to the cells of ours by (multi)linear interpolation.
 *
 * The data are values at the centres of n[d] cells over the same box. The centre of our cell i of N lies at
 * ((2i+1) n - N) / (2N) in their index, computed in integers: equal grids give the data's own bits, on any number of
 * ranks. Beyond the outermost centres the nearest value holds. A rank reads two planes at a time of what it needs.
 */
#define _GNU_SOURCE
#include "source_file.h"
#include "hdf5_file.h"
#include "picture.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Along one direction: our cell i lies between data cells lo[i] and hi[i], weight[i] of the way. */
typedef struct {
  PetscInt *lo, *hi;
  double *weight;
  int64_t first, count; /* the range that this rank reads */
} Axis;

/* Where planes come from: a data set, or a picture in memory. */
typedef struct {
  int dim;
  hid_t set;
  const HcPicture *pic;
} Data;

static PetscErrorCode make_axis(HcGrid g, int d, int64_t data_cells, Axis *a) {
  const int64_t n = data_cells, cells = g->cells[d];
  PetscFunctionBeginUser;
  PetscCall(PetscMalloc3(g->n[d], &a->lo, g->n[d], &a->hi, g->n[d], &a->weight));
  for (PetscInt i = 0; i < g->n[d]; ++i) {
    const int64_t top = (2 * (int64_t)(g->start[d] + i) + 1) * n - cells, whole = top >= 0 ? top / (2 * cells) : -1;
    const int64_t lo = PetscMax(whole, 0), hi = PetscMin(whole + 1, n - 1);
    a->lo[i] = (PetscInt)lo;
    a->hi[i] = (PetscInt)hi;
    a->weight[i] = lo < hi ? (double)(top - 2 * cells * whole) / (double)(2 * cells) : 0;
  }
  a->first = a->lo[0];
  a->count = a->hi[g->n[d] - 1] - a->first + 1;
  PetscFunctionReturn(0);
}

static int all_finite(const double *v, size_t n) {
  int bad = 0;
  for (size_t i = 0; i < n; ++i) bad |= !(v[i] - v[i] == 0);
  return !bad;
}

/* Read plane `s` (of the slowest direction; the whole line in 1D) over the ranges of the other axes. 0, or 1 with a reason. */
static int read_plane(const Data *data, int64_t s, const Axis axis[3], double *plane, const char **why) {
  const size_t n = (size_t)(axis[0].count * (data->dim > 2 ? axis[1].count : 1));
  if (data->pic) {
    for (int64_t j = 0; j < (data->dim > 2 ? axis[1].count : 1); ++j) {
      const int64_t y = data->dim > 2 ? axis[1].first + j : s;
      const uint16_t *row = data->pic->pixel + (size_t)y * (size_t)data->pic->size[0] + axis[0].first;
      for (int64_t i = 0; i < axis[0].count; ++i) plane[j * axis[0].count + i] = row[i] / 65535.0;
    }
    return 0;
  }
  hsize_t start[3], count[3], length = n;
  for (int d = 0; d < data->dim; ++d) {
    const int q = data->dim - 1 - d, slowest = d == data->dim - 1 && d > 0;
    start[q] = (hsize_t)(slowest ? s : axis[d].first);
    count[q] = slowest ? 1 : (hsize_t)axis[d].count;
  }
  hid_t file = H5Dget_space(data->set), memory = H5Screate_simple(1, &length, NULL);
  H5Sselect_hyperslab(file, H5S_SELECT_SET, start, NULL, count, NULL);
  int ok = H5Dread(data->set, H5T_NATIVE_DOUBLE, memory, file, H5P_DEFAULT, plane) >= 0;
  H5Sclose(memory);
  H5Sclose(file);
  *why = ok ? "holds values that are not finite numbers" : "cannot be read";
  return !ok || !all_finite(plane, n);
}

static double between(double a, double b, double weight) { return (1 - weight) * a + weight * b; }

/* One row of ours out of a plane. */
static void sample_row(const double *below, const double *above, double weight, const Axis *x, PetscInt n, double *out) {
  for (PetscInt i = 0; i < n; ++i) {
    const int64_t lo = x->lo[i] - x->first, hi = x->hi[i] - x->first;
    out[i] = between(between(below[lo], below[hi], x->weight[i]), between(above[lo], above[hi], x->weight[i]), weight);
  }
}

/* Interpolate all owned cells. 0, or 1 with a reason. */
static int sample(HcGrid g, const Data *data, const Axis axis[3], double *values, const char **why) {
  const int slow = data->dim > 1 ? data->dim - 1 : 2; /* 2 is an unused direction of one cell */
  const size_t n = (size_t)(axis[0].count * (data->dim > 2 ? axis[1].count : 1)), row = (size_t)g->n[0];
  double *plane[3] = {NULL, NULL, NULL}; /* at lo, at hi, between */
  int64_t held[2] = {-1, -1};
  int failed = 0;
  for (int p = 0; p < 3; ++p) failed |= !(plane[p] = malloc(n * sizeof(double)));
  *why = "needs more memory than there is";
  for (PetscInt q = 0; q < g->n[slow] && !failed; ++q) {
    const int64_t want[2] = {axis[slow].lo[q], axis[slow].hi[q]};
    if (held[1] == want[0]) {
      double *swap = plane[0];
      plane[0] = plane[1];
      plane[1] = swap;
      held[1] = held[0];
      held[0] = want[0];
    }
    for (int p = 0; p < 2 && !failed; ++p) {
      if (held[p] == want[p]) continue;
      if (p == 1 && want[1] == want[0])
        memcpy(plane[1], plane[0], n * sizeof(double));
      else
        failed = read_plane(data, want[p], axis, plane[p], why);
      held[p] = want[p];
    }
    if (failed) break;
    for (size_t i = 0; i < n; ++i) plane[2][i] = between(plane[0][i], plane[1][i], axis[slow].weight[q]);
    if (data->dim < 3) {
      sample_row(plane[2], plane[2], 0, &axis[0], g->n[0], values + (size_t)q * row);
      continue;
    }
    for (PetscInt j = 0; j < g->n[1]; ++j) {
      const double *below = plane[2] + (axis[1].lo[j] - axis[1].first) * axis[0].count;
      const double *above = plane[2] + (axis[1].hi[j] - axis[1].first) * axis[0].count;
      sample_row(below, above, axis[1].weight[j], &axis[0], g->n[0], values + ((size_t)q * (size_t)g->n[1] + (size_t)j) * row);
    }
  }
  for (int p = 0; p < 3; ++p) free(plane[p]);
  return failed;
}

/* Allocate and fill the values; *failed tells this rank's trouble. */
static PetscErrorCode fill(HcGrid g, const Data *data, const int64_t cells[3], double **values, int *failed, const char **why) {
  Axis axis[3];
  PetscFunctionBeginUser;
  for (int d = 0; d < 3; ++d) PetscCall(make_axis(g, d, cells[d], &axis[d]));
  PetscCall(PetscMalloc1(HcGridLocalCells(g), values));
  *failed = sample(g, data, axis, *values, why);
  for (int d = 0; d < 3; ++d) PetscCall(PetscFree3(axis[d].lo, axis[d].hi, axis[d].weight));
  PetscFunctionReturn(0);
}

/* ---- HDF5 ---- */

const char *hc_inner_path(const char *text) {
  const char *at = strstr(text, ".h5:"), *long_at = strstr(text, ".hdf5:");
  return at ? at + strlen(".h5:") : long_at ? long_at + strlen(".hdf5:") : NULL;
}

/* Open a data set of numbers with `dim` directions. NULL, or a sentence about what is wrong (without the names). */
static const char *open_numbers(hid_t file, const char *path, int dim, hid_t *set, int64_t cells[3]) {
  static char sentence[128];
  hsize_t dims[H5S_MAX_RANK];
  if ((*set = H5Oopen(file, path, H5P_DEFAULT)) < 0) return "does not exist";
  if (H5Iget_type(*set) != H5I_DATASET) return "is not a data set";
  hid_t type = H5Dget_type(*set), space = H5Dget_space(*set);
  H5T_class_t kind = H5Tget_class(type);
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank == dim) H5Sget_simple_extent_dims(space, dims, NULL);
  H5Tclose(type);
  H5Sclose(space);
  if (kind != H5T_FLOAT && kind != H5T_INTEGER) return "does not hold numbers";
  if (rank != dim) {
    snprintf(sentence, sizeof sentence, "has %d dimension%s; the grid has %d", rank, rank == 1 ? "" : "s", dim);
    return sentence;
  }
  for (int d = 0; d < 3; ++d) {
    cells[d] = d < dim ? (int64_t)dims[dim - 1 - d] : 1;
    if (cells[d] < 1 || cells[d] > PETSC_MAX_INT / 2) return "is empty or too large";
  }
  return NULL;
}

/* Open one by one, each rank for itself: nothing collective can hang. */
static PetscErrorCode open_data(
  HcOptions opts, const char *key, const char *path, const char *inner, int dim, hid_t *file, hid_t *set, int64_t cells[3]) {
  const char *why;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return HcOptionsFail(opts, key, "cannot read '%s': %s", path, strerror(errno));
  close(fd);
  if (H5Fis_hdf5(path) <= 0) return HcOptionsFail(opts, key, "'%s' is not an HDF5 file", path);
  if ((*file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT)) < 0)
    return HcOptionsFail(opts, key, "'%s' is a damaged HDF5 file", path);
  if ((why = open_numbers(*file, inner, dim, set, cells))) return HcOptionsFail(opts, key, "'%s' in '%s' %s", inner, path, why);
  return 0;
}

PetscErrorCode hc_sample_hdf5(HcOptions opts, const char *key, const char *text, HcGrid grid, double **values) {
  char name[PETSC_MAX_PATH_LEN], path[PETSC_MAX_PATH_LEN];
  const char *inner = hc_inner_path(text), *why = "";
  int64_t cells[3] = {1, 1, 1};
  int failed = 0;
  hid_t file = -1, set = -1;
  PetscFunctionBeginUser;
  PetscCall(PetscStrncpy(name, text, PetscMin(sizeof name, (size_t)(inner - text))));
  PetscCall(HcOptionsResolvePath(opts, name, path));
  if (!*inner) PetscCall(HcOptionsFail(opts, key, "name the data set behind the colon, as in '%s:/density'", name));
  hc_hdf5_quiet();
  PetscErrorCode code = HcAgree(grid->comm, open_data(opts, key, path, inner, (int)grid->dim, &file, &set, cells));
  if (!code) {
    const Data data = {(int)grid->dim, set, NULL};
    PetscCall(fill(grid, &data, cells, values, &failed, &why));
    if (failed) code = HcOptionsFail(opts, key, "'%s' in '%s' %s", inner, path, why);
    code = HcAgree(grid->comm, code);
    if (code) PetscCall(PetscFree(*values));
  }
  if (set >= 0) H5Oclose(set);
  if (file >= 0) H5Fclose(file);
  PetscFunctionReturn(code);
}

/* ---- pictures ---- */

/* Rec. 709 luminance of the stored values. */
static int luminance(const uint16_t rgb[3], uint16_t *number, const char **why) {
  (void)why;
  *number = (uint16_t)((2126u * rgb[0] + 7152u * rgb[1] + 722u * rgb[2] + 5000u) / 10000u);
  return 0;
}

PetscErrorCode hc_sample_picture(HcOptions opts, const char *key, const char *text, HcGrid grid, double **values) {
  char path[PETSC_MAX_PATH_LEN];
  const char *why = "";
  int failed = 0;
  HcPicture pic;
  PetscFunctionBeginUser;
  if (grid->dim < 2) PetscCall(HcOptionsFail(opts, key, "a picture needs a grid of 2 or 3 dimensions; this one has 1"));
  PetscCall(HcOptionsResolvePath(opts, text, path));
  PetscCall(hc_picture_read(grid->comm, opts, key, path, luminance, &pic));
  const Data data = {(int)grid->dim, -1, &pic};
  const int64_t cells[3] = {pic.size[0], pic.size[1], 1};
  PetscCall(fill(grid, &data, cells, values, &failed, &why));
  hc_picture_free(&pic);
  PetscErrorCode code = HcAgree(grid->comm, failed ? HcOptionsFail(opts, key, "'%s' %s", path, why) : 0);
  if (code) PetscCall(PetscFree(*values));
  PetscFunctionReturn(code);
}
