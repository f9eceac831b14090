/* Test Anything Protocol for MPI programs: every rank evaluates a check, rank 0 prints whether all ranks passed it. */
#pragma once
#include <halocline/error.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

static int tap_count, tap_failed;

/** Collective. Prints "ok N - name" when ok holds on every rank. */
static inline int tap_ok(int ok, const char *fmt, ...) {
  int all = 0, rank = 0;
  ok = !!ok;
  MPI_Allreduce(&ok, &all, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  ++tap_count;
  if (!all) ++tap_failed;
  if (rank == 0) {
    va_list ap;
    va_start(ap, fmt);
    printf("%sok %d - ", all ? "" : "not ", tap_count);
    vprintf(fmt, ap);
    printf("\n");
    fflush(stdout);
    va_end(ap);
  }
  return all;
}

/** |a - b| <= tol, printing the values when not. */
static inline int tap_near(double a, double b, double tol, const char *name) {
  int ok = fabs(a - b) <= tol;
  if (!ok) fprintf(stderr, "# %s: %.17g against %.17g, difference %.3g, allowed %.3g\n", name, a, b, fabs(a - b), tol);
  return tap_ok(ok, "%s", name);
}

static inline void tap_start(int *argc, char ***argv) {
  PetscCallAbort(PETSC_COMM_SELF, PetscInitialize(argc, argv, NULL, NULL));
  PetscCallAbort(PETSC_COMM_SELF, HcErrorSetUp());
}

static inline int tap_done(void) {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == 0) printf("1..%d\n", tap_count);
  PetscCallAbort(PETSC_COMM_SELF, PetscFinalize());
  return tap_failed ? 1 : 0;
}
