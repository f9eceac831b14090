#include "signals.h"
#include <signal.h>
#include <string.h>

static volatile sig_atomic_t pending;

static void remember(int signal) {
  (void)signal;
  pending = 1;
}

PetscErrorCode HcSignalsInstall(void) {
  struct sigaction action;
  PetscFunctionBeginUser;
  memset(&action, 0, sizeof action);
  action.sa_handler = remember;
  action.sa_flags = SA_RESTART; /* file writes in progress carry on */
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGUSR1, &action, NULL);
  PetscFunctionReturn(0);
}

PetscBool HcSignalsPending(void) { return pending ? PETSC_TRUE : PETSC_FALSE; }
