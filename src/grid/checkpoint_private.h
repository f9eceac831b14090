/* What the files of a checkpoint share: its guard block and its neighbours in the folder. */
#pragma once
#include <petscsys.h>
#include <stdint.h>

enum {
  HC_GUARD_BYTES = 8192,
  HC_FORMAT_VERSION = 1,
  HC_GUARD_WORDS = 6,
  HC_MOST_EXTENTS = HC_GUARD_BYTES / 16 - HC_GUARD_WORDS / 2
};

/** Where the values of a data set lie. */
typedef struct {
  uint64_t offset, bytes;
} HcExtent;

/** The first bytes of a checkpoint. All numbers little-endian, as the values are. */
typedef struct {
  char magic[8];
  uint64_t version, file_bytes, structure, extents, self;
  HcExtent extent[HC_MOST_EXTENTS];
} HcGuard;
_Static_assert(sizeof(HcGuard) == HC_GUARD_BYTES, "the guard fills its block");

/** Term of a checksum. Finaliser of splitmix64 (Steele, Lea & Flood 2014): a bijection of the value, so a changed value always
 * changes its term. */
static inline uint64_t hc_mix(uint64_t value, uint64_t index) {
  uint64_t z = value + (index + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/** Complete the guard (its extents are given, in any order) and write it to a file that is otherwise finished. 0 or errno. One
 * rank. */
int hc_guard_write(int fd, HcGuard *g);

/** Is this an undamaged checkpoint, as far as all but the values goes? HC_EXIT_IO error if not. One rank. */
PetscErrorCode hc_guard_check(const char *file, HcGuard *g);

/** After checkpoint `step` is safe: delete what `keep` (0 = all are kept) does not cover, and what a killed run left unfinished.
 * Checkpoints of later steps belong to a continuation that this run has left behind; they are set aside as *.h5.old, so
 * that a restart does not take them for the newest. One rank. */
void hc_checkpoint_tidy(const char *dir, long step, long keep);
