#include "options_private.h"
#include <string.h>

/* Optimal string alignment distance: swaps of neighbouring letters, the commonest slip, count once. */
int HcNearestDistance(const char *a, const char *b) {
  enum { MAX = 80 };
  const int n = (int)strlen(a), m = (int)strlen(b);
  int d[3][MAX + 1];
  if (n > MAX || m > MAX) return MAX;
  for (int j = 0; j <= m; ++j) d[0][j] = j;
  for (int i = 1; i <= n; ++i) {
    int *now = d[i % 3], *last = d[(i + 2) % 3], *before = d[(i + 1) % 3];
    now[0] = i;
    for (int j = 1; j <= m; ++j) {
      int best = last[j - 1] + (a[i - 1] != b[j - 1]);
      if (last[j] + 1 < best) best = last[j] + 1;
      if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best) best = before[j - 2] + 1;
      now[j] = best;
    }
  }
  return d[n % 3][m];
}

void HcNearestOffer(const char *word, const char *candidate, const char **best, int *distance) {
  const int d = HcNearestDistance(word, candidate);
  if (d < *distance) {
    *distance = d;
    *best = candidate;
  }
}

PetscBool HcNearestIsNear(const char *word, int distance) {
  return distance <= 1 + (int)strlen(word) / 4 ? PETSC_TRUE : PETSC_FALSE;
}
