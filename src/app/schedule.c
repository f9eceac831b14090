#include "app.h"
#include <math.h>

static double output_time(const HcSchedule *s, double k) {
  if (s->interval > 0) {
    const double t = s->t0 + k * s->interval;
    /* no sliver of a step where the interval divides the run but for rounding */
    return t > s->end - 1e-9 * s->interval ? s->end : t;
  }
  return k >= (double)s->count ? s->end : s->t0 + (s->end - s->t0) * k / (double)s->count;
}

double HcScheduleNext(const HcSchedule *s, double t) {
  if (s->interval <= 0 && s->count < 1) return s->end;
  const double spacing = s->interval > 0 ? s->interval : (s->end - s->t0) / (double)s->count;
  if (!(spacing > 0)) return s->end;
  double k = floor((t - s->t0) / spacing);
  if (k < 0) k = 0;
  while (output_time(s, k) <= t && output_time(s, k) < s->end) k += 1;
  return output_time(s, k);
}

double HcScheduleTotal(const HcSchedule *s) {
  if (s->interval > 0) return 1 + ceil((s->end - s->t0) / s->interval - 1e-9);
  return 1 + (double)(s->count > 0 ? s->count : 1);
}
