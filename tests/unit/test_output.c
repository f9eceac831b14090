/* parallel: field files hold what they should, and the index over them is right after every output */
#include "tap.h"
#include <halocline/io.h>
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[256];
static int rank, size;

static PetscErrorCode make_grid(PetscInt dim, HcGrid *grid) {
  HcGridSpec spec = {.dim = dim, .cells = {10, 7, 5}, .lower = {-1, 0, 0.5}, .upper = {1, 3, 2}, .min_block = 1};
  for (int f = 0; f < 6; ++f) spec.boundary[f] = HC_REFLECTING;
  return HcGridCreate(PETSC_COMM_WORLD, &spec, grid);
}

/* The global number of a cell, plus `more`. */
static double value(HcGrid g, PetscInt i, PetscInt j, PetscInt k, double more) {
  return (double)(g->start[0] + i + g->cells[0] * (g->start[1] + j + g->cells[1] * (g->start[2] + k))) + more;
}

static PetscErrorCode write_file(HcGrid g, PetscInt index, double time, PetscInt nselect, const char *const select[]) {
  HcField f;
  HcOutput out = NULL;
  PetscFunctionBeginUser;
  PetscCall(HcFieldCreate(g, 2, 2, &f));
  for (int c = 0; c < 2; ++c)
    for (PetscInt k = 0; k < g->n[2]; ++k)
      for (PetscInt j = 0; j < g->n[1]; ++j)
        for (PetscInt i = 0; i < g->n[0]; ++i)
          f->c[c][i + j * f->stride[1] + k * f->stride[2]] = value(g, i, j, k, 1000 * c + time);
  PetscErrorCode code = HcOutputOpen(dir, g, index, 10 * index, time, &out);
  if (!code && select) code = HcOutputSelect(out, nselect, select);
  if (!code) code = HcOutputField(out, "u", f, 0, "m", "first & \"best\"");
  if (!code) code = HcOutputField(out, "m", f, 1, "1/m^2", "second");
  PetscErrorCode closed = HcOutputClose(&out);
  PetscCall(HcFieldDestroy(&f));
  PetscFunctionReturn(code ? code : closed);
}

/* Rank 0: a data set holds n doubles with first and step between neighbours. */
static int holds(hid_t file, const char *path, int dims, hsize_t n, double first, double step) {
  double *v = calloc(n, sizeof *v);
  hid_t set = H5Dopen2(file, path, H5P_DEFAULT), space = set >= 0 ? H5Dget_space(set) : -1;
  int ok = space >= 0 && H5Sget_simple_extent_ndims(space) == dims && H5Sget_simple_extent_npoints(space) == (hssize_t)n &&
           H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, v) >= 0;
  for (hsize_t i = 0; i < n && ok; ++i) ok = fabs(v[i] - (first + (double)i * step)) <= 1e-15 * (fabs(first) + (double)n * step);
  if (space >= 0) H5Sclose(space);
  if (set >= 0) H5Dclose(set);
  free(v);
  return ok;
}

static int attribute(hid_t file, const char *object, const char *name, const char *text) {
  char stored[256] = "";
  hid_t a = H5Aopen_by_name(file, object, name, H5P_DEFAULT, H5P_DEFAULT);
  if (a < 0) return 0;
  hid_t type = H5Aget_type(a);
  int ok = H5Tget_size(type) < sizeof stored && H5Aread(a, type, stored) >= 0 && !strcmp(stored, text);
  H5Tclose(type);
  H5Aclose(a);
  return ok;
}

static PetscErrorCode test_content(PetscInt dim) {
  char path[PETSC_MAX_PATH_LEN];
  HcGrid g;
  int good = 1, named = 1, described = 1;
  PetscFunctionBeginUser;
  PetscCall(make_grid(dim, &g));
  PetscCall(write_file(g, dim, 0.25, 0, NULL));
  if (rank == 0) {
    const hsize_t n = (hsize_t)HcGridTotalCells(g);
    double time = 0;
    snprintf(path, sizeof path, "%s/fields_%06d.h5", dir, (int)dim);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    good = holds(file, "/fields/u", (int)dim, n, 0.25, 1) && holds(file, "/fields/m", (int)dim, n, 1000.25, 1);
    named = holds(file, "/grid/x", 1, 10, -0.9, 0.2) && holds(file, "/grid/x_nodes", 1, 11, -1, 0.2);
    if (dim > 1) named = named && holds(file, "/grid/y", 1, 7, 1.5 / 7, 3.0 / 7);
    if (dim > 2) named = named && holds(file, "/grid/z", 1, 5, 0.65, 0.3);
    named = named && (H5Lexists(file, "/grid/y", H5P_DEFAULT) > 0) == (dim > 1) &&
            (H5Lexists(file, "/grid/z", H5P_DEFAULT) > 0) == (dim > 2);
    hid_t a = H5Aopen(file, "time", H5P_DEFAULT);
    described = a >= 0 && H5Aread(a, H5T_NATIVE_DOUBLE, &time) >= 0 && time == 0.25;
    H5Aclose(a);
    described = described && attribute(file, "/fields/u", "units", "m") &&
                attribute(file, "/fields/u", "description", "first & \"best\"") && H5Aexists(file, "step") > 0 &&
                H5Aexists(file, "version") > 0;
    H5Fclose(file);
  }
  tap_ok(good, "%dD: fields on %d ranks", (int)dim, size);
  tap_ok(named, "%dD: cell centres and nodes", (int)dim);
  tap_ok(described, "%dD: attributes", (int)dim);
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

/* The names that the index lists, such as "0 1 5". */
static void listed(char *list, size_t room) {
  char path[PETSC_MAX_PATH_LEN], line[1024];
  size_t n = 0;
  int ends = 0;
  list[0] = 0;
  snprintf(path, sizeof path, "%s/fields.xmf", dir);
  FILE *in = fopen(path, "r");
  while (in && fgets(line, sizeof line, in)) {
    const char *p = strstr(line, "<Grid Name=\"fields_");
    if (p) n += (size_t)snprintf(list + n, room - n, "%s%ld", n ? " " : "", strtol(p + 19, NULL, 10));
    ends = ends || strstr(line, "</Xdmf>");
  }
  if (in) fclose(in);
  if (!ends) snprintf(list, room, "the index is not complete");
}

static int index_is(const char *expected) {
  char list[256] = "";
  MPI_Barrier(PETSC_COMM_WORLD);
  if (rank == 0) listed(list, sizeof list);
  int ok = rank || !strcmp(list, expected);
  if (!ok) fprintf(stderr, "# the index lists '%s', not '%s'\n", list, expected);
  MPI_Barrier(PETSC_COMM_WORLD);
  return ok;
}

static void forget_index(const char *text) {
  char path[PETSC_MAX_PATH_LEN];
  MPI_Barrier(PETSC_COMM_WORLD);
  snprintf(path, sizeof path, "%s/fields.xmf", dir);
  if (rank == 0) {
    FILE *out = fopen(path, "w");
    if (!out || fputs(text, out) < 0 || fclose(out)) abort();
  }
  MPI_Barrier(PETSC_COMM_WORLD);
}

static PetscErrorCode test_index(void) {
  HcGrid g;
  PetscFunctionBeginUser;
  PetscCall(make_grid(2, &g));
  tap_ok(index_is("1 2 3"), "the index lists all files");
  PetscCall(write_file(g, 4, 0.5, 0, NULL));
  PetscCall(write_file(g, 5, 0.75, 0, NULL));
  tap_ok(index_is("1 2 3 4 5"), "and grows");
  PetscCall(write_file(g, 3, 0.125, 0, NULL));
  tap_ok(index_is("1 2 3"), "a restart drops the files it left behind");
  forget_index("");
  PetscCall(write_file(g, 4, 0.5, 0, NULL));
  tap_ok(index_is("1 2 3 4"), "an index that was lost is made again");
  forget_index("    <Grid Name=\"fields_000002\" garbage");
  PetscCall(write_file(g, 5, 0.75, 0, NULL));
  tap_ok(index_is("1 2 3 4 5"), "and so is a damaged one");
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

static int has_set(PetscInt index, const char *path) {
  char name[PETSC_MAX_PATH_LEN];
  int has = 0;
  if (rank == 0) {
    snprintf(name, sizeof name, "%s/fields_%06d.h5", dir, (int)index);
    hid_t file = H5Fopen(name, H5F_ACC_RDONLY, H5P_DEFAULT);
    has = H5Lexists(file, path, H5P_DEFAULT) > 0;
    H5Fclose(file);
  }
  if (MPI_Bcast(&has, 1, MPI_INT, 0, PETSC_COMM_WORLD)) abort();
  return has;
}

static PetscErrorCode test_selection(void) {
  const char *const one[] = {"m"}, *const unknown[] = {"m", "speed"};
  HcGrid g;
  PetscFunctionBeginUser;
  PetscCall(make_grid(2, &g));
  PetscCall(write_file(g, 6, 1, 1, one));
  tap_ok(has_set(6, "/fields/m") && !has_set(6, "/fields/u"), "only what is asked for is written");
  PetscErrorCode code = write_file(g, 7, 1, 2, unknown);
  tap_ok(HcErrorKind(code) == HC_EXIT_INPUT && strstr(HcErrorMessage(), "'speed'"), "an unknown field is refused by name");
  HcErrorClear();
  tap_ok(index_is("1 2 3 4 5 6"), "and writes nothing");
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

/* Disks that hold none, one or two of the files: the earlier ones stay good. Needs the right to mount. */
static PetscErrorCode test_full_disk(void) {
  char keep[sizeof dir - 8], options[64];
  int can = 0, good = 1, failures = 0, most = 0;
  HcGrid g;
  PetscFunctionBeginUser;
  PetscCall(make_grid(3, &g));
  PetscCall(PetscStrncpy(keep, dir, sizeof keep));
  for (int kb = 4; kb <= 256; kb += 28) {
    if (rank == 0) {
      snprintf(dir, sizeof dir, "%s/disk", keep);
      mkdir(dir, 0777);
      snprintf(options, sizeof options, "size=%dk", kb);
      can = mount("tmpfs", dir, "tmpfs", 0, options) == 0;
    }
    PetscCallMPI(MPI_Bcast(&can, 1, MPI_INT, 0, PETSC_COMM_WORLD));
    PetscCallMPI(MPI_Bcast(dir, sizeof dir, MPI_CHAR, 0, PETSC_COMM_WORLD));
    for (int i = 0; i < 8 && can; ++i) {
      char expected[32] = "";
      PetscErrorCode code = write_file(g, i, i, 0, NULL);
      if (!code) continue;
      ++failures;
      most = PetscMax(most, i);
      good = good && HcErrorKind(code) == HC_EXIT_IO && strstr(HcErrorMessage(), dir) &&
             strstr(HcErrorMessage(), "No space left on device");
      HcErrorClear();
      for (int e = 0; e < i; ++e)
        snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%s%d", e ? " " : "", e);
      for (int e = 0; e < i; ++e) good = good && has_set(e, "/fields/u");
      if (i > 0) good = good && index_is(expected);
      break;
    }
    MPI_Barrier(PETSC_COMM_WORLD);
    if (rank == 0 && can) umount(dir);
    MPI_Barrier(PETSC_COMM_WORLD);
    if (rank == 0) rmdir(dir);
    PetscCall(PetscStrncpy(dir, keep, sizeof dir));
    if (!can) break;
  }
  if (can)
    tap_ok(good && failures > 3 && most > 1, "full disks: %d refusals, up to %d earlier files and the index stay good", failures,
      most);
  else
    tap_ok(1, "full disks # SKIP mounting is not allowed here");
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  MPI_Comm_rank(PETSC_COMM_WORLD, &rank);
  MPI_Comm_size(PETSC_COMM_WORLD, &size);
  snprintf(dir, sizeof dir, "/tmp/halocline_output_XXXXXX");
  if (rank == 0 && !mkdtemp(dir)) abort();
  if (MPI_Bcast(dir, sizeof dir, MPI_CHAR, 0, PETSC_COMM_WORLD)) abort();
  for (PetscInt dim = 1; dim <= 3; ++dim) PetscCallAbort(PETSC_COMM_SELF, test_content(dim));
  PetscCallAbort(PETSC_COMM_SELF, test_index());
  PetscCallAbort(PETSC_COMM_SELF, test_selection());
  PetscCallAbort(PETSC_COMM_SELF, test_full_disk());
  char command[PETSC_MAX_PATH_LEN + 16];
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  if (rank == 0 && system(command)) return 1;
  return tap_done();
}
