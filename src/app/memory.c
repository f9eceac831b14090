#include "app.h"
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const double MB = 1e6;

PetscErrorCode HcMemoryNow(MPI_Comm comm, double *mb) {
  double mine = 0;
  long pages = 0, resident = 0;
  PetscFunctionBeginUser;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f) {
    if (fscanf(f, "%ld %ld", &pages, &resident) == 2) mine = (double)resident * (double)sysconf(_SC_PAGESIZE) / MB;
    fclose(f);
  }
  PetscCallMPI(MPI_Allreduce(&mine, mb, 1, MPI_DOUBLE, MPI_MAX, comm));
  PetscFunctionReturn(0);
}

/* VmHWM rather than getrusage: the latter's maximum survives exec, so that a small run started by a large process (a
 * Python script, a batch system's daemon) would report its parent's peak. */
PetscErrorCode HcMemoryPeak(MPI_Comm comm, double *mb) {
  struct rusage usage;
  double mine = 0, kb;
  char line[256];
  PetscFunctionBeginUser;
  FILE *f = fopen("/proc/self/status", "r");
  if (f) {
    while (fgets(line, sizeof line, f))
      if (sscanf(line, "VmHWM: %lf", &kb) == 1) mine = kb * 1024.0 / MB;
    fclose(f);
  }
  if (mine == 0 && !getrusage(RUSAGE_SELF, &usage)) mine = (double)usage.ru_maxrss * 1024.0 / MB;
  PetscCallMPI(MPI_Allreduce(&mine, mb, 1, MPI_DOUBLE, MPI_MAX, comm));
  PetscFunctionReturn(0);
}

/* A single number in a file, -1 if there is none ("max"). */
static double number_in(const char *path) {
  double v = -1;
  FILE *f = fopen(path, "r");
  if (!f) return -1;
  if (fscanf(f, "%lf", &v) != 1) v = -1;
  fclose(f);
  return v;
}

static double page_cache(const char *path) {
  char key[64];
  double v, cache = 0;
  FILE *f = fopen(path, "r");
  if (!f) return 0;
  while (fscanf(f, "%63s %lf", key, &v) == 2)
    if (!strcmp(key, "inactive_file") || !strcmp(key, "total_inactive_file")) cache = v;
  fclose(f);
  return cache;
}

/* What the kernel could give to processes here: the machine's, or the container's if that is less. -1 if unknown. */
static double available_bytes(void) {
  double available = -1, v;
  char key[64], line[256];
  FILE *f = fopen("/proc/meminfo", "r");
  if (f) {
    while (fgets(line, sizeof line, f))
      if (sscanf(line, "%63s %lf", key, &v) == 2 && !strcmp(key, "MemAvailable:")) available = 1024 * v;
    fclose(f);
  }
  static const char *const group[2][3] = {
    {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"},
    {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes",
      "/sys/fs/cgroup/memory/memory.stat"}};
  for (int i = 0; i < 2; ++i) {
    const double limit = number_in(group[i][0]), usage = number_in(group[i][1]);
    if (limit < 0 || usage < 0) continue;
    const double left = limit - usage + page_cache(group[i][2]);
    if (available < 0 || left < available) available = left;
  }
  return available;
}

PetscErrorCode HcMemoryFree(MPI_Comm comm, double *mb, int *ranks_on_node) {
  MPI_Comm node;
  double mine, least;
  PetscFunctionBeginUser;
  PetscCallMPI(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node));
  PetscCallMPI(MPI_Comm_size(node, ranks_on_node));
  PetscCallMPI(MPI_Comm_free(&node));
  mine = available_bytes();
  PetscCallMPI(MPI_Allreduce(&mine, &least, 1, MPI_DOUBLE, MPI_MIN, comm));
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, ranks_on_node, 1, MPI_INT, MPI_MAX, comm));
  *mb = least > 0 ? least / MB : 0;
  PetscFunctionReturn(0);
}

PetscErrorCode HcMemoryCheck(MPI_Comm comm, double bytes_per_rank) {
  double available;
  int ranks;
  PetscFunctionBeginUser;
  PetscCall(HcMemoryFree(comm, &available, &ranks));
  const double needed = bytes_per_rank * ranks / MB;
  if (available > 0 && needed > available)
    PetscCall(HcFail(HC_EXIT_INPUT,
      "the run needs %.0f MB on a node (%d rank%s of %.0f MB), but only %.0f MB are free; use fewer cells or more nodes", needed,
      ranks, ranks == 1 ? "" : "s", bytes_per_rank / MB, available));
  PetscFunctionReturn(0);
}
