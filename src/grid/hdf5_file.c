/* Writing HDF5 files that are either complete or absent; see hdf5_file.h. */
#define _GNU_SOURCE
#include "hdf5_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* HDF5's own bookkeeping beside the values of one data set: object header, attributes, tree and heap of its group. */
enum { METADATA_ROOM = 65536 };

void hc_hdf5_quiet(void) { H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }

/* ---- reasons ---- */

static herr_t innermost(unsigned n, const H5E_error2_t *e, void *text) {
  if (n == 0 && e->desc) snprintf(text, 512, "%s", e->desc);
  return 0;
}

void hc_hdf5_reason(char *text, size_t size) {
  char deepest[512] = "";
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, deepest);
  /* drivers quote the system: "..., errno = 28, error message = 'No space left on device', ..." */
  char *from = strstr(deepest, "error message = '");
  if (from) {
    from += strlen("error message = '");
    char *to = strchr(from, '\'');
    if (to) *to = 0;
  } else {
    from = deepest;
    if (strstr(from, "MPI_ERR_NO_SPACE") || strstr(from, "MPI_ERR_QUOTA")) from = strerror(ENOSPC);
  }
  snprintf(text, size, "%s", *from ? from : "unknown HDF5 error");
}

int hc_sync(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;
  if (fd < 0) return errno;
  /* some file systems cannot sync a folder and say so with EINVAL: then there is nothing to wait for */
  if (fsync(fd) && errno != EINVAL) error = errno;
  close(fd);
  return error;
}

/* ---- the writer ---- */

static PetscErrorCode system_failure(const HcWriter *w, int error) {
  return error ? HcFail(HC_EXIT_IO, "cannot write '%s': %s", w->path, strerror(error)) : 0;
}

/* Agree on a result and let the writer die with it. */
static PetscErrorCode settle(HcWriter *w, PetscErrorCode local) {
  PetscErrorCode agreed = HcAgree(w->comm, local);
  if (agreed && !w->failed) {
    w->failed = agreed;
    hc_writer_abandon(w);
  }
  return agreed;
}

int hc_writer_note(HcWriter *w, int ok) {
  if (!ok && !w->reason[0]) hc_hdf5_reason(w->reason, sizeof w->reason);
  return ok;
}

PetscErrorCode hc_writer_agree(HcWriter *w, int ok) {
  PetscErrorCode local = 0;
  if (w->failed) return w->failed;
  if (!ok) {
    hc_writer_note(w, ok);
    local = HcFail(HC_EXIT_IO, "cannot write '%s': %s", w->path, w->reason);
  }
  return settle(w, local);
}

/* Make sure that the file can grow by `bytes`. Only rank 0 asks; the others learn the answer in settle(). */
static PetscErrorCode reserve(HcWriter *w, double bytes) {
  PetscErrorCode local = 0;
  if (w->failed) return w->failed;
  if (w->rank == 0) {
    hsize_t size = 0;
    struct stat now;
    struct statvfs disk;
    H5Fget_filesize(w->id, &size);
    off_t want = (off_t)((double)size + bytes + METADATA_ROOM);
    if (fallocate(w->fd, 0, 0, want)) {
      int error = errno;
      /* where the file system cannot reserve, its own figure of the room left is the best there is */
      if (error == EOPNOTSUPP || error == ENOSYS || error == EINVAL)
        error = fstat(w->fd, &now) || fstatvfs(w->fd, &disk)                                                 ? errno
                : (double)disk.f_bavail * (double)disk.f_frsize < (double)want - (double)now.st_blocks * 512 ? ENOSPC
                                                                                                             : 0;
      local = system_failure(w, error);
    }
  }
  return settle(w, local);
}

PetscErrorCode hc_writer_create(MPI_Comm comm, const char *path, hsize_t user_block, HcWriter *w) {
  int error = 0;
  PetscFunctionBeginUser;
  memset(w, 0, sizeof *w);
  w->comm = comm;
  w->id = -1;
  w->fd = -1;
  MPI_Comm_rank(comm, &w->rank);
  snprintf(w->path, sizeof w->path, "%s", path);
  if ((size_t)snprintf(w->temporary, sizeof w->temporary, "%s.tmp", path) >= sizeof w->temporary) error = ENAMETOOLONG;
  hc_hdf5_quiet();
  if (w->rank == 0 && !error) {
    w->fd = open(w->temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (w->fd < 0) error = errno;
  }
  PetscCall(settle(w, system_failure(w, error)));
  /* a node that does not see the folder must say so before the others wait for it in the collective open */
  PetscCall(settle(w, system_failure(w, access(w->temporary, W_OK) ? errno : 0)));

  hid_t access_list = H5Pcreate(H5P_FILE_ACCESS), create_list = H5Pcreate(H5P_FILE_CREATE);
  int ok = H5Pset_fapl_mpio(access_list, comm, MPI_INFO_NULL) >= 0 && H5Pset_fclose_degree(access_list, H5F_CLOSE_STRONG) >= 0;
  if (user_block) ok = ok && H5Pset_userblock(create_list, user_block) >= 0;
  w->id = H5Fcreate(w->temporary, H5F_ACC_TRUNC, create_list, access_list);
  hc_writer_note(w, w->id >= 0);
  H5Pclose(create_list);
  H5Pclose(access_list);
  PetscCall(hc_writer_agree(w, ok && w->id >= 0));
  PetscCall(reserve(w, (double)user_block));
  PetscFunctionReturn(0);
}

PetscErrorCode hc_writer_set(HcWriter *w, const char *name, int rank, const hsize_t dims[], hid_t *set, uint64_t *offset) {
  return hc_writer_set_of(w, name, H5T_IEEE_F64LE, rank, dims, set, offset);
}

PetscErrorCode hc_writer_set_of(
  HcWriter *w, const char *name, hid_t stored, int rank, const hsize_t dims[], hid_t *set, uint64_t *offset) {
  double bytes = 8;
  PetscFunctionBeginUser;
  *set = -1;
  for (int d = 0; d < rank; ++d) bytes *= (double)dims[d];
  PetscCall(reserve(w, bytes));
  hid_t space = H5Screate_simple(rank, dims, NULL), link = H5Pcreate(H5P_LINK_CREATE), create = H5Pcreate(H5P_DATASET_CREATE);
  int ok = H5Pset_create_intermediate_group(link, 1) >= 0 && H5Pset_fill_time(create, H5D_FILL_TIME_NEVER) >= 0 &&
           H5Pset_alloc_time(create, H5D_ALLOC_TIME_EARLY) >= 0;
  *set = H5Dcreate2(w->id, name, stored, space, link, create, H5P_DEFAULT);
  ok = hc_writer_note(w, *set >= 0) && ok;
  if (ok && offset && bytes > 0) {
    haddr_t at = H5Dget_offset(*set);
    ok = at != HADDR_UNDEF;
    *offset = (uint64_t)at;
  }
  H5Pclose(create);
  H5Pclose(link);
  H5Sclose(space);
  if (w->failed) PetscFunctionReturn(w->failed);
  PetscErrorCode agreed = hc_writer_agree(w, ok);
  if (agreed && *set >= 0) {
    H5Dclose(*set);
    *set = -1;
  }
  PetscFunctionReturn(agreed);
}

/* The two selections of a collective transfer. */
static hid_t select_share(const HcShare *share, hid_t *transfer) {
  hid_t space = H5Screate_simple(share->rank, share->dims, NULL);
  H5Sselect_hyperslab(space, H5S_SELECT_SET, share->start, NULL, share->count, NULL);
  *transfer = H5Pcreate(H5P_DATASET_XFER);
  H5Pset_dxpl_mpio(*transfer, H5FD_MPIO_COLLECTIVE);
  return space;
}

PetscErrorCode hc_writer_block(HcWriter *w, hid_t set, const HcShare *share, hid_t memory, const double *v) {
  return hc_writer_block_of(w, set, share, memory, H5T_NATIVE_DOUBLE, v);
}

PetscErrorCode hc_writer_block_of(HcWriter *w, hid_t set, const HcShare *share, hid_t memory, hid_t type, const void *v) {
  hid_t transfer;
  int ok = 1;
  PetscFunctionBeginUser;
  if (!w->failed) {
    hid_t space = select_share(share, &transfer);
    ok = hc_writer_note(w, H5Dwrite(set, type, memory, space, transfer, v) >= 0);
    H5Pclose(transfer);
    H5Sclose(space);
  }
  H5Sclose(memory);
  PetscFunctionReturn(hc_writer_agree(w, ok));
}

int hc_read_block(hid_t set, const HcShare *share, hid_t memory, double *v) {
  hid_t transfer, space = select_share(share, &transfer);
  int ok = H5Dread(set, H5T_NATIVE_DOUBLE, memory, space, transfer, v) >= 0;
  H5Pclose(transfer);
  H5Sclose(space);
  H5Sclose(memory);
  return ok;
}

PetscErrorCode hc_writer_small(HcWriter *w, hid_t set, const double *v) {
  int ok = 1;
  PetscFunctionBeginUser;
  if (w->failed) PetscFunctionReturn(w->failed);
  if (w->rank == 0) ok = H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, v) >= 0;
  PetscCall(hc_writer_agree(w, ok));
  PetscFunctionReturn(0);
}

PetscErrorCode hc_writer_close(HcWriter *w) {
  PetscFunctionBeginUser;
  if (w->failed) PetscFunctionReturn(w->failed);
  int ok = H5Fclose(w->id) >= 0;
  w->id = -1;
  PetscCall(hc_writer_agree(w, ok));
  PetscFunctionReturn(0);
}

PetscErrorCode hc_writer_publish(HcWriter *w) {
  int error;
  PetscFunctionBeginUser;
  if (w->failed) PetscFunctionReturn(w->failed);
  /* every rank: on file systems over several nodes each holds its own unwritten pages */
  error = w->rank == 0 ? (fsync(w->fd) ? errno : 0) : hc_sync(w->temporary);
  PetscCall(settle(w, system_failure(w, error)));
  error = 0;
  if (w->rank == 0) {
    if (close(w->fd)) error = errno;
    w->fd = -1;
    if (!error && rename(w->temporary, w->path)) error = errno;
    if (!error) {
      char folder[PETSC_MAX_PATH_LEN];
      snprintf(folder, sizeof folder, "%s", w->path);
      char *slash = strrchr(folder, '/');
      if (slash) slash[slash == folder] = 0;
      error = hc_sync(slash ? folder : ".");
    }
  }
  PetscCall(settle(w, system_failure(w, error)));
  PetscFunctionReturn(0);
}

void hc_writer_abandon(HcWriter *w) {
  int nothing = 0;
  /* What was written so far is given back first, so that HDF5 has room for what it still wants to write when it closes. */
  if (w->fd >= 0 && ftruncate(w->fd, 0)) nothing = errno;
  MPI_Allreduce(MPI_IN_PLACE, &nothing, 1, MPI_INT, MPI_MAX, w->comm);
  if (w->id >= 0) H5Fclose(w->id);
  w->id = -1;
  if (w->fd >= 0) {
    close(w->fd);
    unlink(w->temporary);
  }
  w->fd = -1;
}

/* ---- attributes ---- */

static int write_attribute(hid_t object, const char *name, hid_t stored, hid_t type, int n, const void *v) {
  hsize_t dims[1] = {(hsize_t)n};
  hid_t space = n == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, dims, NULL);
  hid_t a = H5Acreate2(object, name, stored, space, H5P_DEFAULT, H5P_DEFAULT);
  int ok = a >= 0 && H5Awrite(a, type, v) >= 0;
  if (a >= 0) H5Aclose(a);
  H5Sclose(space);
  return ok;
}

int hc_attribute_reals(hid_t object, const char *name, int n, const double v[]) {
  return write_attribute(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, n, v);
}

int hc_attribute_ints(hid_t object, const char *name, int n, const int64_t v[]) {
  return write_attribute(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, n, v);
}

int hc_attribute_text(hid_t object, const char *name, const char *text) {
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, strlen(text) + 1);
  H5Tset_cset(type, H5T_CSET_UTF8);
  int ok = write_attribute(object, name, type, type, 1, text);
  H5Tclose(type);
  return ok;
}

static int read_attribute(hid_t object, const char *name, hid_t type, H5T_class_t kind, int n, void *v) {
  if (H5Aexists(object, name) <= 0) return 0;
  hid_t a = H5Aopen(object, name, H5P_DEFAULT);
  if (a < 0) return 0;
  hid_t space = H5Aget_space(a), stored = H5Aget_type(a);
  int ok = space >= 0 && stored >= 0 && H5Tget_class(stored) == kind && H5Sget_simple_extent_npoints(space) == n &&
           H5Aread(a, type, v) >= 0;
  if (stored >= 0) H5Tclose(stored);
  if (space >= 0) H5Sclose(space);
  H5Aclose(a);
  return ok;
}

int hc_read_reals(hid_t object, const char *name, int n, double v[]) {
  return read_attribute(object, name, H5T_NATIVE_DOUBLE, H5T_FLOAT, n, v);
}

int hc_read_ints(hid_t object, const char *name, int n, int64_t v[]) {
  return read_attribute(object, name, H5T_NATIVE_INT64, H5T_INTEGER, n, v);
}

int hc_read_text(hid_t object, const char *name, size_t size, char text[]) {
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, size);
  H5Tset_cset(type, H5T_CSET_UTF8);
  int ok = read_attribute(object, name, type, H5T_STRING, 1, text);
  H5Tclose(type);
  return ok;
}

/* ---- lists ---- */

typedef struct {
  int n, room;
  char **names;
} List;

static herr_t add_name(hid_t group, const char *name, const H5L_info_t *info, void *ctx) {
  List *list = ctx;
  H5O_info_t object;
  if (info->type != H5L_TYPE_HARD) return 0;
  if (H5Oget_info_by_name2(group, name, &object, H5O_INFO_BASIC, H5P_DEFAULT) < 0) return -1;
  if (object.type != H5O_TYPE_DATASET) return 0;
  if (list->n == list->room) {
    char **more = realloc(list->names, sizeof *more * (size_t)(list->room = 2 * list->room + 16));
    if (!more) return -1;
    list->names = more;
  }
  if (!(list->names[list->n] = strdup(name))) return -1;
  ++list->n;
  return 0;
}

int hc_list_sets(hid_t file, const char *group, char ***names) {
  List list = {0, 0, NULL};
  *names = NULL;
  if (H5Lexists(file, group, H5P_DEFAULT) <= 0) return 0;
  if (H5Literate_by_name(file, group, H5_INDEX_NAME, H5_ITER_INC, NULL, add_name, &list, H5P_DEFAULT) < 0) {
    hc_list_free(list.n, list.names);
    return -1;
  }
  *names = list.names;
  return list.n;
}

void hc_list_free(int n, char **names) {
  for (int i = 0; i < n; ++i) free(names[i]);
  free(names);
}

/* ---- shapes ---- */

void hc_share_of_grid(HcGrid grid, int lead, HcShare *share) {
  share->rank = lead + (int)grid->dim;
  for (int d = 0; d < grid->dim; ++d) {
    int q = share->rank - 1 - d;
    share->dims[q] = (hsize_t)grid->cells[d];
    share->start[q] = (hsize_t)grid->start[d];
    share->count[q] = (hsize_t)grid->n[d];
  }
}

/* Planes of rows: the distance of planes need not be a whole number of rows. */
hid_t hc_memory_of_field(HcField f) {
  HcGrid g = f->grid;
  const hsize_t dims[2] = {(hsize_t)g->n[2], (hsize_t)f->stride[2]}, start[2] = {0, 0}, stride[2] = {1, (hsize_t)f->stride[1]},
                count[2] = {(hsize_t)g->n[2], (hsize_t)g->n[1]}, block[2] = {1, (hsize_t)g->n[0]};
  hid_t space = H5Screate_simple(2, dims, NULL);
  H5Sselect_hyperslab(space, H5S_SELECT_SET, start, stride, count, block);
  return space;
}

hid_t hc_memory_flat(hsize_t n) { return H5Screate_simple(1, &n, NULL); }
