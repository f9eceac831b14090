#include "progress.h"
#include <halocline/run.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const double TERMINAL_PERIOD = 0.2, FILE_PERIOD = 5.0; /* seconds between lines */

struct HcProgress_ {
  PetscBool shown, rewriting, drawn;
  int width;
  double next;
};

/* Open MPI gives a rank a pseudo-terminal whatever mpirun's own output is, so under mpirun its parent is asked. */
static PetscBool on_terminal(void) {
  char link[64], target[256];
  if (!getenv("OMPI_COMM_WORLD_SIZE")) return isatty(STDOUT_FILENO) ? PETSC_TRUE : PETSC_FALSE;
  snprintf(link, sizeof link, "/proc/%d/fd/1", (int)getppid());
  const ssize_t n = readlink(link, target, sizeof target - 1);
  if (n <= 0) return PETSC_FALSE;
  target[n] = 0;
  return !strncmp(target, "/dev/pts/", 9) || !strncmp(target, "/dev/tty", 8) ? PETSC_TRUE : PETSC_FALSE;
}

static int terminal_width(void) {
  struct winsize w;
  const char *columns = getenv("COLUMNS");
  if (columns && atoi(columns) > 20) return atoi(columns);
  if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_col > 20) return w.ws_col;
  return 100;
}

PetscErrorCode HcProgressCreate(int rank, HcProgressMode mode, HcProgress *progress) {
  PetscFunctionBeginUser;
  PetscCall(PetscNew(progress));
  (*progress)->shown = rank == 0 && mode != HC_PROGRESS_OFF ? PETSC_TRUE : PETSC_FALSE;
  if (!(*progress)->shown) PetscFunctionReturn(0);
  (*progress)->rewriting = mode == HC_PROGRESS_ON || on_terminal() ? PETSC_TRUE : PETSC_FALSE;
  (*progress)->width = terminal_width();
  (*progress)->next = HcWallClock() + ((*progress)->rewriting ? TERMINAL_PERIOD : 1.0);
  PetscFunctionReturn(0);
}

PetscErrorCode HcProgressDestroy(HcProgress *progress) {
  PetscFunctionBeginUser;
  HcProgressClear(*progress);
  PetscCall(PetscFree(*progress));
  PetscFunctionReturn(0);
}

PetscBool HcProgressDue(HcProgress p, double now) { return p->shown && now >= p->next ? PETSC_TRUE : PETSC_FALSE; }

static int format_left(char *out, size_t size, double seconds) {
  const long s = (long)(seconds + 0.5);
  return snprintf(out, size, "  %ld:%02ld:%02ld left", s / 3600, s / 60 % 60, s % 60);
}

void HcProgressShow(HcProgress p, double now, const HcProgressLine *l) {
  char text[512];
  size_t n = 0;
  if (!p->shown) return;
#define ADD(...) n += (size_t)snprintf(text + n, sizeof text - n, __VA_ARGS__)
  if (l->fraction >= 0) ADD("%5.1f %%  ", 100 * l->fraction);
  ADD("%s %d", l->count_name, (int)l->count);
  if (l->has_time) ADD("  t %.6g  dt %.3g", l->time, l->dt);
  if (l->figure) ADD("  %.40s %.6g", l->figure, l->value);
  if (l->rate > 0) ADD("  %.2e cells/s", l->rate);
#undef ADD
  if (l->left >= 0) format_left(text + n, sizeof text - n, l->left);
  if (p->rewriting) {
    printf("\r%.*s\033[K", p->width - 1, text);
    p->drawn = PETSC_TRUE;
  } else {
    printf("%s\n", text);
  }
  fflush(stdout);
  p->next = now + (p->rewriting ? TERMINAL_PERIOD : FILE_PERIOD);
}

void HcProgressClear(HcProgress p) {
  if (!p || !p->drawn) return;
  fputs("\r\033[K", stdout);
  fflush(stdout);
  p->drawn = PETSC_FALSE;
}
