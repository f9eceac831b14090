/*
 * Writing HDF5 files that are either complete or absent.
 *
 * A file grows under a temporary name in the folder of the final one; it is closed, synced and renamed only when all
 * ranks agreed that every step went well. A collective write that fails on some ranks leaves the MPI library's view of
 * the file undefined (closing such a file hangs or crashes), so room on the disk is reserved before every data set: a
 * full disk shows as an error of rank 0 while nothing collective is under way. A failed writer removes its temporary
 * file at once; later calls return the same error.
 */
#pragma once
#include <halocline/grid.h>
#include <hdf5.h>
#include <stdint.h>

typedef struct {
  MPI_Comm comm;
  int rank;
  char path[PETSC_MAX_PATH_LEN], temporary[PETSC_MAX_PATH_LEN];
  hid_t id;              /* the file, negative when closed */
  int fd;                /* rank 0: the temporary file, for reserving room and syncing; else -1 */
  PetscErrorCode failed; /* the agreed error after which the writer is dead */
  char reason[256];      /* of this rank's last HDF5 failure */
} HcWriter;

/** An array of a data set that ranks share: its shape in the file and this rank's block, slowest index first. */
typedef struct {
  int rank;
  hsize_t dims[4], start[4], count[4];
} HcShare;

/** Create path (under its temporary name), with `user_block` bytes (0 or a power of 2 from 512 on) left to the caller.
 * Collective. */
PetscErrorCode hc_writer_create(MPI_Comm comm, const char *path, hsize_t user_block, HcWriter *w);

/** Reserve room for a data set of doubles and create it, contiguous and not filled; groups in `name` are made. Collective.
 * @param[out] set    to be closed with H5Dclose
 * @param[out] offset of its first byte in the file; may be NULL */
PetscErrorCode hc_writer_set(HcWriter *w, const char *name, int rank, const hsize_t dims[], hid_t *set, uint64_t *offset);

/** The same of other values of 8 bytes, `stored` in the file. */
PetscErrorCode hc_writer_set_of(
  HcWriter *w, const char *name, hid_t stored, int rank, const hsize_t dims[], hid_t *set, uint64_t *offset);

/** Write this rank's block from memory selected by `memory` (released here). Collective. */
PetscErrorCode hc_writer_block(HcWriter *w, hid_t set, const HcShare *share, hid_t memory, const double *v);
/** The same of values that are of another type in memory. */
PetscErrorCode hc_writer_block_of(HcWriter *w, hid_t set, const HcShare *share, hid_t memory, hid_t type, const void *v);

/** Write a whole data set from rank 0's memory. Collective. */
PetscErrorCode hc_writer_small(HcWriter *w, hid_t set, const double *v);

/** Agree on the success of what came before; on failure the temporary file is removed. Collective.
 * @param ok this rank's view; the reason is the last that hc_writer_note() took down */
PetscErrorCode hc_writer_agree(HcWriter *w, int ok);

/** Take down HDF5's reason if ok is 0; at once after the call, since every other call wipes it. Returns ok. */
int hc_writer_note(HcWriter *w, int ok);

/** Close the HDF5 file; rank 0's w->fd stays open. Collective. */
PetscErrorCode hc_writer_close(HcWriter *w);

/** Sync the closed file and rename it. Collective. */
PetscErrorCode hc_writer_publish(HcWriter *w);

/** Close and remove the temporary file, if there is one. Collective. */
void hc_writer_abandon(HcWriter *w);

/** Attributes of an object; nonzero on success. Every rank calls them alike; none communicates. */
int hc_attribute_reals(hid_t object, const char *name, int n, const double v[]);
int hc_attribute_ints(hid_t object, const char *name, int n, const int64_t v[]);
int hc_attribute_text(hid_t object, const char *name, const char *text);
/** Read attributes of exactly n values; nonzero on success. Text is cut to fit. */
int hc_read_reals(hid_t object, const char *name, int n, double v[]);
int hc_read_ints(hid_t object, const char *name, int n, int64_t v[]);
int hc_read_text(hid_t object, const char *name, size_t size, char text[]);

/** Names of the data sets right in a group, in alphabetical order. List and names are released with free().
 * @return their number, -1 on an error; 0 if there is no such group */
int hc_list_sets(hid_t file, const char *group, char ***names);
void hc_list_free(int n, char **names);

/** This rank's cells of a grid as a share of [z][y][x], behind `lead` slower dimensions left to the caller. */
void hc_share_of_grid(HcGrid grid, int lead, HcShare *share);
/** The owned cells of a component as a selection of memory from its first owned cell on; n doubles in a row. */
hid_t hc_memory_of_field(HcField f);
hid_t hc_memory_flat(hsize_t n);

/** Read this rank's block of an open data set; `memory` is released. Collective over the ranks that opened the file.
 * @return nonzero on success */
int hc_read_block(hid_t set, const HcShare *share, hid_t memory, double *v);

/** The reason of the last HDF5 failure of this process, in the system's words where it has them. */
void hc_hdf5_reason(char *text, size_t size);
/** Let HDF5 fail silently: its errors become messages of ours. */
void hc_hdf5_quiet(void);

/** Sync a file or folder by name; 0 or errno. */
int hc_sync(const char *path);
