/*
 * Point clouds in text files, each rank the lines that begin in its share of the bytes.
 *
 * Numbers are parted by commas, semicolons, tabs or spaces. Lines that are empty or begin with # are passed over, and the
 * first other line if it does not begin with a number: names of columns.
 */
#define _GNU_SOURCE
#include "points_private.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  FILE *file;
  char *line; /* getline's */
  size_t room;
  off_t at, end;   /* next byte, end of the share */
  double lines;    /* read in this share */
  double bad_line; /* the first that is wrong, 0: none */
  char reason[128];
} Reader;

static int is_blank(const char *s) {
  while (*s == ' ' || *s == '\t' || *s == '\r' || *s == '\n') ++s;
  return !*s || *s == '#';
}

static int begins_with_number(const char *s) {
  char *end;
  strtod(s, &end);
  return end != s;
}

/* Read a line; 0 at the end of the file or on an error. */
static int next_line(Reader *r) {
  const ssize_t n = getline(&r->line, &r->room, r->file);
  if (n < 0) return 0;
  r->at += n;
  return 1;
}

/* Where the line of names begins, -1 if there is none. */
static off_t find_names(Reader *r) {
  off_t from = 0;
  r->at = 0;
  while (next_line(r)) {
    if (!is_blank(r->line)) return begins_with_number(r->line) ? -1 : from;
    from = r->at;
  }
  return -1;
}

/* Exactly dim numbers. 0, or 1 with a reason. */
static int parse(const char *s, PetscInt dim, double x[3], char reason[128]) {
  PetscInt n = 0;
  for (;;) {
    char *end;
    while (*s == ' ' || *s == '\t' || *s == '\r' || *s == '\n') ++s;
    if (!*s && n > 0) break;
    const double v = strtod(s, &end);
    if (end == s || (*end && !strchr(",; \t\r\n", *end))) {
      snprintf(reason, 128, "'%.*s' is not a number", (int)PetscMin(strcspn(s, ",; \t\r\n"), 40), s);
      return 1;
    }
    if (!isfinite(v)) {
      snprintf(reason, 128, "'%.*s' is not a finite number", (int)PetscMin((size_t)(end - s), 40), s);
      return 1;
    }
    if (n < dim) x[n] = v;
    ++n;
    s = end;
    while (*s == ' ' || *s == '\t') ++s;
    if (*s == ',' || *s == ';') {
      ++s;
      if (is_blank(s)) break; /* a separator at the end */
    }
  }
  if (n == dim) return 0;
  snprintf(reason, 128, "%lld column%s; %lld needed", (long long)n, n == 1 ? "" : "s", (long long)dim);
  return 1;
}

static PetscErrorCode read_share(Reader *r, off_t names, HcPoints p) {
  PetscInt room = 0;
  PetscFunctionBeginUser;
  while (r->at < r->end) {
    const off_t from = r->at;
    double x[3];
    if (!next_line(r)) break;
    ++r->lines;
    if (from == names || is_blank(r->line) || r->bad_line > 0) continue;
    if (parse(r->line, p->dim, x, r->reason)) {
      r->bad_line = r->lines;
      continue;
    }
    PetscCall(hc_points_reserve(p, &room, p->n + 1));
    for (PetscInt d = 0; d < p->dim; ++d) p->x[d][p->n] = x[d];
    ++p->n;
  }
  PetscFunctionReturn(0);
}

/* Go to the first line that begins at byte `from` or later. */
static int seek_line(Reader *r, off_t from) {
  r->at = from > 0 ? from - 1 : 0;
  if (fseeko(r->file, r->at, SEEK_SET)) return 0;
  return from == 0 || next_line(r) || feof(r->file);
}

PetscErrorCode hc_points_csv(HcOptions opts, const char *key, const char *path, HcPoints p) {
  Reader r = {0};
  PetscErrorCode code = 0;
  double sums[2], before[2] = {0, 0};
  int rank, size;
  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Comm_rank(p->comm, &rank));
  PetscCallMPI(MPI_Comm_size(p->comm, &size));
  r.file = fopen(path, "r");
  if (!r.file)
    code = HcOptionsFail(opts, key, "cannot read '%s': %s", path, strerror(errno));
  else {
    fseeko(r.file, 0, SEEK_END);
    const off_t bytes = ftello(r.file);
    rewind(r.file);
    const off_t names = find_names(&r);
    r.end = (off_t)((double)bytes * (rank + 1) / size);
    if (rank == size - 1) r.end = bytes;
    if (bytes > 0 && !seek_line(&r, rank ? (off_t)((double)bytes * rank / size) : 0))
      code = HcOptionsFail(opts, key, "cannot read '%s': %s", path, strerror(errno));
    if (!code) code = read_share(&r, names, p);
    if (!code && ferror(r.file)) code = HcOptionsFail(opts, key, "cannot read '%s': %s", path, strerror(errno));
    fclose(r.file);
  }
  free(r.line);
  PetscCall(HcAgree(p->comm, code));
  sums[0] = r.lines;
  sums[1] = (double)p->n;
  PetscCallMPI(MPI_Exscan(sums, before, 2, MPI_DOUBLE, MPI_SUM, p->comm));
  if (rank == 0) before[0] = before[1] = 0;
  PetscCallMPI(MPI_Allreduce(&sums[1], &p->total, 1, MPI_DOUBLE, MPI_SUM, p->comm));
  p->first = before[1];
  if (r.bad_line > 0) code = HcOptionsFail(opts, key, "%s:%.0f: %s", path, before[0] + r.bad_line, r.reason);
  PetscCall(HcAgree(p->comm, code));
  PetscFunctionReturn(0);
}
