/* Point clouds in HDF5 files, each rank an even share of the rows, for itself: nothing collective can hang. */
#include "grid/hdf5_file.h"
#include "points_private.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 65536 };

/* Open a data set of N x dim numbers. NULL, or a sentence about what is wrong. */
static const char *open_table(hid_t file, const char *inner, PetscInt dim, hid_t *set, hsize_t *rows) {
  static char sentence[128];
  hsize_t dims[H5S_MAX_RANK] = {0};
  if ((*set = H5Oopen(file, inner, H5P_DEFAULT)) < 0) return "does not exist";
  if (H5Iget_type(*set) != H5I_DATASET) return "is not a data set";
  hid_t type = H5Dget_type(*set), space = H5Dget_space(*set);
  const H5T_class_t kind = H5Tget_class(type);
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank > 0) H5Sget_simple_extent_dims(space, dims, NULL);
  H5Tclose(type);
  H5Sclose(space);
  if (kind != H5T_FLOAT && kind != H5T_INTEGER) return "does not hold numbers";
  *rows = dims[0];
  if ((rank == 2 && dims[1] == (hsize_t)dim) || (rank == 1 && dim == 1)) return NULL;
  if (rank == 2)
    snprintf(sentence, sizeof sentence, "has %llu columns; %lld needed", (unsigned long long)dims[1], (long long)dim);
  else
    snprintf(sentence, sizeof sentence, "has %d dimension%s; a table of N rows and %lld columns is needed", rank,
      rank == 1 ? "" : "s", (long long)dim);
  return sentence;
}

static PetscErrorCode read_rows(HcOptions opts, const char *key, const char *path, const char *inner, hid_t set, HcPoints p) {
  const hsize_t dim = (hsize_t)p->dim;
  hid_t file = H5Dget_space(set);
  double *table;
  PetscErrorCode code = 0;
  PetscFunctionBeginUser;
  PetscCall(PetscMalloc1(ROWS * dim, &table));
  for (PetscInt q = 0; q < p->n && !code; q += ROWS) {
    const hsize_t m = (hsize_t)PetscMin(ROWS, p->n - q), start[2] = {(hsize_t)p->first + (hsize_t)q, 0}, count[2] = {m, dim};
    const hsize_t length = m * dim;
    hid_t memory = H5Screate_simple(1, &length, NULL);
    H5Sselect_hyperslab(file, H5S_SELECT_SET, start, NULL, count, NULL);
    if (H5Dread(set, H5T_NATIVE_DOUBLE, memory, file, H5P_DEFAULT, table) < 0)
      code = HcOptionsFail(opts, key, "'%s' in '%s' cannot be read", inner, path);
    H5Sclose(memory);
    for (hsize_t r = 0; r < m && !code; ++r)
      for (hsize_t d = 0; d < dim && !code; ++d) {
        p->x[d][q + (PetscInt)r] = table[r * dim + d];
        if (!isfinite(table[r * dim + d]))
          code = HcOptionsFail(opts, key, "'%s' in '%s': row %llu holds what is not a finite number: %g", inner, path,
            (unsigned long long)(start[0] + r), table[r * dim + d]);
      }
  }
  H5Sclose(file);
  PetscCall(PetscFree(table));
  PetscFunctionReturn(code);
}

static PetscErrorCode open_file(HcOptions opts, const char *key, const char *path, hid_t *file) {
  if (access(path, R_OK)) return HcOptionsFail(opts, key, "cannot read '%s': %s", path, strerror(errno));
  if (H5Fis_hdf5(path) <= 0) return HcOptionsFail(opts, key, "'%s' is not an HDF5 file", path);
  if ((*file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT)) < 0)
    return HcOptionsFail(opts, key, "'%s' is a damaged HDF5 file", path);
  return 0;
}

static PetscErrorCode read_slice(HcOptions opts, const char *key, const char *path, const char *inner, hid_t file, HcPoints p) {
  hid_t set = -1;
  hsize_t rows = 0;
  PetscInt room = 0;
  int rank, size;
  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Comm_rank(p->comm, &rank));
  PetscCallMPI(MPI_Comm_size(p->comm, &size));
  const char *why = open_table(file, inner, p->dim, &set, &rows);
  const hsize_t first = (hsize_t)((double)rows * rank / size),
                end = rank == size - 1 ? rows : (hsize_t)((double)rows * (rank + 1) / size);
  PetscErrorCode code = 0;
  if (!why && end - first > PETSC_MAX_INT / 2) why = "has more rows a rank than indices can count";
  if (why) code = HcOptionsFail(opts, key, "'%s' in '%s' %s", inner, path, why);
  if (!code) {
    p->total = (double)rows;
    p->first = (double)first;
    code = hc_points_reserve(p, &room, (PetscInt)(end - first) + 1);
    p->n = (PetscInt)(end - first);
  }
  if (!code) code = read_rows(opts, key, path, inner, set, p);
  if (set >= 0) H5Oclose(set);
  PetscFunctionReturn(code);
}

PetscErrorCode hc_points_hdf5(HcOptions opts, const char *key, const char *path, const char *inner, HcPoints p) {
  hid_t file = -1;
  PetscFunctionBeginUser;
  hc_hdf5_quiet();
  PetscErrorCode code = open_file(opts, key, path, &file);
  if (!code) code = read_slice(opts, key, path, inner, file, p);
  if (file >= 0) H5Fclose(file);
  PetscCall(HcAgree(p->comm, code));
  PetscFunctionReturn(0);
}
