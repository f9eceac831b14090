/* parallel: errors agreed on by all ranks, one line each, without PETSc's trace. */
#include "tap.h"
#include <petscksp.h>
#include <string.h>

static PetscErrorCode inner(int fails) {
  PetscFunctionBeginUser;
  HcRequire(!fails, HC_EXIT_IO, "file %d is\nbroken\tand\x01so on\n", 7);
  PetscFunctionReturn(0);
}

static PetscErrorCode outer(int fails) {
  PetscFunctionBeginUser;
  PetscCall(inner(fails));
  PetscFunctionReturn(0);
}

static PetscErrorCode unknown_solver(void) {
  KSP ksp;
  PetscFunctionBeginUser;
  PetscCall(KSPCreate(PETSC_COMM_SELF, &ksp));
  const PetscErrorCode err = KSPSetType(ksp, "nonsense");
  PetscCall(KSPDestroy(&ksp));
  PetscFunctionReturn(err);
}

int main(int argc, char **argv) {
  int rank, size;
  tap_start(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);

  tap_ok(HcErrorKind(0) == HC_EXIT_DONE && HcErrorMessage()[0] == 0, "nothing has failed");
  tap_ok(HcAgree(MPI_COMM_WORLD, 0) == 0, "all ranks agree on success");

  PetscErrorCode err = outer(1);
  tap_ok(HcErrorKind(err) == HC_EXIT_IO, "the kind passes up through PetscCall");
  tap_ok(!strcmp(HcErrorMessage(), "file 7 is broken and so on"), "the message is one line: '%s'", HcErrorMessage());
  HcFail(HC_EXIT_INPUT, "a later one");
  tap_ok(!strncmp(HcErrorMessage(), "file 7", 6), "the first message stays");
  HcErrorClear();
  tap_ok(HcErrorMessage()[0] == 0, "and can be forgotten");

  /* only the last rank fails: all learn of it */
  err = HcAgree(MPI_COMM_WORLD, rank == size - 1 ? HcFail(HC_EXIT_FAILED, "rank %d saw it", rank) : 0);
  char expected[64];
  snprintf(expected, sizeof expected, "rank %d saw it", size - 1);
  tap_ok(HcErrorKind(err) == HC_EXIT_FAILED && !strcmp(HcErrorMessage(), expected), "one rank's failure is all ranks' failure");
  HcErrorClear();

  /* all fail differently: the lowest rank is heard */
  err = HcAgree(MPI_COMM_WORLD, HcFail(rank ? HC_EXIT_IO : HC_EXIT_INPUT, "rank %d", rank));
  tap_ok(HcErrorKind(err) == HC_EXIT_INPUT && !strcmp(HcErrorMessage(), "rank 0"), "the lowest rank is heard");
  HcErrorClear();

  const HcExit kinds[] = {HC_EXIT_INPUT, HC_EXIT_FAILED, HC_EXIT_IO, HC_EXIT_STOPPED};
  for (int i = 0; i < 4; ++i) {
    tap_ok(HcErrorKind(HcFail(kinds[i], "x")) == kinds[i], "kind %d survives", (int)kinds[i]);
    HcErrorClear();
  }
  tap_ok(HcErrorKind(PETSC_ERR_ARG_SIZ) == HC_EXIT_FAILED, "another code is a failed computation");

  err = unknown_solver();
  tap_ok(HcErrorKind(err) == HC_EXIT_INPUT && strstr(HcErrorMessage(), "nonsense"), "an unknown solver is a wrong input: '%s'",
    HcErrorMessage());
  HcErrorClear();
  return tap_done();
}
