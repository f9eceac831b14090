/*
 * The index fields.xmf: a temporal collection of rectilinear meshes with cell-centred attributes.
 *
 * Meshes are given by the coordinates of their nodes, by name for each axis: readers disagree on the order of origin and
 * spacing of regular meshes in two dimensions. The block of a file depends on that file alone, so blocks are carried over
 * from the old index and only new files are opened.
 */
#define _GNU_SOURCE
#include "xdmf.h"
#include "hdf5_file.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char block_start[] = "    <Grid Name=\"fields_", block_end[] = "    </Grid>\n";

/* ---- one file's block ---- */

static void put_escaped(FILE *out, const char *text) {
  for (; *text; ++text) {
    switch (*text) {
    case '&':
      fputs("&amp;", out);
      break;
    case '<':
      fputs("&lt;", out);
      break;
    case '>':
      fputs("&gt;", out);
      break;
    case '"':
      fputs("&quot;", out);
      break;
    default:
      fputc(*text, out);
    }
  }
}

/* Dimensions, slowest first, `more` added to each; a line becomes a strip of one cell, since meshes have two axes at least. */
static void put_dimensions(FILE *out, int dim, const int64_t cells[3], int more) {
  if (dim == 1) fprintf(out, "%d ", 1 + more);
  for (int d = dim - 1; d >= 0; --d) fprintf(out, "%lld%s", (long long)cells[d] + more, d ? " " : "");
}

static void put_nodes(FILE *out, const char *file, int dim, const int64_t cells[3]) {
  fprintf(out, "      <Geometry GeometryType=\"%s\">\n", dim == 3 ? "VXVYVZ" : "VXVY");
  for (int d = 0; d < dim; ++d)
    fprintf(out,
      "        <DataItem Format=\"HDF\" NumberType=\"Float\" Precision=\"8\" Dimensions=\"%lld\">%s:/grid/%c_nodes</DataItem>\n",
      (long long)cells[d] + 1, file, "xyz"[d]);
  if (dim == 1)
    fprintf(out, "        <DataItem Format=\"XML\" NumberType=\"Float\" Precision=\"8\" Dimensions=\"2\">0 1</DataItem>\n");
  fprintf(out, "      </Geometry>\n");
}

/* Describe a file; nothing if it cannot be read. */
static void put_block(FILE *out, const char *dir, long index) {
  char name[64], path[PETSC_MAX_PATH_LEN], **sets = NULL;
  int64_t cells[3], dim = 0;
  double time = 0;
  snprintf(name, sizeof name, "fields_%06ld.h5", index);
  snprintf(path, sizeof path, "%s/%s", dir, name);
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (file < 0) return;
  hid_t grid = H5Lexists(file, "grid", H5P_DEFAULT) > 0 ? H5Gopen2(file, "grid", H5P_DEFAULT) : H5I_INVALID_HID;
  int ok = grid >= 0 && hc_read_ints(grid, "cells", 3, cells) && hc_read_ints(grid, "dim", 1, &dim) &&
           hc_read_reals(file, "time", 1, &time) && dim >= 1 && dim <= 3;
  int n = ok ? hc_list_sets(file, "fields", &sets) : 0;
  if (ok && n >= 0) {
    fprintf(out, "%s%06ld\" GridType=\"Uniform\">\n      <Time Value=\"%.17g\"/>\n", block_start, index, time);
    fprintf(out, "      <Topology TopologyType=\"%dDRectMesh\" Dimensions=\"", dim == 3 ? 3 : 2);
    put_dimensions(out, (int)dim, cells, 1);
    fprintf(out, "\"/>\n");
    put_nodes(out, name, (int)dim, cells);
    for (int i = 0; i < n; ++i) {
      fprintf(out, "      <Attribute Name=\"");
      put_escaped(out, sets[i]);
      fprintf(out,
        "\" AttributeType=\"Scalar\" Center=\"Cell\">\n        <DataItem Format=\"HDF\" NumberType=\"Float\" Precision=\"8\" "
        "Dimensions=\"");
      put_dimensions(out, (int)dim, cells, 0);
      fprintf(out, "\">%s:/fields/", name);
      put_escaped(out, sets[i]);
      fprintf(out, "</DataItem>\n      </Attribute>\n");
    }
    fputs(block_end, out);
  }
  if (n > 0) hc_list_free(n, sets);
  if (grid >= 0) H5Gclose(grid);
  H5Fclose(file);
}

/* ---- the old index ---- */

/* The whole of a text file, NULL if there is none. */
static char *read_text(const char *path) {
  struct stat now;
  char *text = NULL;
  FILE *f = fopen(path, "r");
  if (!f) return NULL;
  if (fstat(fileno(f), &now) == 0 && (text = malloc((size_t)now.st_size + 1))) {
    text[fread(text, 1, (size_t)now.st_size, f)] = 0;
  }
  fclose(f);
  return text;
}

/* The block of a file in the old index, its length in *n; NULL if it is not there or the index is not ours. */
static const char *find_block(const char *old, long index, size_t *n) {
  char start[64];
  snprintf(start, sizeof start, "%s%06ld\"", block_start, index);
  const char *from = old ? strstr(old, start) : NULL, *to = from ? strstr(from, block_end) : NULL;
  if (!to) return NULL;
  *n = (size_t)(to - from) + strlen(block_end);
  return from;
}

static int lists_beyond(const char *old, long last) {
  for (const char *p = old; p && (p = strstr(p, block_start)); ++p)
    if (strtol(p + strlen(block_start), NULL, 10) > last) return 1;
  return 0;
}

/* ---- the files of the run ---- */

static int ascending(const void *a, const void *b) {
  const long p = *(const long *)a, q = *(const long *)b;
  return p < q ? -1 : p > q;
}

/* Indices of the fields files up to `last`, in order; released with free(). */
static int list_files(const char *dir, long last, long **index) {
  int n = 0, room = 0;
  *index = NULL;
  DIR *d = opendir(dir);
  for (struct dirent *e; d && (e = readdir(d));) {
    char *rest;
    if (strncmp(e->d_name, "fields_", 7) || strlen(e->d_name) < strlen("fields_000000.h5")) continue;
    long i = strtol(e->d_name + 7, &rest, 10);
    if (strcmp(rest, ".h5") || i < 0 || i > last) continue;
    if (n == room) {
      long *more = realloc(*index, sizeof *more * (size_t)(room = 2 * room + 64));
      if (!more) break;
      *index = more;
    }
    (*index)[n++] = i;
  }
  if (d) closedir(d);
  if (n) qsort(*index, (size_t)n, sizeof **index, ascending);
  return n;
}

PetscErrorCode hc_xdmf_rewrite(const char *dir, PetscInt last, PetscBool only_to_drop) {
  char path[PETSC_MAX_PATH_LEN], temporary[PETSC_MAX_PATH_LEN + 8];
  long *index;
  int error = 0;
  snprintf(path, sizeof path, "%s/fields.xmf", dir);
  snprintf(temporary, sizeof temporary, "%s.tmp", path);
  char *old = read_text(path);
  if (only_to_drop && !lists_beyond(old, (long)last)) {
    free(old);
    return 0;
  }
  FILE *out = fopen(temporary, "w");
  if (!out) {
    error = errno;
    free(old);
    return HcFail(HC_EXIT_IO, "cannot write '%s': %s", path, strerror(error));
  }
  fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Xdmf Version=\"3.0\">\n<Domain>\n"
        "  <Grid Name=\"fields\" GridType=\"Collection\" CollectionType=\"Temporal\">\n",
    out);
  const int n = list_files(dir, (long)last, &index);
  for (int i = 0; i < n; ++i) {
    size_t length;
    /* the newest file is new even if the old index knew one of its name */
    const char *block = index[i] == (long)last && !only_to_drop ? NULL : find_block(old, index[i], &length);
    if (block)
      fwrite(block, 1, length, out);
    else
      put_block(out, dir, index[i]);
  }
  fputs("  </Grid>\n</Domain>\n</Xdmf>\n", out);
  free(index);
  free(old);
  if (fflush(out) || ferror(out) || fsync(fileno(out))) error = errno ? errno : EIO;
  if (fclose(out) && !error) error = errno;
  if (!error && rename(temporary, path)) error = errno;
  if (error) {
    unlink(temporary);
    return HcFail(HC_EXIT_IO, "cannot write '%s': %s", path, strerror(error));
  }
  return 0;
}
