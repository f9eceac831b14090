/*
 * history.csv: one row a step or iteration. Rank 0 writes; a failure there is remembered and handed out by
 * HcHistoryError(), so that rows cost no communication.
 */
#pragma once
#include <petscsys.h>

typedef struct HcHistory_ *HcHistory;

/** Open dir/history.csv on rank 0.
 * @param header  the first line, without newline
 * @param from    NULL: start a new file. Else a history.csv (perhaps the same file) whose rows up to and including `step` are
 *                kept; later ones are dropped
 * Not collective: pass the result through HcAgree(). */
PetscErrorCode HcHistoryOpen(int rank, const char *dir, const char *header, const char *from, PetscInt step, HcHistory *history);
/** Write a row; whole numbers first (the step), then n values with all digits. */
void HcHistoryRow(HcHistory history, PetscInt count, PetscInt n, const double value[]);
/** Hand all rows to the system, and to the disk if asked. Rank 0's result; pass it through HcAgree(). */
PetscErrorCode HcHistoryFlush(HcHistory history, PetscBool sync);
/** Has a write failed on this rank? */
PetscBool HcHistoryFailed(HcHistory history);
/** Close; the result is rank 0's; pass it through HcAgree(). *history = NULL in every case. */
PetscErrorCode HcHistoryClose(HcHistory *history);
