#include "history.h"
#include <errno.h>
#include <halocline/error.h>
#include <halocline/run.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct HcHistory_ {
  FILE *file; /* NULL on other ranks */
  char path[PETSC_MAX_PATH_LEN];
  double flushed, last; /* clock at the last flush, the last row */
  int error;            /* errno of the first failure */
};

static PetscErrorCode io_error(const char *path, int error) {
  return HcFail(HC_EXIT_IO, "%s: cannot write: %s", path, strerror(error));
}

/* The header and the rows up to `step` of an earlier history, as one text; a last line cut short by a kill is dropped. */
static PetscErrorCode read_earlier(const char *path, const char *header, PetscInt step, char **kept, size_t *length) {
  PetscFunctionBeginUser;
  *kept = NULL;
  *length = 0;
  FILE *f = fopen(path, "r");
  if (!f && errno == ENOENT) PetscFunctionReturn(0);
  if (!f) PetscCall(HcFail(HC_EXIT_IO, "%s: cannot read: %s", path, strerror(errno)));
  FILE *out = open_memstream(kept, length);
  char *line = NULL;
  size_t room = 0;
  ssize_t n;
  PetscBool first = PETSC_TRUE, other = PETSC_FALSE;
  while ((n = getline(&line, &room, f)) > 0 && line[n - 1] == '\n') {
    if (first)
      other = strncmp(line, header, (size_t)n - 1) || header[n - 1] ? PETSC_TRUE : PETSC_FALSE;
    else if (atoll(line) > step)
      break;
    first = PETSC_FALSE;
    fputs(line, out);
  }
  free(line);
  fclose(f);
  fclose(out);
  if (other) PetscCall(HcFail(HC_EXIT_IO, "%s: has other columns than this run writes; move it away to restart", path));
  PetscFunctionReturn(0);
}

PetscErrorCode HcHistoryOpen(int rank, const char *dir, const char *header, const char *from, PetscInt step, HcHistory *history) {
  char *kept = NULL;
  size_t length = 0;
  PetscFunctionBeginUser;
  HcHistory h = calloc(1, sizeof *h);
  if (!h) PetscCall(HcFail(HC_EXIT_FAILED, "out of memory"));
  *history = h;
  if (rank) PetscFunctionReturn(0);
  snprintf(h->path, sizeof h->path, "%s/history.csv", dir);
  if (from) PetscCall(read_earlier(from, header, step, &kept, &length));
  /* The kept rows go to a new file which then takes the place of the old one: a full disk loses nothing. */
  char temporary[PETSC_MAX_PATH_LEN + 8];
  snprintf(temporary, sizeof temporary, "%s.tmp", h->path);
  h->file = fopen(temporary, "w");
  if (!h->file) {
    free(kept);
    PetscCall(io_error(h->path, errno));
  }
  if (length)
    fwrite(kept, 1, length, h->file);
  else
    fprintf(h->file, "%s\n", header);
  free(kept);
  if (fflush(h->file) || fsync(fileno(h->file)) || rename(temporary, h->path)) {
    const int error = errno;
    fclose(h->file);
    h->file = NULL;
    remove(temporary);
    PetscCall(io_error(h->path, error));
  }
  PetscFunctionReturn(0);
}

void HcHistoryRow(HcHistory h, PetscInt count, PetscInt n, const double value[]) {
  if (!h->file) return;
  int bad = fprintf(h->file, "%lld", (long long)count) < 0;
  for (PetscInt i = 0; i < n; ++i) bad |= fprintf(h->file, ",%.17g", value[i]) < 0;
  fputc('\n', h->file);
  /* At least each second: now, if the next row at the present pace would come too late. */
  const double now = HcWallClock();
  if (now - h->flushed + (now - h->last) > 0.5) {
    bad |= fflush(h->file) != 0;
    h->flushed = now;
  }
  h->last = now;
  if (bad && !h->error) h->error = errno ? errno : EIO;
}

PetscErrorCode HcHistoryFlush(HcHistory h, PetscBool sync) {
  PetscFunctionBeginUser;
  if (!h->file) PetscFunctionReturn(0);
  if (!h->error && (fflush(h->file) || (sync && fsync(fileno(h->file))))) h->error = errno;
  h->flushed = HcWallClock();
  if (h->error) PetscCall(io_error(h->path, h->error));
  PetscFunctionReturn(0);
}

PetscBool HcHistoryFailed(HcHistory h) { return h->error ? PETSC_TRUE : PETSC_FALSE; }

PetscErrorCode HcHistoryClose(HcHistory *history) {
  HcHistory h = *history;
  char path[PETSC_MAX_PATH_LEN];
  int error;
  PetscFunctionBeginUser;
  if (!h) PetscFunctionReturn(0);
  error = h->error;
  if (h->file && fclose(h->file) && !error) error = errno;
  memcpy(path, h->path, sizeof path);
  free(h);
  *history = NULL;
  if (error) PetscCall(io_error(path, error));
  PetscFunctionReturn(0);
}
