/*
 * Random numbers without state: number k of (seed, id, step, stream) is a function of these alone, so that results depend
 * neither on the order nor on the number of ranks.
 *
 * The generator is Philox4x32-10 (Salmon, Moraes, Dror & Shaw, SC 2011), key = seed, counter = (id low, id high, step, stream),
 * bit for bit that of Random123. Normal deviates are made by the Box-Muller transformation from additions, multiplications,
 * divisions and square roots only: no mathematics library, so the same bits on any machine and vector width. Relative error of
 * a deviate below 2e-15 (apart from those of |cos| or |sin| < 1e-3, absolute error 2e-15); largest magnitude 8.57.
 *
 * Pure: no MPI, no PETSc.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/** Streams in use; models take numbers from HC_STREAM_USER on. Normals take two streams for three directions. */
enum { HC_STREAM_NORMAL = 0, HC_STREAM_BRIDGE = 2, HC_STREAM_POSITION = 3, HC_STREAM_SHARE = 5, HC_STREAM_USER = 16 };

/** Philox4x32-10: counter and key words as in Random123. */
void HcPhilox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/** A uniform number in (0,1): one of the 2^52 values (k + 1/2) 2^-52; `which` is 0 or 1 (two a counter). */
double HcUniform(uint64_t seed, uint64_t id, uint32_t step, uint32_t stream, int which);

/** out[d][q], d < dim, q < n: uniform numbers in (0,1) of id[q]; streams `stream` and, for dim 3, stream + 1. */
void HcUniforms(uint64_t seed, uint32_t step, uint32_t stream, int dim, size_t n, const uint64_t *id, double *const out[]);

/** out[d][q]: independent standard normal deviates of id[q], streams as HcUniforms. */
void HcNormals(uint64_t seed, uint32_t step, uint32_t stream, int dim, size_t n, const uint64_t *id, double *const out[]);
