#include <halocline/run.h>
#include <time.h>

/* One stack a process: what runs is what was started last. */
enum { MAX_NESTING = 32 };
static struct {
  double seconds[HC_TIMER_COUNT], since;
  int depth;
  HcTimer stack[MAX_NESTING];
} timers;

double HcWallClock(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void charge(double now) {
  if (timers.depth > 0) timers.seconds[timers.stack[timers.depth - 1]] += now - timers.since;
  timers.since = now;
}

void HcTimerStart(HcTimer timer) {
  charge(HcWallClock());
  if (timers.depth < MAX_NESTING) timers.stack[timers.depth] = timer;
  if (timers.depth < MAX_NESTING) ++timers.depth;
}

/* An error returns past the stops of the timers it leaves: stopping an outer one ends them too. */
void HcTimerStop(HcTimer timer) {
  int d = timers.depth;
  while (d > 0 && timers.stack[d - 1] != timer) --d;
  if (!d) return;
  charge(HcWallClock());
  timers.depth = d - 1;
}

double HcTimerSeconds(HcTimer timer) {
  double s = timers.seconds[timer];
  if (timers.depth > 0 && timers.stack[timers.depth - 1] == timer) s += HcWallClock() - timers.since;
  return s;
}
