/* parallel: formulas, HDF5 data and pictures as fields of space; mistakes are one line naming the key */
#include "picture_file.h"
#include <halocline/io.h>
#include <hdf5.h>
#include <sys/stat.h>

static char dir[256];
static int rank, size;

static const HcOption table[] = {
  {"f", HC_OPT_FIELD, "", "", "x,y,z,t,m", "a field"},
  {"g", HC_OPT_FIELD, "", "", "x,y,z", "a field that does not change"},
  {"e", HC_OPT_EXPRESSION, "", "", "x,y,z,t", "a formula"},
  {NULL, HC_OPT_TEXT, NULL, NULL, NULL, NULL},
};

static PetscErrorCode make_grid(PetscInt dim, HcGrid *grid) {
  HcGridSpec spec = {.dim = dim, .cells = {10, 8, 6}, .lower = {-1, 0, 0.5}, .upper = {1, 3, 2}, .min_block = 1};
  for (int f = 0; f < 6; ++f) spec.boundary[f] = HC_REFLECTING;
  return HcGridCreate(PETSC_COMM_WORLD, &spec, grid);
}

/* A source from the text given for key. The error code is that of its creation. */
static PetscErrorCode make_source(HcGrid g, const char *key, const char *text, HcSource *src) {
  static const char *const names[] = {"m"};
  char yaml[512];
  HcOptions opts;
  PetscFunctionBeginUser;
  snprintf(yaml, sizeof yaml, "%s: \"%s\"\n", key, text);
  PetscCall(make_options(yaml, table, &opts));
  PetscErrorCode code = HcSourceCreate(opts, key, g, 1, names, src);
  PetscCall(HcOptionsDestroy(&opts));
  PetscFunctionReturn(code);
}

static PetscErrorCode test_formula(void) {
  HcGrid g;
  HcSource src;
  double out[32], m[32];
  int good = 1;
  PetscFunctionBeginUser;
  PetscCall(make_grid(3, &g));
  PetscCall(make_source(g, "f", "x + 10*y + 100*z + 1000*t + m^2", &src));
  for (PetscInt i = 0; i < 32; ++i) m[i] = (double)i;
  const double *const extra[] = {m};
  /* ghosts too */
  PetscCall(HcSourceEvalRow(src, -2, g->n[0] + 4, -1, 1, 0.5, extra, out));
  for (PetscInt i = 0; i < g->n[0] + 4; ++i) {
    const double want = HcGridCentre(g, 0, i - 2) + 10 * HcGridCentre(g, 1, -1) + 100 * HcGridCentre(g, 2, 1) + 500 + m[i] * m[i];
    good = good && fabs(out[i] - want) <= 4 * 2.3e-16 * (fabs(want) + 1000);
  }
  tap_ok(good, "a formula over a row with ghosts");
  tap_ok(HcSourceUsesTime(src) && HcSourceUses(src, 0), "it knows what it depends on");
  PetscCall(HcSourceDestroy(&src));
  PetscCall(make_source(g, "f", "x", &src));
  tap_ok(!HcSourceUsesTime(src) && !HcSourceUses(src, 0), "and on what not");
  PetscCall(HcSourceDestroy(&src));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

/* Write numbers of a given type; n slowest first. */
static void write_set(const char *name, int dims, const hsize_t n[], hid_t type, const double *v) {
  char path[512];
  if (rank == 0) {
    snprintf(path, sizeof path, "%s/data.h5", dir);
    struct stat now;
    hid_t file =
      stat(path, &now) ? H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT) : H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t space = dims ? H5Screate_simple(dims, n, NULL) : H5Screate(H5S_SCALAR);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (v) H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, v);
    H5Dclose(set);
    H5Sclose(space);
    H5Fclose(file);
  }
  MPI_Barrier(PETSC_COMM_WORLD);
}

static double linear(double x, double y, double z) { return 2 + 3 * x - y + 0.5 * z; }

/* Data of nx x ny x nz cells over the grid's box; a linear function is met exactly between the outermost centres. */
static PetscErrorCode test_data(PetscInt dim, hsize_t nx, hsize_t ny, hsize_t nz) {
  char name[64], text[512];
  HcGrid g;
  HcSource src;
  HcField f;
  int good = 1;
  PetscFunctionBeginUser;
  PetscCall(make_grid(dim, &g));
  const hsize_t n[3] = {nx, dim > 1 ? ny : 1, dim > 2 ? nz : 1};
  double *v = malloc(n[0] * n[1] * n[2] * sizeof *v), hx[3];
  for (int d = 0; d < 3; ++d) hx[d] = (g->upper[d] - g->lower[d]) / (double)n[d];
  for (hsize_t k = 0; k < n[2]; ++k)
    for (hsize_t j = 0; j < n[1]; ++j)
      for (hsize_t i = 0; i < n[0]; ++i)
        v[i + n[0] * (j + n[1] * k)] = linear(g->lower[0] + ((double)i + 0.5) * hx[0], g->lower[1] + ((double)j + 0.5) * hx[1],
          g->lower[2] + ((double)k + 0.5) * hx[2]);
  const hsize_t shape[3][3] = {{n[0]}, {n[1], n[0]}, {n[2], n[1], n[0]}};
  snprintf(name, sizeof name, "d%d_%d_%d_%d", (int)dim, (int)nx, (int)ny, (int)nz);
  write_set(name, (int)dim, shape[dim - 1], H5T_NATIVE_DOUBLE, v);
  snprintf(text, sizeof text, "%s/data.h5:/%s", dir, name);
  PetscCall(make_source(g, "f", text, &src));
  PetscCall(HcFieldCreate(g, 1, 1, &f));
  PetscCall(HcSourceEvalField(src, 0, f, 0));
  const int equal = (PetscInt)n[0] == g->cells[0] && (PetscInt)n[1] == g->cells[1] && (PetscInt)n[2] == g->cells[2];
  for (PetscInt k = 0; k < g->n[2]; ++k)
    for (PetscInt j = 0; j < g->n[1]; ++j)
      for (PetscInt i = 0; i < g->n[0]; ++i) {
        const PetscInt at[3] = {i, j, k};
        double x[3];
        for (int d = 0; d < 3; ++d) /* beyond the outermost centres of the data: the value there */
          x[d] = fmin(fmax(HcGridCentre(g, d, at[d]), g->lower[d] + 0.5 * hx[d]), g->upper[d] - 0.5 * hx[d]);
        const double got = f->c[0][i + j * f->stride[1] + k * f->stride[2]], want = linear(x[0], x[1], x[2]);
        if (equal)
          good = good && got == v[g->start[0] + i + g->cells[0] * (g->start[1] + j + g->cells[1] * (g->start[2] + k))];
        else
          good = good && fabs(got - want) <= 20 * 2.3e-16 * 10; /* some 20 operations on numbers below 10 */
      }
  free(v);
  tap_ok(good, "%dD: data of %d x %d x %d cells%s", (int)dim, (int)nx, (int)ny, (int)nz, equal ? ", to the last bit" : "");
  PetscCall(HcFieldDestroy(&f));
  PetscCall(HcSourceDestroy(&src));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

static PetscErrorCode test_picture(void) {
  /* a picture of the grid's size: red of the top row runs over the columns, the rest is grey by the row, half transparent last */
  unsigned char rgba[8][10][4];
  char path[300];
  HcGrid g;
  HcSource src;
  int good = 1;
  PetscFunctionBeginUser;
  for (int y = 0; y < 8; ++y)
    for (int x = 0; x < 10; ++x) {
      const unsigned char grey = (unsigned char)(30 * y + x);
      rgba[y][x][0] = rgba[y][x][1] = rgba[y][x][2] = y == 7 ? 0 : grey;
      rgba[y][x][3] = y == 7 ? 51 : 255;
    }
  snprintf(path, sizeof path, "%s/grey.png", dir);
  write_png(path, 10, 8, &rgba[0][0][0]);
  for (PetscInt dim = 2; dim <= 3; ++dim) {
    PetscCall(make_grid(dim, &g));
    PetscCall(make_source(g, "f", path, &src));
    for (PetscInt k = 0; k < g->n[2]; ++k)
      for (PetscInt j = 0; j < g->n[1]; ++j) {
        double out[16];
        PetscCall(HcSourceEvalRow(src, 0, g->n[0], j, k, 0, NULL, out));
        for (PetscInt i = 0; i < g->n[0]; ++i) {
          const int y = 7 - (int)(g->start[1] + j), x = (int)(g->start[0] + i);
          const double want = y == 7 ? 0.8 : (30 * y + x) / 255.0; /* black, a fifth opaque, over white */
          good = good && fabs(out[i] - want) <= 1.0 / 65535;
        }
      }
    PetscCall(HcSourceDestroy(&src));
    PetscCall(HcGridDestroy(&g));
  }
  tap_ok(good, "luminance of a picture, upwards, over white, extruded");
  PetscFunctionReturn(0);
}

static PetscErrorCode test_mistakes(void) {
  const double bad[6] = {1, 2, NAN, 4, 5, 6};
  const hsize_t two[2] = {2, 3}, one[1] = {6};
  char path[300];
  PetscFunctionBeginUser;
  write_set("nan", 2, two, H5T_NATIVE_DOUBLE, bad);
  write_set("line", 1, one, H5T_NATIVE_DOUBLE, bad);
  write_set("group/inside", 2, two, H5T_NATIVE_INT, NULL);
  write_set("scalar", 0, NULL, H5T_NATIVE_DOUBLE, NULL);
  if (rank == 0) {
    hid_t text = H5Tcopy(H5T_C_S1);
    snprintf(path, sizeof path, "%s/data.h5", dir);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), space = H5Screate_simple(2, two, NULL);
    H5Dclose(H5Dcreate2(file, "words", text, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Gclose(H5Gcreate2(file, "group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
    H5Tclose(text);
    H5Fclose(file);
    snprintf(path, sizeof path, "%s/text.h5", dir);
    FILE *out = fopen(path, "w");
    if (!out || fputs("this is no picture and no HDF5 file\n", out) < 0 || fclose(out)) abort();
    char other[300];
    snprintf(other, sizeof other, "%s/text.png", dir);
    if (link(path, other)) abort();
    snprintf(path, sizeof path, "%s/grey.png", dir);
    snprintf(other, sizeof other, "%s/cut.png", dir);
    FILE *in = fopen(path, "rb");
    char bytes[4096];
    size_t n = in ? fread(bytes, 1, sizeof bytes, in) : 0;
    if (in) fclose(in);
    out = fopen(other, "wb");
    if (!out || n < 80 || fwrite(bytes, 1, n * 2 / 3, out) != n * 2 / 3 || fclose(out)) abort();
  }
  MPI_Barrier(PETSC_COMM_WORLD);
  static const struct {
    const char *key, *text, *words, *about;
  } wrong[] = {
    {"f", "x + ", "column", "syntax error"},
    {"f", "x + speed", "speed", "unknown name"},
    {"g", "x * t", "cannot depend on 't'", "a variable that the key does not allow"},
    {"e", "#/data.h5:/nan", "formula", "a file where a formula belongs"},
    {"f", "#/absent.h5:/u", "No such file", "no such file"},
    {"f", "#/data.h5", "data set", "HDF5 without a data set"},
    {"f", "#/data.h5:", "data set", "HDF5 with an empty data set"},
    {"f", "#/data.h5:/absent/u", "does not exist", "no such data set"},
    {"f", "#/data.h5:/group", "is not a data set", "a group"},
    {"f", "#/data.h5:/line", "has 1 dimension; the grid has 2", "wrong number of dimensions"},
    {"f", "#/data.h5:/scalar", "has 0 dimensions", "a scalar"},
    {"f", "#/data.h5:/words", "numbers", "text"},
    {"f", "#/data.h5:/nan", "not finite", "NaN"},
    {"f", "#/text.h5:/u", "not an HDF5 file", "not HDF5"},
    {"f", "#:/u.h5:/u", "No such file", "a name that is none"},
    {"f", "#/absent.png", "No such file", "no such picture"},
    {"f", "#/text.png", "not a PNG", "not a picture"},
    {"f", "#/cut.png", "damaged PNG", "half a picture"},
  };
  HcGrid g;
  PetscCall(make_grid(2, &g));
  for (size_t w = 0; w < sizeof wrong / sizeof wrong[0]; ++w) {
    char text[300];
    HcSource src;
    snprintf(text, sizeof text, "%s%s", wrong[w].text[0] == '#' ? dir : "", wrong[w].text + (wrong[w].text[0] == '#'));
    PetscErrorCode code = make_source(g, wrong[w].key, text, &src);
    tap_ok(fails(code, HC_EXIT_INPUT, wrong[w].words, wrong[w].key), "%s", wrong[w].about);
  }
  PetscCall(HcGridDestroy(&g));
  PetscCall(make_grid(1, &g));
  HcSource src;
  snprintf(path, sizeof path, "%s/grey.png", dir);
  tap_ok(fails(make_source(g, "f", path, &src), HC_EXIT_INPUT, "2 or 3 dimensions", "f = "), "a picture in 1D");
  HcOptions opts;
  PetscCall(make_options("e: x\n", table, &opts));
  PetscCall(HcSourceCreate(opts, "f", g, 0, NULL, &src));
  tap_ok(src == NULL, "an unset key gives no source");
  PetscCall(HcOptionsDestroy(&opts));
  PetscCall(HcGridDestroy(&g));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  MPI_Comm_rank(PETSC_COMM_WORLD, &rank);
  MPI_Comm_size(PETSC_COMM_WORLD, &size);
  snprintf(dir, sizeof dir, "/tmp/halocline_source_XXXXXX");
  if (rank == 0 && !mkdtemp(dir)) abort();
  if (MPI_Bcast(dir, sizeof dir, MPI_CHAR, 0, PETSC_COMM_WORLD)) abort();
  PetscCallAbort(PETSC_COMM_SELF, test_formula());
  const hsize_t sizes[][3] = {{10, 8, 6}, {1, 1, 1}, {3, 2, 5}, {40, 24, 18}, {7, 31, 2}, {11, 8, 7}};
  for (PetscInt dim = 1; dim <= 3; ++dim)
    for (int s = 0; s < 6; ++s) PetscCallAbort(PETSC_COMM_SELF, test_data(dim, sizes[s][0], sizes[s][1], sizes[s][2]));
  PetscCallAbort(PETSC_COMM_SELF, test_picture());
  PetscCallAbort(PETSC_COMM_SELF, test_mistakes());
  char command[300];
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  if (rank == 0 && system(command)) return 1;
  return tap_done();
}
