/*
 * The density of the mean field game as that of N walking agents (fokker_planck: particles).
 *
 * Agents start from samples of m0, follow the optimal drift of the scheme's value function and noise of their own, and m of
 * each level after the first is a kernel density estimate of their positions. The noise is a function of (seed, agent, level,
 * substep): the same in every coupling iteration, so m depends on u alone and the coupling can converge beyond the sampling
 * error. Errors: sampling, N^(-1/2) (`sampling_error`); smoothing, bandwidth^2; time step, 1 (euler) or 2 (weak2) in dt.
 */
#pragma once
#include "mfg.h"

/** Read and check the options; refuses what particles cannot do. In create. */
PetscErrorCode MfgParticlesOptions(Mfg mfg);
/** Bytes per rank, with half as many agents again as an even share; bytes of a particles file. No allocation. */
PetscErrorCode MfgParticlesPlan(Mfg mfg, double *bytes, double *file);
/** Walk, kernels and workspace. After the scheme's create, with the initial density in m. */
PetscErrorCode MfgParticlesCreate(Mfg mfg);
/** From mfg->u fill mfg->m, exited_level, gained_level: MfgScheme's fp by particles. */
PetscErrorCode MfgParticlesFp(Mfg mfg);
/** Cost of following the policy of mfg->u from mfg->m's flow: MfgScheme's policy_cost by particles. */
PetscErrorCode MfgParticlesPolicyCost(Mfg mfg, double *cost);
/** Write particles_NNNNNN.h5 of the level nearest to t, if they are wanted. Times must not decrease. */
PetscErrorCode MfgParticlesWrite(Mfg mfg, double t);
/** The numbers of substeps; paths are walked again. */
PetscErrorCode MfgParticlesSave(Mfg mfg, HcCheckpoint ck);
PetscErrorCode MfgParticlesLoad(Mfg mfg, HcCheckpoint ck);
PetscErrorCode MfgParticlesResults(Mfg mfg);
PetscErrorCode MfgParticlesDestroy(Mfg mfg);
