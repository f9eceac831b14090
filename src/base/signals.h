/* Signals that ask a run to stop: SIGTERM and SIGUSR1, as batch systems send. */
#pragma once
#include <petscsys.h>

/** From now on the signals only set a flag. */
PetscErrorCode HcSignalsInstall(void);
/** Has this rank been asked to stop? */
PetscBool HcSignalsPending(void);
