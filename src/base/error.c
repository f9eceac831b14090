#include <ctype.h>
#include <halocline/error.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* PETSc's own codes end near 100; ours carry the exit kind. */
#define CODE_BASE 7000

static char message[2048];

static PetscBool is_ours(PetscErrorCode code) {
  return (int)code > CODE_BASE && (int)code <= CODE_BASE + 255 ? PETSC_TRUE : PETSC_FALSE;
}

/* A message is one line whatever a user's value or a library's text holds. */
static void one_line(char *text) {
  size_t n = 0;
  for (const char *p = text; *p; ++p) {
    const unsigned char c = (unsigned char)*p;
    if (c >= 0x20 && c != 0x7f)
      text[n++] = *p;
    else if (n && text[n - 1] != ' ')
      text[n++] = ' ';
  }
  while (n && text[n - 1] == ' ') --n;
  text[n] = 0;
}

PetscErrorCode HcFail(HcExit kind, const char *fmt, ...) {
  if (!message[0]) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    one_line(message);
  }
  return (PetscErrorCode)(CODE_BASE + (int)kind);
}

PetscErrorCode HcAgree(MPI_Comm comm, PetscErrorCode local) {
  int rank, size, mine, first, code = (int)local;
  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Comm_rank(comm, &rank));
  PetscCallMPI(MPI_Comm_size(comm, &size));
  mine = local ? rank : size;
  PetscCallMPI(MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, comm));
  if (first == size) PetscFunctionReturn(0);
  if (rank == first && !message[0]) snprintf(message, sizeof message, "internal error %d", code);
  PetscCallMPI(MPI_Bcast(&code, 1, MPI_INT, first, comm));
  PetscCallMPI(MPI_Bcast(message, sizeof message, MPI_CHAR, first, comm));
  PetscFunctionReturn((PetscErrorCode)code);
}

HcExit HcErrorKind(PetscErrorCode code) {
  if (!code) return HC_EXIT_DONE;
  return is_ours(code) ? (HcExit)((int)code - CODE_BASE) : HC_EXIT_FAILED;
}

const char *HcErrorMessage(void) { return message; }

void HcErrorClear(void) { message[0] = 0; }

/* Mistakes in PETSc's own options (an unknown solver, text where a number belongs) are the user's, so they become one line;
 * so does the lack of memory. Anything else is a programming error and keeps PETSc's trace. */
static PetscErrorCode handler(MPI_Comm comm, int line, const char *function, const char *file, PetscErrorCode n,
  PetscErrorType type, const char *mess, void *ctx) {
  if (is_ours(n)) return n;
  if (type == PETSC_ERROR_INITIAL) {
    const PetscBool parsing =
      !PetscInitializeCalled || (function && !strncmp(function, "PetscOptions", 12)) ? PETSC_TRUE : PETSC_FALSE;
    if (n == PETSC_ERR_ARG_UNKNOWN_TYPE || n == PETSC_ERR_MISSING_FACTOR || parsing)
      return HcFail(HC_EXIT_INPUT, "PETSc refuses an option: %s", mess ? mess : "unknown value");
    if (n == PETSC_ERR_MEM) return HcFail(HC_EXIT_FAILED, "out of memory: %s", mess ? mess : "allocation failed");
  }
  return PetscTraceBackErrorHandler(comm, line, function, file, n, type, mess, ctx);
}

PetscErrorCode HcErrorSetUp(void) {
  PetscFunctionBeginUser;
  PetscCall(PetscPushErrorHandler(handler, NULL));
  PetscFunctionReturn(0);
}
