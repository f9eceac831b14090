/*
 * Checkpoints: an HDF5 file behind a guard block.
 *
 *   0 .. HC_GUARD_BYTES-1  guard: magic, format version, size of the file, hash of the structure, where the values lie
 *   HC_GUARD_BYTES ..      HDF5 file (the guard is its user block): /values/<name>, /fields/<name>, /levels/<name>,
 *                          /rows/<name>
 *
 * Every data set carries the sum over its elements, modulo 2^64, of a mix of (bits of the value, index in the data set):
 * independent of who holds which part, and any single damaged element changes it. What is not values, HDF5's own
 * structure, is hashed into the guard, and the guard into itself. So a damaged file is known before the HDF5 library
 * interprets a byte of it, which it does not always survive.
 */
#define _GNU_SOURCE
#include "checkpoint_private.h"
#include "hdf5_file.h"
#include <errno.h>
#include <fcntl.h>
#include <halocline/io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct HcCheckpoint_ {
  MPI_Comm comm;
  int rank, writing;
  char path[PETSC_MAX_PATH_LEN], dir[PETSC_MAX_PATH_LEN];
  PetscInt step;
  HcWriter writer;
  HcGuard guard;
  hid_t id; /* when reading */
};

/* ---- checksums ---- */

static uint64_t sum_row(const double *v, size_t n, uint64_t first) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; ++i) {
    uint64_t bits;
    memcpy(&bits, &v[i], sizeof bits);
    sum += hc_mix(bits, first + i);
  }
  return sum;
}

/* Owned cells of a level; row (j,k) starts at v + j*row + k*plane. */
static uint64_t sum_cells(HcGrid g, const double *v, size_t row, size_t plane, uint64_t level) {
  const uint64_t *start = (const uint64_t[3]){(uint64_t)g->start[0], (uint64_t)g->start[1], (uint64_t)g->start[2]};
  const uint64_t nx = (uint64_t)g->cells[0], ny = (uint64_t)g->cells[1], nz = (uint64_t)g->cells[2];
  uint64_t sum = 0;
  for (uint64_t k = 0; k < (uint64_t)g->n[2]; ++k)
    for (uint64_t j = 0; j < (uint64_t)g->n[1]; ++j)
      sum += sum_row(v + j * row + k * plane, (size_t)g->n[0], ((level * nz + start[2] + k) * ny + start[1] + j) * nx + start[0]);
  return sum;
}

static PetscErrorCode sum_ranks(MPI_Comm comm, uint64_t mine, int64_t *sum) {
  uint64_t all = 0;
  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Allreduce(&mine, &all, 1, MPI_UINT64_T, MPI_SUM, comm));
  *sum = (int64_t)all;
  PetscFunctionReturn(0);
}

/* ---- writing ---- */

PetscErrorCode HcCheckpointCreate(const char *dir, const char *model, MPI_Comm comm, PetscInt step, HcCheckpoint *ck) {
  HcCheckpoint c;
  int64_t number = step, version = HC_FORMAT_VERSION;
  PetscFunctionBeginUser;
  *ck = NULL;
  PetscCall(PetscNew(&c));
  c->comm = comm;
  c->writing = 1;
  c->step = step;
  c->id = -1;
  MPI_Comm_rank(comm, &c->rank);
  snprintf(c->dir, sizeof c->dir, "%s", dir);
  PetscCall(PetscSNPrintf(c->path, sizeof c->path, "%s/checkpoint_%06d.h5", dir, (int)step));
  PetscErrorCode code = hc_writer_create(comm, c->path, HC_GUARD_BYTES, &c->writer);
  if (!code) {
    int ok = hc_attribute_text(c->writer.id, "model", model) && hc_attribute_ints(c->writer.id, "step", 1, &number) &&
             hc_attribute_ints(c->writer.id, "format", 1, &version) &&
             hc_attribute_text(c->writer.id, "version", "halocline " HC_VERSION);
    code = hc_writer_agree(&c->writer, ok);
  }
  if (code) {
    PetscCall(PetscFree(c));
    PetscFunctionReturn(code);
  }
  *ck = c;
  PetscFunctionReturn(0);
}

/* Create a data set and remember where its values lie. */
static PetscErrorCode new_set(HcCheckpoint ck, const char *group, const char *name, int rank, const hsize_t dims[], hid_t *set) {
  char path[256];
  uint64_t offset = 0, bytes = sizeof(double);
  PetscFunctionBeginUser;
  PetscCheck(ck->writing, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE, "the checkpoint was opened for reading");
  PetscCall(PetscSNPrintf(path, sizeof path, "/%s/%s", group, name));
  for (int d = 0; d < rank; ++d) bytes *= dims[d];
  PetscCall(hc_writer_set(&ck->writer, path, rank, dims, set, &offset));
  /* beyond the table's end values count as structure, which is right too, only slower */
  if (bytes > 0 && ck->guard.extents < HC_MOST_EXTENTS) ck->guard.extent[ck->guard.extents++] = (HcExtent){offset, bytes};
  PetscFunctionReturn(0);
}

/* Label a written data set and close it. */
static PetscErrorCode seal_set(HcCheckpoint ck, hid_t set, uint64_t mine, HcGrid grid) {
  int64_t sum, cells[3];
  PetscFunctionBeginUser;
  PetscCall(sum_ranks(ck->comm, mine, &sum));
  int ok = hc_attribute_ints(set, "checksum", 1, &sum);
  if (grid) {
    for (int d = 0; d < 3; ++d) cells[d] = grid->cells[d];
    ok = ok && hc_attribute_ints(set, "cells", 3, cells) && hc_attribute_reals(set, "lower", 3, grid->lower) &&
         hc_attribute_reals(set, "upper", 3, grid->upper);
  }
  ok = H5Dclose(set) >= 0 && ok;
  PetscCall(hc_writer_agree(&ck->writer, ok));
  PetscFunctionReturn(0);
}

PetscErrorCode HcCheckpointPutReals(HcCheckpoint ck, const char *name, PetscInt n, const double v[]) {
  hsize_t dims[1] = {(hsize_t)n};
  hid_t set;
  PetscFunctionBeginUser;
  PetscCall(new_set(ck, "values", name, 1, dims, &set));
  if (n > 0) PetscCall(hc_writer_small(&ck->writer, set, v));
  PetscCall(seal_set(ck, set, ck->rank == 0 ? sum_row(v, (size_t)n, 0) : 0, NULL));
  PetscFunctionReturn(0);
}

PetscErrorCode HcCheckpointPutField(HcCheckpoint ck, const char *name, HcField f, int c) {
  HcShare share;
  hid_t set;
  PetscFunctionBeginUser;
  hc_share_of_grid(f->grid, 0, &share);
  PetscCall(new_set(ck, "fields", name, share.rank, share.dims, &set));
  PetscCall(hc_writer_block(&ck->writer, set, &share, hc_memory_of_field(f), f->c[c]));
  PetscCall(seal_set(ck, set, sum_cells(f->grid, f->c[c], (size_t)f->stride[1], (size_t)f->stride[2], 0), f->grid));
  PetscFunctionReturn(0);
}

/* Levels per transfer: enough bytes to be worth a collective call, few enough that the MPI library's lists of rows stay small. */
static PetscInt levels_at_once(HcGrid grid) {
  const double bytes = 8 * HcGridTotalCells(grid) / grid->size;
  return bytes < 4e6 ? (PetscInt)(4e6 / bytes) : 1;
}

/* Select levels l .. l+n-1 in a share with one leading dimension, and the memory that holds them. */
static hid_t select_levels(HcGrid grid, HcShare *share, PetscInt l, PetscInt n) {
  share->start[0] = (hsize_t)l;
  share->count[0] = (hsize_t)n;
  return hc_memory_flat((hsize_t)n * (hsize_t)HcGridLocalCells(grid));
}

PetscErrorCode HcCheckpointPutLevels(HcCheckpoint ck, const char *name, HcGrid grid, PetscInt levels, const double *v) {
  const size_t cells = (size_t)HcGridLocalCells(grid);
  const PetscInt most = levels_at_once(grid);
  uint64_t sum = 0;
  HcShare share;
  hid_t set;
  PetscFunctionBeginUser;
  hc_share_of_grid(grid, 1, &share);
  share.dims[0] = (hsize_t)levels;
  PetscCall(new_set(ck, "levels", name, share.rank, share.dims, &set));
  for (PetscInt l = 0; l < levels; l += most) {
    hid_t memory = select_levels(grid, &share, l, PetscMin(most, levels - l));
    PetscCall(hc_writer_block(&ck->writer, set, &share, memory, v + (size_t)l * cells));
  }
  for (PetscInt l = 0; l < levels; ++l)
    sum += sum_cells(grid, v + (size_t)l * cells, (size_t)grid->n[0], (size_t)(grid->n[0] * grid->n[1]), (uint64_t)l);
  PetscCall(seal_set(ck, set, sum, grid));
  PetscFunctionReturn(0);
}

enum { ROWS_AT_ONCE = 1 << 24 }; /* below the 2 GB that a call of MPI's can move */

/* The transfers that the rank with most rows needs; the others take part with nothing. */
static PetscErrorCode count_transfers(HcCheckpoint ck, PetscInt n, PetscInt *transfers) {
  PetscInt mine = (n + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Allreduce(&mine, transfers, 1, MPIU_INT, MPI_MAX, ck->comm));
  PetscFunctionReturn(0);
}

/* Transfer number t of n rows from `first` on; returns where it begins in memory. */
static PetscInt select_rows(HcShare *share, uint64_t first, PetscInt n, PetscInt t, hid_t *memory) {
  const PetscInt begin = PetscMin(n, t * ROWS_AT_ONCE), count = PetscMin(n - begin, ROWS_AT_ONCE);
  share->start[0] = (hsize_t)first + (hsize_t)begin;
  share->count[0] = (hsize_t)count;
  if (!count) share->start[0] = 0;
  *memory = hc_memory_flat((hsize_t)count);
  return begin;
}

PetscErrorCode HcCheckpointPutRows(HcCheckpoint ck, const char *name, PetscInt n, const double v[]) {
  uint64_t mine = (uint64_t)n, first = 0, total = 0;
  PetscInt transfers;
  HcShare share = {.rank = 1};
  hid_t set, memory;
  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Exscan(&mine, &first, 1, MPI_UINT64_T, MPI_SUM, ck->comm));
  if (ck->rank == 0) first = 0;
  PetscCallMPI(MPI_Allreduce(&mine, &total, 1, MPI_UINT64_T, MPI_SUM, ck->comm));
  PetscCall(count_transfers(ck, n, &transfers));
  share.dims[0] = (hsize_t)total;
  PetscCall(new_set(ck, "rows", name, 1, share.dims, &set));
  for (PetscInt t = 0; t < transfers; ++t) {
    const PetscInt begin = select_rows(&share, first, n, t, &memory);
    PetscCall(hc_writer_block(&ck->writer, set, &share, memory, v + begin));
  }
  PetscCall(seal_set(ck, set, sum_row(v, (size_t)n, first), NULL));
  PetscFunctionReturn(0);
}

/* ---- opening ---- */

/* Sum this rank's even share of a contiguous data set of n doubles, straight from the file, in blocks. 0 or errno. */
static int sum_share(int fd, uint64_t offset, uint64_t n, int rank, int size, uint64_t *sum) {
  enum { BLOCK = 65536 };
  const uint64_t end = n / (uint64_t)size * (uint64_t)(rank + 1) + (rank == size - 1 ? n % (uint64_t)size : 0);
  double *block = malloc(BLOCK * sizeof *block);
  int error = block ? 0 : ENOMEM;
  *sum = 0;
  for (uint64_t i = n / (uint64_t)size * (uint64_t)rank; i < end && !error;) {
    const size_t m = end - i < BLOCK ? (size_t)(end - i) : BLOCK;
    size_t have = 0;
    while (have < m * sizeof *block && !error) {
      ssize_t got = pread(fd, (char *)block + have, m * sizeof *block - have, (off_t)(offset + 8 * i + have));
      if (got > 0)
        have += (size_t)got;
      else
        error = got < 0 ? errno : ENODATA;
    }
    if (!error) *sum += sum_row(block, m, i);
    i += m;
  }
  free(block);
  return error;
}

static PetscErrorCode check_set(HcCheckpoint ck, int fd, const char *path) {
  uint64_t mine = 0;
  int64_t stored = 0, sum;
  int size, error = 0;
  PetscErrorCode local = 0;
  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Comm_size(ck->comm, &size));
  hid_t set = H5Dopen2(ck->id, path, H5P_DEFAULT), space = -1, type = -1;
  int ok = set >= 0 && (space = H5Dget_space(set)) >= 0 && (type = H5Dget_type(set)) >= 0 &&
           H5Tequal(type, H5T_NATIVE_DOUBLE) > 0 && hc_read_ints(set, "checksum", 1, &stored);
  hssize_t n = ok ? H5Sget_simple_extent_npoints(space) : 0;
  haddr_t offset = n > 0 ? H5Dget_offset(set) : 0;
  ok = ok && n >= 0 && offset != HADDR_UNDEF;
  if (ok && n > 0) error = sum_share(fd, (uint64_t)offset, (uint64_t)n, ck->rank, size, &mine);
  if (type >= 0) H5Tclose(type);
  if (space >= 0) H5Sclose(space);
  if (set >= 0) H5Dclose(set);
  if (!ok)
    local = HcFail(HC_EXIT_IO, "checkpoint '%s' is damaged: data set '%s' cannot be read", ck->path, path);
  else if (error)
    local = HcFail(HC_EXIT_IO, "cannot read data set '%s' of checkpoint '%s': %s", path, ck->path, strerror(error));
  PetscCall(HcAgree(ck->comm, local));
  PetscCall(sum_ranks(ck->comm, mine, &sum));
  HcRequire(sum == stored, HC_EXIT_IO, "checkpoint '%s' is damaged: data set '%s' does not match its checksum", ck->path, path);
  PetscFunctionReturn(0);
}

static PetscErrorCode check_sets(HcCheckpoint ck) {
  static const char *const groups[] = {"values", "fields", "levels", "rows"};
  PetscErrorCode code = 0;
  PetscFunctionBeginUser;
  int fd = open(ck->path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) code = HcFail(HC_EXIT_IO, "cannot read checkpoint '%s': %s", ck->path, strerror(errno));
  code = HcAgree(ck->comm, code);
  for (int g = 0; g < 4 && !code; ++g) {
    char **names, path[512];
    int n = hc_list_sets(ck->id, groups[g], &names);
    if (n < 0) code = HcFail(HC_EXIT_IO, "checkpoint '%s' is damaged: group '%s' cannot be read", ck->path, groups[g]);
    code = HcAgree(ck->comm, code);
    for (int i = 0; i < n && !code; ++i) {
      snprintf(path, sizeof path, "/%s/%s", groups[g], names[i]);
      code = check_set(ck, fd, path);
    }
    if (n > 0) hc_list_free(n, names);
  }
  if (fd >= 0) close(fd);
  PetscFunctionReturn(code);
}

static PetscErrorCode check_model(HcCheckpoint ck, const char *model) {
  char stored[64] = "";
  int64_t step = -1;
  PetscErrorCode local = 0;
  PetscFunctionBeginUser;
  if (!hc_read_text(ck->id, "model", sizeof stored, stored) || !hc_read_ints(ck->id, "step", 1, &step))
    local = HcFail(HC_EXIT_IO, "checkpoint '%s' is damaged: it does not name its model and step", ck->path);
  else if (strcmp(stored, model))
    local = HcFail(HC_EXIT_IO, "checkpoint '%s' is of model '%s', not of '%s'", ck->path, stored, model);
  ck->step = (PetscInt)step;
  PetscCall(HcAgree(ck->comm, local));
  PetscFunctionReturn(0);
}

static PetscErrorCode open_file(HcCheckpoint ck) {
  PetscErrorCode local = 0;
  PetscFunctionBeginUser;
  hid_t how = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fapl_mpio(how, ck->comm, MPI_INFO_NULL);
  H5Pset_all_coll_metadata_ops(how, 1);
  H5Pset_fclose_degree(how, H5F_CLOSE_STRONG);
  ck->id = H5Fopen(ck->path, H5F_ACC_RDONLY, how);
  H5Pclose(how);
  if (ck->id < 0) local = HcFail(HC_EXIT_IO, "cannot read checkpoint '%s' as HDF5", ck->path);
  PetscCall(HcAgree(ck->comm, local));
  PetscFunctionReturn(0);
}

PetscErrorCode HcCheckpointOpen(const char *file, const char *model, MPI_Comm comm, HcCheckpoint *ck) {
  HcCheckpoint c;
  PetscErrorCode code = 0;
  PetscFunctionBeginUser;
  *ck = NULL;
  PetscCall(PetscNew(&c));
  c->comm = comm;
  c->id = -1;
  MPI_Comm_rank(comm, &c->rank);
  PetscCall(PetscStrncpy(c->path, file, sizeof c->path));
  hc_hdf5_quiet();
  if (c->rank == 0)
    code = hc_guard_check(file, &c->guard);
  else if (access(file, R_OK))
    code = HcFail(HC_EXIT_IO, "cannot read checkpoint '%s': %s", file, strerror(errno));
  code = HcAgree(comm, code);
  if (!code) code = open_file(c);
  if (!code) code = check_model(c, model);
  if (!code) code = check_sets(c);
  if (code) {
    PetscCall(HcCheckpointClose(&c, 0));
    PetscFunctionReturn(code);
  }
  *ck = c;
  PetscFunctionReturn(0);
}

/* ---- reading ---- */

static PetscErrorCode open_set(HcCheckpoint ck, const char *group, const char *name, hid_t *set) {
  char path[256];
  PetscErrorCode local = 0;
  PetscFunctionBeginUser;
  PetscCheck(!ck->writing, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE, "the checkpoint was opened for writing");
  PetscCall(PetscSNPrintf(path, sizeof path, "/%s/%s", group, name));
  *set = H5Lexists(ck->id, group, H5P_DEFAULT) > 0 && H5Lexists(ck->id, path, H5P_DEFAULT) > 0
           ? H5Dopen2(ck->id, path, H5P_DEFAULT)
           : H5I_INVALID_HID;
  if (*set < 0) local = HcFail(HC_EXIT_IO, "checkpoint '%s' has no data set '%s'", ck->path, path);
  PetscCall(HcAgree(ck->comm, local));
  PetscFunctionReturn(0);
}

static hssize_t length_of(hid_t set) {
  hid_t space = H5Dget_space(set);
  hssize_t n = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
  if (space >= 0) H5Sclose(space);
  return n;
}

PetscErrorCode HcCheckpointLength(HcCheckpoint ck, const char *name, PetscInt *n) {
  char path[256];
  PetscFunctionBeginUser;
  *n = 0;
  PetscCall(PetscSNPrintf(path, sizeof path, "/values/%s", name));
  if (H5Lexists(ck->id, "values", H5P_DEFAULT) > 0 && H5Lexists(ck->id, path, H5P_DEFAULT) > 0) {
    hid_t set = H5Dopen2(ck->id, path, H5P_DEFAULT);
    *n = (PetscInt)length_of(set);
    H5Dclose(set);
  }
  PetscFunctionReturn(0);
}

PetscErrorCode HcCheckpointGetReals(HcCheckpoint ck, const char *name, PetscInt n, double v[]) {
  PetscErrorCode local = 0;
  hid_t set;
  PetscFunctionBeginUser;
  PetscCall(open_set(ck, "values", name, &set));
  const hssize_t stored = length_of(set);
  if (stored != n)
    local = HcFail(
      HC_EXIT_IO, "checkpoint '%s' holds %lld values of '%s'; %lld are needed", ck->path, (long long)stored, name, (long long)n);
  else if (n > 0 && H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, v) < 0)
    local = HcFail(HC_EXIT_IO, "cannot read '%s' of checkpoint '%s'", name, ck->path);
  H5Dclose(set);
  PetscCall(HcAgree(ck->comm, local));
  PetscFunctionReturn(0);
}

/* The stored grid must be this one: cells and box exactly. */
static PetscErrorCode check_grid(HcCheckpoint ck, const char *name, hid_t set, HcGrid grid, const HcShare *share) {
  int64_t cells[3] = {0, 0, 0};
  double lower[3], upper[3];
  hsize_t dims[H5S_MAX_RANK] = {0};
  hid_t space = H5Dget_space(set);
  int rank = space >= 0 ? H5Sget_simple_extent_dims(space, dims, NULL) : -1;
  if (space >= 0) H5Sclose(space);
  if (!hc_read_ints(set, "cells", 3, cells) || !hc_read_reals(set, "lower", 3, lower) || !hc_read_reals(set, "upper", 3, upper))
    return HcFail(HC_EXIT_IO, "checkpoint '%s': data set '%s' does not tell its grid", ck->path, name);
  for (int d = 0; d < 3; ++d)
    if (cells[d] != grid->cells[d])
      return HcFail(HC_EXIT_INPUT,
        "checkpoint '%s': '%s' has %lld x %lld x %lld cells; the grid of this run has %lld x %lld x %lld", ck->path, name,
        (long long)cells[0], (long long)cells[1], (long long)cells[2], (long long)grid->cells[0], (long long)grid->cells[1],
        (long long)grid->cells[2]);
  for (int d = 0; d < grid->dim; ++d)
    if (lower[d] != grid->lower[d] || upper[d] != grid->upper[d])
      return HcFail(HC_EXIT_INPUT,
        "checkpoint '%s': '%s' covers %.17g .. %.17g in direction %c; the grid of this run %.17g .. %.17g", ck->path, name,
        lower[d], upper[d], "xyz"[d], grid -> lower[d], grid -> upper[d]);
  if (rank != share->rank)
    return HcFail(HC_EXIT_INPUT, "checkpoint '%s': '%s' has %d dimensions; this run needs %d", ck->path, name, rank, share->rank);
  if (dims[0] != share->dims[0])
    return HcFail(HC_EXIT_INPUT, "checkpoint '%s': '%s' has %llu time levels; this run has %llu", ck->path, name,
      (unsigned long long)dims[0], (unsigned long long)share->dims[0]);
  return 0;
}

PetscErrorCode HcCheckpointGetField(HcCheckpoint ck, const char *name, HcField f, int c) {
  HcShare share;
  hid_t set;
  PetscFunctionBeginUser;
  hc_share_of_grid(f->grid, 0, &share);
  PetscCall(open_set(ck, "fields", name, &set));
  PetscErrorCode code = HcAgree(ck->comm, check_grid(ck, name, set, f->grid, &share));
  if (!code) {
    if (!hc_read_block(set, &share, hc_memory_of_field(f), f->c[c]))
      code = HcFail(HC_EXIT_IO, "cannot read '%s' of checkpoint '%s'", name, ck->path);
    code = HcAgree(ck->comm, code);
  }
  H5Dclose(set);
  PetscFunctionReturn(code);
}

PetscErrorCode HcCheckpointGetLevels(HcCheckpoint ck, const char *name, HcGrid grid, PetscInt levels, double *v) {
  const size_t cells = (size_t)HcGridLocalCells(grid);
  const PetscInt most = levels_at_once(grid);
  HcShare share;
  hid_t set;
  PetscFunctionBeginUser;
  hc_share_of_grid(grid, 1, &share);
  share.dims[0] = (hsize_t)levels;
  PetscCall(open_set(ck, "levels", name, &set));
  PetscErrorCode code = HcAgree(ck->comm, check_grid(ck, name, set, grid, &share));
  for (PetscInt l = 0; l < levels && !code; l += most) {
    hid_t memory = select_levels(grid, &share, l, PetscMin(most, levels - l));
    if (!hc_read_block(set, &share, memory, v + (size_t)l * cells))
      code = HcFail(HC_EXIT_IO, "cannot read '%s' of checkpoint '%s'", name, ck->path);
    code = HcAgree(ck->comm, code);
  }
  H5Dclose(set);
  PetscFunctionReturn(code);
}

static uint64_t first_row(HcCheckpoint ck, uint64_t total, int rank) {
  int size;
  MPI_Comm_size(ck->comm, &size);
  return total / (uint64_t)size * (uint64_t)rank + PetscMin(total % (uint64_t)size, (uint64_t)rank);
}

PetscErrorCode HcCheckpointRows(HcCheckpoint ck, const char *name, PetscInt *n) {
  hid_t set;
  PetscErrorCode local = 0;
  PetscFunctionBeginUser;
  PetscCall(open_set(ck, "rows", name, &set));
  const uint64_t total = (uint64_t)length_of(set), share = first_row(ck, total, ck->rank + 1) - first_row(ck, total, ck->rank);
  H5Dclose(set);
  if (share > PETSC_MAX_INT / 2)
    local = HcFail(HC_EXIT_INPUT, "checkpoint '%s': '%s' has more rows a rank than indices can count", ck->path, name);
  *n = local ? 0 : (PetscInt)share;
  PetscCall(HcAgree(ck->comm, local));
  PetscFunctionReturn(0);
}

PetscErrorCode HcCheckpointGetRows(HcCheckpoint ck, const char *name, PetscInt n, double v[]) {
  PetscInt share, transfers;
  HcShare part = {.rank = 1};
  PetscErrorCode code = 0;
  hid_t set, memory;
  PetscFunctionBeginUser;
  PetscCall(HcCheckpointRows(ck, name, &share));
  if (share != n)
    code = HcFail(HC_EXIT_IO, "checkpoint '%s': this rank's share of '%s' is %lld rows, not %lld", ck->path, name,
      (long long)share, (long long)n);
  PetscCall(HcAgree(ck->comm, code));
  PetscCall(count_transfers(ck, n, &transfers));
  PetscCall(open_set(ck, "rows", name, &set));
  part.dims[0] = (hsize_t)length_of(set);
  const uint64_t first = first_row(ck, (uint64_t)part.dims[0], ck->rank);
  for (PetscInt t = 0; t < transfers && !code; ++t) {
    const PetscInt begin = select_rows(&part, first, n, t, &memory);
    if (!hc_read_block(set, &part, memory, v + begin))
      code = HcFail(HC_EXIT_IO, "cannot read '%s' of checkpoint '%s'", name, ck->path);
    code = HcAgree(ck->comm, code);
  }
  H5Dclose(set);
  PetscFunctionReturn(code);
}

PetscErrorCode HcCheckpointClose(HcCheckpoint *ck, PetscInt keep) {
  HcCheckpoint c = *ck;
  PetscErrorCode code = 0;
  PetscFunctionBeginUser;
  if (!c) PetscFunctionReturn(0);
  *ck = NULL;
  if (!c->writing) {
    if (c->id >= 0) H5Fclose(c->id);
    PetscCall(PetscFree(c));
    PetscFunctionReturn(0);
  }
  code = hc_writer_close(&c->writer);
  if (!code) {
    int error = c->rank == 0 ? hc_guard_write(c->writer.fd, &c->guard) : 0;
    if (error) code = HcFail(HC_EXIT_IO, "cannot write '%s': %s", c->path, strerror(error));
    code = HcAgree(c->comm, code);
    if (code) hc_writer_abandon(&c->writer);
  }
  if (!code) code = hc_writer_publish(&c->writer);
  if (!code && c->rank == 0) hc_checkpoint_tidy(c->dir, (long)c->step, (long)keep);
  PetscCall(PetscFree(c));
  PetscFunctionReturn(code);
}
