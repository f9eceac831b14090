/*
 * Errors and exit codes.
 *
 * A function that can fail returns PetscErrorCode and is called through PetscCall(). Failures that a user can cause or
 * meet carry one of the HcExit kinds: HcFail() records one sentence and returns a code that PetscCall() hands up to
 * main() without a stack trace. Everything else is a programming error and keeps PETSc's trace.
 *
 * Collectivity: all ranks must return an error together. Where only some ranks can see it (files, memory, a bad value
 * in one subdomain) pass the local result through HcAgree().
 */
#pragma once
#include <petscsys.h>

/** Process exit codes (CONTRACT: command line). */
typedef enum {
  HC_EXIT_DONE = 0,
  HC_EXIT_INPUT = 2,    /* input or command line is wrong; nothing was computed */
  HC_EXIT_FAILED = 3,   /* diverged, not a number, no convergence */
  HC_EXIT_IO = 4,       /* reading or writing failed */
  HC_EXIT_STOPPED = 75, /* stopped early on purpose, checkpoint written */
} HcExit;

/** Record one sentence about a failure and return the matching error code.
 * @param kind HC_EXIT_INPUT, HC_EXIT_FAILED, HC_EXIT_IO or HC_EXIT_STOPPED
 * @param fmt  printf format of one line without newline, e.g. "run.yaml:3:5: grid_cells = 'x': ..."
 * @return an error code for PetscCall() to propagate; the first recorded message of a rank is kept. Not collective. */
PetscErrorCode HcFail(HcExit kind, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Fail with HcFail(kind, ...) when the condition does not hold. */
#define HcRequire(cond, kind, ...)                                                                                               \
  do {                                                                                                                           \
    if (!(cond)) PetscCall(HcFail(kind, __VA_ARGS__));                                                                           \
  } while (0)

/** Make a result that only some ranks may have common to all. Collective.
 * @param comm  all ranks that must agree
 * @param local this rank's code, 0 or the result of a failed call (do not PetscCall it before)
 * @return 0 if every rank passed 0; else the code of the lowest failing rank, whose message all ranks then hold */
PetscErrorCode HcAgree(MPI_Comm comm, PetscErrorCode local);

/** The exit kind of a code returned by HcFail(), or HC_EXIT_FAILED for any other nonzero code, HC_EXIT_DONE for 0. */
HcExit HcErrorKind(PetscErrorCode code);

/** The recorded message of this rank, "" if there is none. Valid until HcErrorClear(). */
const char *HcErrorMessage(void);

/** Forget the recorded message: for callers that recover (a damaged checkpoint, then the one before it). */
void HcErrorClear(void);

/** Install the PETSc error handler that lets HcFail() codes pass without a trace. Called once by main and by tests. */
PetscErrorCode HcErrorSetUp(void);
