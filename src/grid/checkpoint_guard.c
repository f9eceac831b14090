/*
 * The guard of a checkpoint: everything in the file that is not values of a data set, hashed, and the hash of the guard.
 * It is checked with plain reads, so that damaged structure never reaches the HDF5 library.
 */
#define _GNU_SOURCE
#include "checkpoint_private.h"
#include <errno.h>
#include <fcntl.h>
#include <halocline/error.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = {'H', 'A', 'L', 'O', 'C', 'K', 'P', 'T'};

static uint64_t sum_bytes(const unsigned char *b, size_t n, uint64_t first) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; ++i) sum += hc_mix(b[i], first + i);
  return sum;
}

static int by_offset(const void *a, const void *b) {
  const HcExtent *p = a, *q = b;
  return p->offset < q->offset ? -1 : p->offset > q->offset;
}

static uint64_t guard_hash(const HcGuard *g) {
  HcGuard copy = *g;
  copy.self = 0;
  return sum_bytes((const unsigned char *)&copy, sizeof copy, 0);
}

/* Hash all bytes behind the guard that belong to no extent (sorted). 0, or errno; ENODATA when the file is too short. */
static int structure_hash(int fd, const HcGuard *g, uint64_t *hash) {
  unsigned char buffer[65536];
  uint64_t at = HC_GUARD_BYTES;
  *hash = 0;
  for (uint64_t e = 0; e <= g->extents; ++e) {
    const uint64_t end = e < g->extents ? g->extent[e].offset : g->file_bytes;
    while (at < end) {
      size_t want = end - at < sizeof buffer ? (size_t)(end - at) : sizeof buffer;
      ssize_t got = pread(fd, buffer, want, (off_t)at);
      if (got < 0) return errno;
      if (got == 0) return ENODATA;
      *hash += sum_bytes(buffer, (size_t)got, at);
      at += (uint64_t)got;
    }
    if (e < g->extents) at = g->extent[e].offset + g->extent[e].bytes;
  }
  return 0;
}

int hc_guard_write(int fd, HcGuard *g) {
  struct stat now;
  int error;
  memcpy(g->magic, magic, sizeof magic);
  g->version = HC_FORMAT_VERSION;
  if (fstat(fd, &now)) return errno;
  g->file_bytes = (uint64_t)now.st_size;
  qsort(g->extent, (size_t)g->extents, sizeof g->extent[0], by_offset);
  if ((error = structure_hash(fd, g, &g->structure))) return error;
  g->self = guard_hash(g);
  ssize_t put = pwrite(fd, g, sizeof *g, 0);
  return put == (ssize_t)sizeof *g ? 0 : put < 0 ? errno : ENOSPC;
}

PetscErrorCode hc_guard_check(const char *file, HcGuard *g) {
  PetscErrorCode code = 0;
  struct stat now;
  uint64_t hash;
  int error, fd = open(file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return HcFail(HC_EXIT_IO, "cannot read checkpoint '%s': %s", file, strerror(errno));
  memset(g, 0, sizeof *g);
  ssize_t got = fstat(fd, &now) ? -1 : pread(fd, g, sizeof *g, 0);
  if (got < 0)
    code = HcFail(HC_EXIT_IO, "cannot read checkpoint '%s': %s", file, strerror(errno));
  else if ((size_t)got < sizeof g->magic || memcmp(g->magic, magic, sizeof magic))
    code = HcFail(HC_EXIT_IO, "'%s' is not a checkpoint, or its beginning is damaged", file);
  else if ((size_t)got < sizeof *g)
    code = HcFail(HC_EXIT_IO, "checkpoint '%s' is truncated: %lld bytes are left", file, (long long)now.st_size);
  else if (guard_hash(g) != g->self)
    code = HcFail(HC_EXIT_IO, "checkpoint '%s' is damaged in its first %d bytes", file, HC_GUARD_BYTES);
  else if (g->version != HC_FORMAT_VERSION)
    code = HcFail(HC_EXIT_IO, "checkpoint '%s' has format version %llu; this program reads version %d", file,
      (unsigned long long)g->version, HC_FORMAT_VERSION);
  else if (g->file_bytes != (uint64_t)now.st_size)
    code = HcFail(HC_EXIT_IO, "checkpoint '%s' is %s: it has %lld bytes and was written with %llu", file,
      (uint64_t)now.st_size < g->file_bytes ? "truncated" : "damaged", (long long)now.st_size, (unsigned long long)g->file_bytes);
  else if ((error = structure_hash(fd, g, &hash)))
    code = HcFail(HC_EXIT_IO, "cannot read checkpoint '%s': %s", file, strerror(error));
  else if (hash != g->structure)
    code = HcFail(HC_EXIT_IO, "checkpoint '%s' is damaged in its structure", file);
  close(fd);
  return code;
}
