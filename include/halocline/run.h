/*
 * A run: what the driver gives a model to work with. Communicator, options, timers, log, named results.
 *
 * Models create their grid and fields from it and never touch files, signals or exit codes themselves.
 */
#pragma once
#include "options.h"

/** Where time goes (summary.json, performance.seconds). Timers nest: starting one pauses the enclosing one. */
typedef enum { HC_TIMER_SETUP, HC_TIMER_COMPUTE, HC_TIMER_EXCHANGE, HC_TIMER_SOLVE, HC_TIMER_IO, HC_TIMER_COUNT } HcTimer;

/** Start / stop a timer of this process. Cheap (one clock read, about 20 ns); safe outside a run. Not collective. */
void HcTimerStart(HcTimer timer);
/** Stop the innermost timer, which must be `timer`. */
void HcTimerStop(HcTimer timer);
/** Seconds this rank has spent in a timer, excluding nested ones. */
double HcTimerSeconds(HcTimer timer);
/** Wall clock in seconds (monotonic). */
double HcWallClock(void);

typedef struct HcRun_ *HcRun;

MPI_Comm HcRunComm(HcRun run);
HcOptions HcRunOptions(HcRun run);
/** The run directory, e.g. "output/evacuation". */
const char *HcRunDir(HcRun run);

/** One line of information on rank 0's stdout (kept off the progress line); one printf line, newline added. */
PetscErrorCode HcRunLog(HcRun run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** The same, marked as a warning, on stderr, and listed in summary.json ("warnings"). */
PetscErrorCode HcRunWarn(HcRun run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Set an entry of `results` in summary.json (last value wins). Not-a-number is written as null. Call on all ranks. */
PetscErrorCode HcRunResultReal(HcRun run, const char *key, double value);
/** An integer result. */
PetscErrorCode HcRunResultInt(HcRun run, const char *key, PetscInt value);
/** A true or false result. */
PetscErrorCode HcRunResultBool(HcRun run, const char *key, PetscBool value);
/** A list of reals. */
PetscErrorCode HcRunResultReals(HcRun run, const char *key, PetscInt n, const double value[]);
