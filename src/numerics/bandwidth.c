#include "bandwidth.h"
#include <complex.h>
#include <math.h>
#include <stdlib.h>

/* Discrete Fourier transform in place, n a power of 2: decimation in time after bit reversal. */
static void fourier(size_t n, double complex *v, const double complex *root) {
  for (size_t i = 1, j = 0; i < n; ++i) {
    size_t bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j |= bit;
    if (i < j) {
      const double complex swap = v[i];
      v[i] = v[j];
      v[j] = swap;
    }
  }
  for (size_t half = 1; half < n; half *= 2)
    for (size_t at = 0; at < n; at += 2 * half)
      for (size_t k = 0; k < half; ++k) {
        const double complex a = v[at + k], b = v[at + k + half] * root[k * (n / (2 * half))];
        v[at + k] = a + b;
        v[at + k + half] = a - b;
      }
}

/* Makhoul, IEEE Trans. ASSP 28 (1980) 27: even elements forwards, odd ones backwards, and a turn of each coefficient. */
int HcCosineTransform(size_t n, double *v, double *out) {
  double complex *z = malloc(sizeof *z * n), *root = malloc(sizeof *root * n);
  const int failed = !z || !root;
  if (!failed) {
    for (size_t k = 0; k < n; ++k) {
      z[k] = k < (n + 1) / 2 ? v[2 * k] : v[2 * (n - k) - 1];
      root[k] = cexp(-2 * M_PI * I * (double)k / (double)n);
    }
    fourier(n, z, root);
    for (size_t k = 0; k < n; ++k) out[k] = (k ? 2 : 1) * creal(z[k] * cexp(-M_PI * I * (double)k / (2 * (double)n)));
  }
  free(z);
  free(root);
  return failed;
}

typedef struct {
  size_t n;
  const double *square; /* (a_k / 2)^2 of the cosine coefficients, k = 1 .. n-1 at square[k] */
  double points;
} Sample;

/* The squared norm of derivative s of the density smoothed to time t (variance t), from its cosine series. */
static double roughness(const Sample *data, int s, double t) {
  double sum = 0;
  for (size_t k = 1; k < data->n; ++k) {
    const double k2 = (double)k * (double)k, decay = exp(-k2 * M_PI * M_PI * t);
    if (decay == 0) break;
    sum += pow(k2, s) * data->square[k] * decay;
  }
  return 2 * pow(M_PI, 2 * s) * sum;
}

/* t - gamma(t): seven stages of plug-in, section 5 of the paper. */
static double defect(const Sample *data, double t) {
  double f = roughness(data, 7, t);
  for (int s = 6; s >= 2; --s) {
    double odd = 1;
    for (int q = 1; q < 2 * s; q += 2) odd *= q;
    const double factor = (1 + pow(0.5, s + 0.5)) / 3 * odd / sqrt(2 * M_PI);
    f = roughness(data, s, pow(2 * factor / (data->points * f), 2 / (3 + 2 * (double)s)));
  }
  return t - pow(2 * data->points * sqrt(M_PI) * f, -0.4);
}

int HcBandwidthImproved(size_t n, double *share, double points, double *bandwidth) {
  double *a = malloc(sizeof *a * n), low = 0, high = 1e-10;
  int failed = !a || HcCosineTransform(n, share, a);
  if (!failed) {
    for (size_t k = 0; k < n; ++k) a[k] = a[k] * a[k] / 4;
    const Sample data = {n, a, points};
    /* the least root: the defect is negative at 0 */
    while (!(defect(&data, high) > 0) && high < 0.1) {
      low = high;
      high *= 2;
    }
    failed = !(defect(&data, high) > 0);
    for (int i = 0; i < 60 && !failed; ++i) {
      const double middle = 0.5 * (low + high);
      if (defect(&data, middle) > 0)
        high = middle;
      else
        low = middle;
    }
    *bandwidth = sqrt(high);
  }
  free(a);
  return failed;
}
