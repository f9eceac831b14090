/* Steps in a box without walls inside: each direction for itself. */
#include "walk_private.h"

static int reflects(HcBoundary b) { return b == HC_REFLECTING || b == HC_SYMMETRY; }

void hc_faces_place(HcGrid g, double x[3]) {
  for (int d = 0; d < g->dim; ++d) {
    const double lower = g->lower[d], upper = g->upper[d];
    if (g->boundary[2 * d] == HC_PERIODIC) {
      x[d] = hc_wrap(x[d], lower, upper);
      continue;
    }
    while (x[d] < lower || x[d] > upper) {
      const int high = x[d] > upper;
      const double face = high ? upper : lower;
      x[d] = reflects(g->boundary[2 * d + high]) ? 2 * face - x[d] : face;
    }
  }
}

/* The end of the step along d; *met = the face that let the particle out, -1: none, *share = after what share of the step. */
static double along(HcGrid g, int d, double o, double v, int *met, double *share) {
  const double lower = g->lower[d], upper = g->upper[d];
  double x = o + v, travelled = 0, from = o;
  *met = -1;
  if (g->boundary[2 * d] == HC_PERIODIC) return hc_wrap(x, lower, upper);
  while (x < lower || x > upper) {
    const int high = x > upper;
    const double face = high ? upper : lower;
    travelled += fabs(face - from);
    from = face;
    if (!reflects(g->boundary[2 * d + high])) {
      *met = 2 * d + high;
      *share = travelled / fabs(v);
      return face;
    }
    x = 2 * face - x;
  }
  return x;
}

static int number_of(HcWalk walk, int face) { return walk->spec.face_exit[face]; }

/* Does the Brownian bridge between the ends touch an exit face? One uniform number decides for all faces in turn: the chance to
 * have survived falls below it. */
static int touched(HcWalk walk, uint64_t id, const double o[3], const double x[3]) {
  const struct HcWalkState_ *s = walk->state;
  HcGrid g = walk->grid;
  double survival = 1, u = -1;
  for (int f = 0; f < 2 * g->dim; ++f) {
    if (g->boundary[f] != HC_EXIT) continue;
    const int d = f / 2;
    const double a = f % 2 ? g->upper[d] - o[d] : o[d] - g->lower[d], b = f % 2 ? g->upper[d] - x[d] : x[d] - g->lower[d];
    if (!hc_may_touch(s, a, b)) continue;
    if (u < 0) u = HcUniform(walk->spec.seed, id, s->step, HC_STREAM_BRIDGE, 0);
    survival *= 1 - exp(-s->touch * a * b);
    if (u > survival) return f;
  }
  return -1;
}

int hc_faces_finish(HcWalk walk, uint64_t id, const double o[3], const double v[3], double x[3]) {
  HcGrid g = walk->grid;
  double first = INFINITY;
  int face = -1;
  for (int d = 0; d < g->dim; ++d) {
    int met;
    double share;
    x[d] = along(g, d, o[d], v[d], &met, &share);
    if (met >= 0 && share < first) {
      first = share;
      face = met;
    }
  }
  if (face < 0) face = touched(walk, id, o, x);
  return face < 0 ? HC_NOT_EXITED : number_of(walk, face);
}
