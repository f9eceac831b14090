/* parallel: checkpoints are read back bit for bit on other decompositions, and damaged ones are refused by name */
#include "tap.h"
#include <fcntl.h>
#include <halocline/io.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[PETSC_MAX_PATH_LEN];
static int rank, size;

/* A value that depends on the global cell only, with bits in every place. */
static double value(HcGrid g, PetscInt i, PetscInt j, PetscInt k, int what) {
  const double x = HcGridCentre(g, 0, i), y = HcGridCentre(g, 1, j), z = HcGridCentre(g, 2, k);
  return sin(12.9898 * x + 78.233 * y - 37.719 * z + what) * 43758.5453;
}

static PetscErrorCode make_grid(MPI_Comm comm, PetscInt dim, PetscInt nx, double upper, HcGrid *grid) {
  HcGridSpec spec = {.dim = dim, .cells = {nx, 9, 7}, .lower = {-1, 0, 0.5}, .upper = {upper, 3, 2}, .min_block = 1};
  for (int f = 0; f < 6; ++f) spec.boundary[f] = HC_REFLECTING;
  return HcGridCreate(comm, &spec, grid);
}

static void fill(HcField f, int c, int what) {
  HcGrid g = f->grid;
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i) f->c[c][i + j * f->stride[1] + k * f->stride[2]] = value(g, i, j, k, what);
}

static int same(HcField f, int c, int what) {
  HcGrid g = f->grid;
  int good = 1;
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i)
        good = good && f->c[c][i + j * f->stride[1] + k * f->stride[2]] == value(g, i, j, k, what);
  return good;
}

enum { LEVELS = 3 };

static void levels(HcGrid g, double *v) {
  for (int l = 0; l < LEVELS; ++l)
    for (PetscInt k = 0; k < g->n[2]; ++k)
      for (PetscInt j = 0; j < g->n[1]; ++j)
        for (PetscInt i = 0; i < g->n[0]; ++i)
          v[i + g->n[0] * (j + g->n[1] * (k + g->n[2] * (PetscInt)l))] = value(g, i, j, k, 100 + l);
}

static PetscErrorCode save(MPI_Comm comm, PetscInt dim, PetscInt step, PetscInt keep) {
  const double numbers[4] = {0.1, -2e300, 3, 4e-310};
  HcGrid g;
  HcField f;
  HcCheckpoint ck;
  double *v;
  PetscFunctionBeginUser;
  PetscCall(make_grid(comm, dim, 11, 1, &g));
  PetscCall(HcFieldCreate(g, 2, 2, &f));
  PetscCall(PetscMalloc1(LEVELS * HcGridLocalCells(g), &v));
  fill(f, 0, 1);
  fill(f, 1, 2);
  levels(g, v);
  PetscErrorCode code = HcCheckpointCreate(dir, "test", comm, step, &ck);
  if (!code) code = HcCheckpointPutReals(ck, "numbers", 4, numbers);
  if (!code) code = HcCheckpointPutReals(ck, "nothing", 0, numbers);
  if (!code) code = HcCheckpointPutField(ck, "first", f, 0);
  if (!code) code = HcCheckpointPutField(ck, "second", f, 1);
  if (!code) code = HcCheckpointPutLevels(ck, "u", g, LEVELS, v);
  PetscErrorCode closed = HcCheckpointClose(&ck, keep);
  PetscCall(PetscFree(v));
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(code ? code : closed);
}

static PetscErrorCode load(MPI_Comm comm, const char *file, PetscInt dim, int *good) {
  double numbers[4];
  PetscInt n, none;
  HcGrid g;
  HcField f;
  HcCheckpoint ck;
  double *v, *w;
  PetscFunctionBeginUser;
  *good = 0;
  PetscErrorCode code = HcCheckpointOpen(file, "test", comm, &ck);
  if (code) PetscFunctionReturn(code);
  PetscCall(make_grid(comm, dim, 11, 1, &g));
  PetscCall(HcFieldCreate(g, 2, 1, &f));
  PetscCall(PetscMalloc2(LEVELS * HcGridLocalCells(g), &v, LEVELS * HcGridLocalCells(g), &w));
  PetscCall(HcCheckpointLength(ck, "numbers", &n));
  PetscCall(HcCheckpointLength(ck, "absent", &none));
  PetscCall(HcCheckpointGetReals(ck, "numbers", 4, numbers));
  PetscCall(HcCheckpointGetReals(ck, "nothing", 0, numbers));
  PetscCall(HcCheckpointGetField(ck, "second", f, 0));
  PetscCall(HcCheckpointGetField(ck, "first", f, 1));
  PetscCall(HcCheckpointGetLevels(ck, "u", g, LEVELS, v));
  levels(g, w);
  *good = n == 4 && none == 0 && numbers[0] == 0.1 && numbers[1] == -2e300 && numbers[3] == 4e-310 && same(f, 0, 2) &&
          same(f, 1, 1) && !memcmp(v, w, sizeof *v * (size_t)(LEVELS * HcGridLocalCells(g)));
  PetscCall(PetscFree2(v, w));
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcCheckpointClose(&ck, 0));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

/* Refused with this exit kind, and the message holds both words on every rank. */
static int refused(PetscErrorCode code, HcExit kind, const char *a, const char *b) {
  const int ok = HcErrorKind(code) == kind && strstr(HcErrorMessage(), a) && strstr(HcErrorMessage(), b);
  if (!ok) fprintf(stderr, "# rank %d: code %d, message '%s', expected '%s', '%s'\n", rank, (int)code, HcErrorMessage(), a, b);
  HcErrorClear();
  return ok;
}

static PetscErrorCode test_round_trip(void) {
  char file[PETSC_MAX_PATH_LEN];
  PetscFunctionBeginUser;
  for (PetscInt dim = 1; dim <= 3; ++dim) {
    int good;
    PetscCall(save(PETSC_COMM_WORLD, dim, dim, 0));
    PetscCall(PetscSNPrintf(file, sizeof file, "%s/checkpoint_%06d.h5", dir, (int)dim));
    PetscCall(load(PETSC_COMM_WORLD, file, dim, &good));
    tap_ok(good, "%dD: what was saved on %d ranks is read on %d", (int)dim, size, size);
    /* every other decomposition: each rank alone, then pairs */
    PetscCall(load(PETSC_COMM_SELF, file, dim, &good));
    tap_ok(good, "%dD: and on one", (int)dim);
    MPI_Comm some;
    MPI_Comm_split(PETSC_COMM_WORLD, rank / 2, rank, &some);
    PetscCall(load(some, file, dim, &good));
    MPI_Comm_free(&some);
    tap_ok(good, "%dD: and on at most two", (int)dim);
  }
  PetscFunctionReturn(0);
}

/* The same checksums whoever wrote the file. */
static PetscErrorCode test_same_bytes(void) {
  char a[PETSC_MAX_PATH_LEN];
  PetscInt step;
  int good = 0;
  PetscFunctionBeginUser;
  if (rank == 0) PetscCall(save(PETSC_COMM_SELF, 3, 40, 0));
  MPI_Barrier(PETSC_COMM_WORLD);
  PetscCall(HcCheckpointFind(dir, PETSC_COMM_WORLD, PETSC_MAX_INT, a, &step));
  tap_ok(step == 40 && strstr(a, "checkpoint_000040.h5"), "the newest checkpoint is found");
  PetscCall(load(PETSC_COMM_WORLD, a, 3, &good));
  tap_ok(good, "what one rank saved is read on %d", size);
  PetscCall(HcCheckpointFind(dir, PETSC_COMM_WORLD, 39, a, &step));
  tap_ok(step == 3, "the one before it is found");
  PetscCall(HcCheckpointFind(dir, PETSC_COMM_WORLD, 0, a, &step));
  tap_ok(step < 0 && !a[0], "none before the first");
  PetscCall(HcCheckpointFind("/nonexistent", PETSC_COMM_WORLD, 0, a, &step));
  tap_ok(!a[0], "none in a folder that does not exist");
  PetscFunctionReturn(0);
}

static PetscErrorCode test_keep(void) {
  char file[PETSC_MAX_PATH_LEN];
  PetscInt step;
  PetscFunctionBeginUser;
  PetscCall(save(PETSC_COMM_WORLD, 1, 50, 0));
  PetscCall(save(PETSC_COMM_WORLD, 1, 60, 2));
  MPI_Barrier(PETSC_COMM_WORLD);
  PetscCall(HcCheckpointFind(dir, PETSC_COMM_WORLD, 49, file, &step));
  tap_ok(step < 0, "all but the newest two are deleted");
  PetscCall(HcCheckpointFind(dir, PETSC_COMM_WORLD, 59, file, &step));
  tap_ok(step == 50, "the newest two are kept");
  PetscCall(save(PETSC_COMM_WORLD, 1, 55, 2));
  MPI_Barrier(PETSC_COMM_WORLD);
  PetscCall(HcCheckpointFind(dir, PETSC_COMM_WORLD, PETSC_MAX_INT, file, &step));
  tap_ok(step == 55, "a checkpoint of an abandoned continuation is set aside");
  PetscFunctionReturn(0);
}

static PetscErrorCode test_mismatch(void) {
  char file[PETSC_MAX_PATH_LEN];
  double v[5];
  HcGrid g;
  HcField f;
  HcCheckpoint ck;
  PetscFunctionBeginUser;
  PetscCall(save(PETSC_COMM_WORLD, 2, 70, 0));
  PetscCall(PetscSNPrintf(file, sizeof file, "%s/checkpoint_%06d.h5", dir, 70));
  tap_ok(refused(HcCheckpointOpen(file, "other", PETSC_COMM_WORLD, &ck), HC_EXIT_IO, "model 'test'", file), "another model");
  tap_ok(refused(HcCheckpointOpen(dir, "test", PETSC_COMM_WORLD, &ck), HC_EXIT_IO, dir, "directory"), "a folder");
  tap_ok(
    refused(HcCheckpointOpen("/nonexistent/c.h5", "test", PETSC_COMM_WORLD, &ck), HC_EXIT_IO, "/nonexistent/c.h5", "No such"),
    "no such file");
  PetscCall(HcCheckpointOpen(file, "test", PETSC_COMM_WORLD, &ck));
  tap_ok(refused(HcCheckpointGetReals(ck, "absent", 1, v), HC_EXIT_IO, "absent", file), "an absent name");
  tap_ok(refused(HcCheckpointGetReals(ck, "numbers", 5, v), HC_EXIT_IO, "numbers", "holds 4"), "a wrong count");
  PetscCall(make_grid(PETSC_COMM_WORLD, 2, 12, 1, &g));
  PetscCall(HcFieldCreate(g, 1, 0, &f));
  tap_ok(refused(HcCheckpointGetField(ck, "first", f, 0), HC_EXIT_INPUT, "11 x 9 x 1", "12 x 9 x 1"), "a grid of other cells");
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscCall(make_grid(PETSC_COMM_WORLD, 2, 11, nextafter(1, 2), &g));
  PetscCall(HcFieldCreate(g, 1, 0, &f));
  tap_ok(refused(HcCheckpointGetField(ck, "first", f, 0), HC_EXIT_INPUT, "direction x", "1.0000000000000002"),
    "a box that differs in the last bit");
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcGridDestroy(&g));
  PetscCall(make_grid(PETSC_COMM_WORLD, 2, 11, 1, &g));
  double *u;
  PetscCall(PetscMalloc1(4 * HcGridLocalCells(g), &u));
  tap_ok(refused(HcCheckpointGetLevels(ck, "u", g, 4, u), HC_EXIT_INPUT, "3 time levels", "has 4"), "another number of levels");
  PetscCall(PetscFree(u));
  PetscCall(HcGridDestroy(&g));
  PetscCall(HcCheckpointClose(&ck, 0));
  PetscFunctionReturn(0);
}

/* Rank 0 changes the file; all wait. */
static void flip(const char *file, long at, int bit) {
  if (rank == 0) {
    unsigned char b;
    int fd = open(file, O_RDWR);
    if (fd < 0 || pread(fd, &b, 1, at) != 1) abort();
    b ^= (unsigned char)(1u << bit);
    if (pwrite(fd, &b, 1, at) != 1) abort();
    close(fd);
  }
  MPI_Barrier(PETSC_COMM_WORLD);
}

static long length(const char *file) {
  struct stat now;
  return stat(file, &now) ? -1 : (long)now.st_size;
}

static PetscErrorCode test_damage(void) {
  char file[PETSC_MAX_PATH_LEN];
  HcCheckpoint ck;
  int refusals = 0, tries = 0;
  PetscFunctionBeginUser;
  PetscCall(save(PETSC_COMM_WORLD, 2, 80, 0));
  PetscCall(PetscSNPrintf(file, sizeof file, "%s/checkpoint_%06d.h5", dir, 80));
  const long bytes = length(file);
  /* one bit after the other all over the file: in the guard, in the structure, in the values */
  for (long at = 0; at < bytes; at += at < 64 ? 1 : 97) {
    const int bit = (int)(at % 8);
    flip(file, at, bit);
    ++tries;
    refusals += refused(HcCheckpointOpen(file, "test", PETSC_COMM_WORLD, &ck), HC_EXIT_IO, file, "checkpoint");
    MPI_Barrier(PETSC_COMM_WORLD);
    flip(file, at, bit);
  }
  tap_ok(refusals == tries, "each of %d flipped bits is noticed", tries);
  PetscErrorCode code = HcCheckpointOpen(file, "test", PETSC_COMM_WORLD, &ck);
  tap_ok(!code, "and the mended file is good again");
  PetscCall(HcCheckpointClose(&ck, 0));
  MPI_Barrier(PETSC_COMM_WORLD);

  /* a value of a known data set: its first bytes are searched in the file */
  HcGrid g;
  PetscCall(make_grid(PETSC_COMM_SELF, 2, 11, 1, &g));
  const double wanted = value(g, 3, 2, 0, 2);
  PetscCall(HcGridDestroy(&g));
  long at = -1;
  FILE *in = fopen(file, "rb");
  char *all = malloc((size_t)bytes);
  if (in && fread(all, 1, (size_t)bytes, in) == (size_t)bytes)
    for (long b = 0; b + 8 <= bytes && at < 0; b += 8)
      if (!memcmp(all + b, &wanted, 8)) at = b;
  if (in) fclose(in);
  free(all);
  MPI_Barrier(PETSC_COMM_WORLD);
  tap_ok(at >= 0, "the value is found in the file");
  flip(file, at + 2, 3);
  tap_ok(refused(HcCheckpointOpen(file, "test", PETSC_COMM_WORLD, &ck), HC_EXIT_IO, file, "/fields/second"),
    "a damaged value: the data set is named");
  MPI_Barrier(PETSC_COMM_WORLD);
  flip(file, at + 2, 3);

  const long lengths[] = {bytes - 1, bytes / 2, 8192, 100, 8, 3, 0};
  refusals = 0;
  for (int l = 0; l < 7; ++l) {
    if (rank == 0 && truncate(file, lengths[l])) abort();
    MPI_Barrier(PETSC_COMM_WORLD);
    refusals += refused(HcCheckpointOpen(file, "test", PETSC_COMM_WORLD, &ck), HC_EXIT_IO, file, "");
    MPI_Barrier(PETSC_COMM_WORLD);
  }
  tap_ok(refusals == 7, "truncated files are refused");
  PetscFunctionReturn(0);
}

/* A disk too small for the file, found before, in the middle and near the end of it. Needs the right to mount. */
static PetscErrorCode test_full_disk(void) {
  char disk[PETSC_MAX_PATH_LEN], keep[PETSC_MAX_PATH_LEN], options[64], here[PETSC_MAX_PATH_LEN], file[PETSC_MAX_PATH_LEN];
  int can = 0, good = 1, left_over = 0, failures = 0, successes = 0;
  PetscFunctionBeginUser;
  PetscCall(PetscSNPrintf(disk, sizeof disk, "%s/disk", dir));
  PetscCall(PetscStrncpy(keep, dir, sizeof keep));
  for (int kb = 8; kb <= 512; kb += kb < 64 ? 4 : 64) {
    if (rank == 0) {
      mkdir(disk, 0777);
      snprintf(options, sizeof options, "size=%dk", kb);
      can = mount("tmpfs", disk, "tmpfs", 0, options) == 0;
    }
    PetscCallMPI(MPI_Bcast(&can, 1, MPI_INT, 0, PETSC_COMM_WORLD));
    if (!can) break;
    PetscCall(PetscStrncpy(dir, disk, sizeof dir));
    PetscErrorCode code = save(PETSC_COMM_WORLD, 3, 1, 0);
    PetscCall(PetscSNPrintf(here, sizeof here, "%s/checkpoint_000001.h5.tmp", disk));
    PetscCall(PetscSNPrintf(file, sizeof file, "%s/checkpoint_000001.h5", disk));
    if (code) {
      ++failures;
      good = good && refused(code, HC_EXIT_IO, file, "No space left on device") && access(file, F_OK);
    } else {
      int read = 0;
      ++successes;
      PetscCall(load(PETSC_COMM_WORLD, file, 3, &read));
      good = good && read;
    }
    MPI_Barrier(PETSC_COMM_WORLD);
    left_over += !access(here, F_OK);
    MPI_Barrier(PETSC_COMM_WORLD);
    if (rank == 0) umount(disk);
    PetscCall(PetscStrncpy(dir, keep, sizeof dir));
  }
  if (rank == 0) rmdir(disk);
  if (can)
    tap_ok(
      good && failures > 3 && successes > 0, "full disks: %d refusals naming the reason, %d good files", failures, successes);
  if (can) tap_ok(!left_over, "nothing is left of what did not fit");
  if (!can) tap_ok(1, "full disks # SKIP mounting is not allowed here");
  PetscFunctionReturn(0);
}

static PetscErrorCode test_no_folder(void) {
  HcCheckpoint ck;
  PetscFunctionBeginUser;
  tap_ok(refused(HcCheckpointCreate("/nonexistent/run", "test", PETSC_COMM_WORLD, 1, &ck), HC_EXIT_IO,
           "/nonexistent/run/checkpoint_000001.h5", "No such file"),
    "writing into a folder that does not exist");
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  MPI_Comm_rank(PETSC_COMM_WORLD, &rank);
  MPI_Comm_size(PETSC_COMM_WORLD, &size);
  snprintf(dir, sizeof dir, "/tmp/halocline_checkpoint_XXXXXX");
  if (rank == 0 && !mkdtemp(dir)) abort();
  if (MPI_Bcast(dir, sizeof dir, MPI_CHAR, 0, PETSC_COMM_WORLD)) abort();
  PetscCallAbort(PETSC_COMM_SELF, test_round_trip());
  PetscCallAbort(PETSC_COMM_SELF, test_same_bytes());
  PetscCallAbort(PETSC_COMM_SELF, test_keep());
  PetscCallAbort(PETSC_COMM_SELF, test_mismatch());
  PetscCallAbort(PETSC_COMM_SELF, test_damage());
  PetscCallAbort(PETSC_COMM_SELF, test_full_disk());
  PetscCallAbort(PETSC_COMM_SELF, test_no_folder());
  char command[PETSC_MAX_PATH_LEN + 16];
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  if (rank == 0 && system(command)) return 1;
  return tap_done();
}
