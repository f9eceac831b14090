/* Kernels of the weno scheme: interpolation in time, powers. */
#include "models/mfg/weno.h"
#include "tap.h"

/* Degree of the polynomials that are interpolated without error. */
static double polynomial(int degree, double x) {
  double value = 1;
  for (int q = 0; q < degree; q++) value = value * (x - 1.3) + 0.7;
  return value;
}

static void time_weights(void) {
  static const double places[] = {0, 0.25, 0.5, 1. / 3, 1};
  int exact = 1, delta = 1, inside = 1;
  for (PetscInt steps = 1; steps <= 6; steps++)
    for (PetscInt n = 0; n < steps; n++)
      for (size_t p = 0; p < sizeof places / sizeof places[0]; p++) {
        PetscInt first;
        double weight[4], at = (double)n + places[p], sum = 0, want;
        int count = MfgWenoTimeWeights(steps, n, at, &first, weight), degree = (int)PetscMin(steps, 3), ones = 0, zeros = 0;
        inside = inside && first >= 0 && first + count <= steps + 1 && first <= n && first + count > n + 1 && count == degree + 1;
        for (int a = 0; a < count; a++) {
          sum += weight[a] * polynomial(degree, (double)(first + a));
          ones += weight[a] == 1;
          zeros += weight[a] == 0;
        }
        want = polynomial(degree, at);
        exact = exact && fabs(sum - want) <= 64 * PETSC_MACHINE_EPSILON * (1 + pow(6., degree));
        if (places[p] == 0 || places[p] == 1) delta = delta && ones == 1 && zeros == count - 1;
      }
  tap_ok(exact, "cubics (lower degrees where levels are few) are interpolated exactly");
  tap_ok(delta, "at a level its weight is one and the others are zero, to the bit");
  tap_ok(inside, "the levels surround the interval and exist");
}

static void powers(void) {
  static const double exponents[] = {0, 1, 0.75, 1.5, 2.25, -0.25, -0.5, 0.35, -0.15};
  double x[13], out[13];
  int right = 1, zero = 1, element = 1;
  for (int i = 0; i < 13; i++) x[i] = i ? pow(10., i - 7) : 0;
  for (size_t q = 0; q < sizeof exponents / sizeof exponents[0]; q++) {
    double e = exponents[q];
    MfgWenoPower(13, x, e, out);
    for (int i = 1; i < 13; i++) {
      double one;
      MfgWenoPower(1, &x[i], e, &one);
      element = element && one == out[i];
      right = right && fabs(out[i] / pow(x[i], e) - 1) < 1e-14;
    }
    zero = zero && out[0] == (e == 0 ? 1 : 0);
  }
  tap_ok(right, "powers by square roots are those of the library");
  tap_ok(zero, "0^e is 0, for negative e too, and 0^0 is 1");
  tap_ok(element, "a power does not depend on the row's length");
}

int main(int argc, char **argv) {
  tap_start(&argc, &argv);
  time_weights();
  powers();
  return tap_done();
}
