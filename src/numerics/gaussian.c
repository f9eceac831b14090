#include "gaussian.h"
#include <stdint.h>
#include <string.h>

/* exp(x) for -700 <= x <= 0: x = k log 2 + r with |r| <= log(2)/2, the Taylor polynomial of degree 13 in r (its remainder is
 * below 4e-18) times 2^k. Without branches and calls, so that loops over it become vectors, which the library's exp would
 * prevent. */
static inline double exp_of_negative(double x) {
  const double shift = 0x1.8p52; /* adding it rounds to the nearest integer, which is then in the lowest bits */
  const double shifted = x * 0x1.71547652b82fep0 + shift, k = shifted - shift;
  const double r = (x - k * 0x1.62e42fefa3800p-1) - k * 0x1.ef35793c76730p-45;
  double p = 1.0 / 6227020800.0, power;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  uint64_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 1023) << 52;
  memcpy(&power, &bits, sizeof power);
  return p * power;
}

void HcGaussianRow(size_t n, double u, double du, double scale, double *restrict out) {
  for (size_t i = 0; i < n; ++i) {
    const double t = u + (double)(int64_t)i * du;
    out[i] = scale * exp_of_negative(-0.5 * (t * t));
  }
}
