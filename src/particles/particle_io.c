/* Particles in files: particles_NNNNNN.h5 with its index for ParaView and VisIt, and in checkpoints. */
#define _GNU_SOURCE
#include "grid/hdf5_file.h"
#include "particles_private.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROWS = 1 << 18, METADATA = 8192 };

/* ---- which particles, in which order ---- */

/* This rank's rows of the file: those of p, or chosen ones that were brought together by id. */
typedef struct {
  PetscInt n;
  const double *x[3], *weight;
  const uint64_t *id;
  double *table; /* holds chosen ones */
  uint64_t first, total;
  PetscInt transfers;
} Rows;

static int by_id(const void *a, const void *b) {
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* Chosen particles, sorted: those of one range of ids on each rank. Records are id, x, weight. */
static PetscErrorCode gather_sample(HcParticles p, PetscInt sample, Rows *rows) {
  HcGrid g = p->grid;
  const int length = hc_record_length(g), dim = (int)g->dim;
  uint64_t most = 0;
  double *records, *received;
  int *destination;
  PetscInt n = 0, arrived;
  PetscFunctionBeginUser;
  for (PetscInt q = 0; q < p->n; ++q) {
    n += p->id[q] % (uint64_t)sample == 0;
    most = PetscMax(most, p->id[q]);
  }
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_UINT64_T, MPI_MAX, g->comm));
  PetscCall(PetscMalloc2(n * length, &records, n, &destination));
  for (PetscInt q = 0, k = 0; q < p->n; ++q) {
    if (p->id[q] % (uint64_t)sample) continue;
    double *r = records + k * length;
    memcpy(r, &p->id[q], 8);
    for (int d = 0; d < dim; ++d) r[1 + d] = p->x[d][q];
    r[1 + dim] = p->weight[q];
    destination[k++] = PetscMin((int)((double)p->id[q] / ((double)most + 1) * g->size), g->size - 1);
  }
  PetscCall(hc_sparse_exchange(p->migration, length, n, destination, records, &arrived, &received));
  PetscCall(PetscFree2(records, destination));
  if (arrived) qsort(received, (size_t)arrived, (size_t)length * sizeof *received, by_id);
  PetscCall(PetscMalloc1(arrived * length + 1, &rows->table));
  for (PetscInt k = 0; k < arrived; ++k)
    for (int c = 0; c < length; ++c) memcpy(&rows->table[c * arrived + k], &received[k * length + c], 8);
  PetscCall(PetscFree(received));
  rows->n = arrived;
  rows->id = (const uint64_t *)(const void *)rows->table;
  for (int d = 0; d < dim; ++d) rows->x[d] = rows->table + (1 + d) * arrived;
  rows->weight = rows->table + (1 + dim) * arrived;
  PetscFunctionReturn(0);
}

static PetscErrorCode choose_rows(HcParticles p, PetscInt sample, Rows *rows) {
  MPI_Comm comm = p->grid->comm;
  uint64_t mine;
  PetscFunctionBeginUser;
  memset(rows, 0, sizeof *rows);
  rows->n = p->n;
  rows->id = p->id;
  rows->weight = p->weight;
  for (int d = 0; d < 3; ++d) rows->x[d] = p->x[d];
  if (sample > 0) PetscCall(gather_sample(p, sample, rows));
  mine = (uint64_t)rows->n;
  PetscCallMPI(MPI_Exscan(&mine, &rows->first, 1, MPI_UINT64_T, MPI_SUM, comm));
  if (p->grid->rank == 0) rows->first = 0;
  PetscCallMPI(MPI_Allreduce(&mine, &rows->total, 1, MPI_UINT64_T, MPI_SUM, comm));
  rows->transfers = (rows->n + ROWS - 1) / ROWS;
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &rows->transfers, 1, MPIU_INT, MPI_MAX, comm));
  PetscFunctionReturn(0);
}

/* ---- the file ---- */

/* One data set, in pieces of ROWS rows, so that interleaving needs little memory. */
static PetscErrorCode write_set(HcWriter *w, const char *name, const Rows *rows, int columns, const void *const column[],
  hid_t stored, hid_t type, const char *description) {
  HcShare share = {.rank = columns > 0 ? 2 : 1, .dims = {rows->total, (hsize_t)columns}, .count = {0, (hsize_t)columns}};
  const int c = columns > 0 ? columns : 1;
  double *table = NULL;
  hid_t set;
  PetscFunctionBeginUser;
  PetscCall(hc_writer_set_of(w, name, stored, share.rank, share.dims, &set, NULL));
  PetscErrorCode code = PetscMalloc1(PetscMin(ROWS, rows->n) * c + 1, &table);
  for (PetscInt t = 0; t < rows->transfers && !code; ++t) {
    const PetscInt begin = PetscMin(rows->n, t * ROWS), n = PetscMin(rows->n - begin, ROWS);
    for (int k = 0; k < c; ++k)
      for (PetscInt q = 0; q < n; ++q) memcpy(&table[q * c + k], (const char *)column[k] + 8 * (size_t)(begin + q), 8);
    share.start[0] = n ? rows->first + (hsize_t)begin : 0;
    share.count[0] = (hsize_t)n;
    code = hc_writer_block_of(w, set, &share, hc_memory_flat((hsize_t)(n * c)), type, table);
  }
  if (!code) {
    int ok = hc_attribute_text(set, "description", description);
    ok = H5Dclose(set) >= 0 && ok;
    code = hc_writer_agree(w, ok);
  }
  PetscCall(PetscFree(table));
  PetscFunctionReturn(code);
}

static PetscErrorCode write_all(HcWriter *w, HcGrid g, const Rows *rows, PetscInt step, double time) {
  const int64_t number = step, dim = g->dim;
  const void *x[3] = {rows->x[0], rows->x[1], rows->x[2]};
  PetscFunctionBeginUser;
  int ok = hc_attribute_reals(w->id, "time", 1, &time) && hc_attribute_ints(w->id, "step", 1, &number) &&
           hc_attribute_ints(w->id, "dim", 1, &dim) && hc_attribute_reals(w->id, "lower", 3, g->lower) &&
           hc_attribute_reals(w->id, "upper", 3, g->upper) && hc_attribute_text(w->id, "version", "halocline " HC_VERSION);
  PetscCall(hc_writer_agree(w, ok));
  PetscCall(write_set(w, "/particles/position", rows, (int)dim, x, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, "position [N][dim]"));
  PetscCall(write_set(w, "/particles/id", rows, 0, (const void *[]){rows->id}, H5T_STD_U64LE, H5T_NATIVE_UINT64, "identity"));
  PetscCall(write_set(
    w, "/particles/weight", rows, 0, (const void *[]){rows->weight}, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, "share of the total"));
  PetscFunctionReturn(0);
}

/* ---- the index ---- */

static const char block_start[] = "    <Grid Name=\"particles_", tail[] = "  </Grid>\n</Domain>\n</Xdmf>\n";

/* The old index up to the first block of index `from` or later, NULL if there is none of ours. */
static char *read_before(const char *path, long from) {
  struct stat now;
  char *text = NULL, *cut;
  FILE *f = fopen(path, "r");
  if (!f) return NULL;
  if (fstat(fileno(f), &now) == 0 && (text = malloc((size_t)now.st_size + 1))) text[fread(text, 1, (size_t)now.st_size, f)] = 0;
  fclose(f);
  if (!text) return NULL;
  for (cut = text; (cut = strstr(cut, block_start)); ++cut)
    if (strtol(cut + strlen(block_start), NULL, 10) >= from) break;
  if (!cut) cut = strstr(text, tail);
  if (!cut) {
    free(text);
    return NULL;
  }
  *cut = 0;
  return text;
}

static void put_block(FILE *out, const char *name, HcGrid g, long index, double time, uint64_t n) {
  const unsigned long long count = n;
  fprintf(out, "%s%06ld\" GridType=\"Uniform\">\n      <Time Value=\"%.17g\"/>\n", block_start, index, time);
  fprintf(out, "      <Topology TopologyType=\"Polyvertex\" NodesPerElement=\"1\" NumberOfElements=\"%llu\"/>\n", count);
  fprintf(out,
    "      <Geometry GeometryType=\"%s\">\n        <DataItem Format=\"HDF\" NumberType=\"Float\" Precision=\"8\" "
    "Dimensions=\"%llu %d\">%s:/particles/position</DataItem>\n      </Geometry>\n",
    g->dim == 3 ? "XYZ" : "XY", count, (int)g->dim, name);
  for (int a = 0; a < 2; ++a)
    fprintf(out,
      "      <Attribute Name=\"%s\" AttributeType=\"Scalar\" Center=\"Node\">\n        <DataItem Format=\"HDF\" "
      "NumberType=\"%s\" "
      "Precision=\"8\" Dimensions=\"%llu\">%s:/particles/%s</DataItem>\n      </Attribute>\n",
      a ? "weight" : "id", a ? "Float" : "UInt", count, name, a ? "weight" : "id");
  fprintf(out, "    </Grid>\n");
}

/* Files from `index` on, of a run that is continued from before them, leave the index; this one enters it. */
static PetscErrorCode rewrite_index(const char *dir, HcGrid g, long index, double time, uint64_t n) {
  char path[PETSC_MAX_PATH_LEN], temporary[PETSC_MAX_PATH_LEN + 8], name[64];
  int error = 0;
  snprintf(path, sizeof path, "%s/particles.xmf", dir);
  snprintf(temporary, sizeof temporary, "%s.tmp", path);
  snprintf(name, sizeof name, "particles_%06ld.h5", index);
  char *before = read_before(path, index);
  FILE *out = fopen(temporary, "w");
  if (!out) {
    error = errno;
    free(before);
    return HcFail(HC_EXIT_IO, "cannot write '%s': %s", path, strerror(error));
  }
  fputs(before ? before
               : "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Xdmf Version=\"3.0\">\n<Domain>\n"
                 "  <Grid Name=\"particles\" GridType=\"Collection\" CollectionType=\"Temporal\">\n",
    out);
  free(before);
  put_block(out, name, g, index, time, n);
  fputs(tail, out);
  if (fflush(out) || ferror(out) || fsync(fileno(out))) error = errno ? errno : EIO;
  if (fclose(out) && !error) error = errno;
  if (!error && rename(temporary, path)) error = errno;
  if (!error) return 0;
  unlink(temporary);
  return HcFail(HC_EXIT_IO, "cannot write '%s': %s", path, strerror(error));
}

PetscErrorCode HcParticlesWrite(const char *dir, HcParticles p, PetscInt index, PetscInt step, double time, PetscInt sample) {
  HcGrid g = p->grid;
  char path[PETSC_MAX_PATH_LEN];
  HcWriter w;
  Rows rows;
  PetscFunctionBeginUser;
  PetscCall(choose_rows(p, sample, &rows));
  PetscCall(PetscSNPrintf(path, sizeof path, "%s/particles_%06d.h5", dir, (int)index));
  PetscErrorCode code = hc_writer_create(g->comm, path, 0, &w);
  if (!code) {
    code = write_all(&w, g, &rows, step, time);
    if (!code) code = hc_writer_close(&w);
    if (!code) code = hc_writer_publish(&w);
    hc_writer_abandon(&w);
  }
  PetscCall(PetscFree(rows.table));
  if (!code && g->dim > 1) code = HcAgree(g->comm, g->rank == 0 ? rewrite_index(dir, g, (long)index, time, rows.total) : 0);
  PetscFunctionReturn(code);
}

double HcParticlesFileBytes(HcGrid grid, double n) { return 8 * hc_record_length(grid) * n + METADATA; }

/* ---- checkpoints ---- */

static const char *set_name(const char *name, const char *what, char text[128]) {
  snprintf(text, 128, "%s_%s", name, what);
  return text;
}

static const char *const axis[3] = {"x", "y", "z"};

PetscErrorCode HcCheckpointPutParticles(HcCheckpoint ck, const char *name, HcParticles p) {
  char text[128];
  double *id;
  PetscFunctionBeginUser;
  for (int d = 0; d < p->grid->dim; ++d) PetscCall(HcCheckpointPutRows(ck, set_name(name, axis[d], text), p->n, p->x[d]));
  PetscCall(HcCheckpointPutRows(ck, set_name(name, "weight", text), p->n, p->weight));
  PetscCall(PetscMalloc1(p->n + 1, &id));
  for (PetscInt q = 0; q < p->n; ++q) id[q] = (double)p->id[q];
  PetscErrorCode code = HcCheckpointPutRows(ck, set_name(name, "id", text), p->n, id);
  PetscCall(PetscFree(id));
  if (!code) code = HcCheckpointPutReals(ck, set_name(name, "absorbed", text), 1, &p->absorbed);
  PetscFunctionReturn(code);
}

PetscErrorCode HcCheckpointGetParticles(HcCheckpoint ck, const char *name, HcParticles p) {
  char text[128];
  PetscInt n;
  PetscFunctionBeginUser;
  PetscCall(HcCheckpointRows(ck, set_name(name, "id", text), &n));
  p->n = 0;
  PetscCall(HcAgree(p->grid->comm, HcParticlesReserve(p, n)));
  for (int d = 0; d < p->grid->dim; ++d) PetscCall(HcCheckpointGetRows(ck, set_name(name, axis[d], text), n, p->x[d]));
  PetscCall(HcCheckpointGetRows(ck, set_name(name, "id", text), n, p->weight)); /* as numbers, on their way to p->id */
  for (PetscInt q = 0; q < n; ++q) p->id[q] = (uint64_t)p->weight[q];
  PetscCall(HcCheckpointGetRows(ck, set_name(name, "weight", text), n, p->weight));
  PetscCall(HcCheckpointGetReals(ck, set_name(name, "absorbed", text), 1, &p->absorbed));
  p->n = n;
  PetscCall(HcParticlesMigrate(p));
  PetscFunctionReturn(0);
}
