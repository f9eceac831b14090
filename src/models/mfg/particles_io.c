/* Density by particles: options, bandwidth, memory, checkpoints, results. */
#include "particles_private.h"
#include <stdlib.h>
#include <string.h>

static const char *const key_bandwidth = "mfg_particles_bandwidth";

/* ---- options ---------------------------------------------------------------------------------------------------- */

/* Numbers, one or one a direction, or the name of a rule. */
static PetscErrorCode read_bandwidth(Mfg mfg, HcOptions o) {
  static const char *const rule[] = {"scott", "silverman", "isj"};
  MfgParticles s = mfg->particles;
  const PetscInt dim = mfg->grid->dim;
  const char *text;
  double value[3];
  PetscInt n = 0;
  char *end;

  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetText(o, key_bandwidth, &text));
  for (s->rule = 2; s->rule >= 0 && strcmp(text, rule[s->rule]); s->rule--) continue;
  if (s->rule >= 0) PetscFunctionReturn(0);
  for (const char *at = text;; at = end + 1) {
    const double b = strtod(at, &end);
    while (*end == ' ') end++;
    if (end == at || (*end && *end != ',') || n == 3)
      PetscCall(HcOptionsFail(
        o, key_bandwidth, "must be a number, %lld of them (one a direction), scott, silverman or isj", (long long)dim));
    if (!(b > 0 && b < PETSC_INFINITY)) PetscCall(HcOptionsFail(o, key_bandwidth, "must be greater than 0"));
    value[n++] = b;
    if (!*end) break;
  }
  if (n != 1 && n != dim)
    PetscCall(HcOptionsFail(o, key_bandwidth, "%lld numbers for a grid of %lld dimensions; give one, or one a direction",
      (long long)n, (long long)dim));
  for (PetscInt d = 0; d < dim; d++) s->bandwidth[d] = value[n == 1 ? 0 : d];
  PetscFunctionReturn(0);
}

/* Agents leave through `given` faces, none come in. */
static PetscErrorCode refuse_sources(HcOptions o) {
  const char *text;
  char *end;

  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetText(o, "mfg_boundary_m", &text));
  if (text[0] && (strtod(text, &end) != 0 || end == text || *end))
    PetscCall(
      HcOptionsFail(o, "mfg_boundary_m", "must be 0 with fokker_planck particles: agents only leave through given faces"));
  PetscCall(HcOptionsGetText(o, "mfg_density_source", &text));
  if (text[0]) PetscCall(HcOptionsFail(o, "mfg_density_source", "needs fokker_planck grid: the number of agents is fixed"));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgParticlesOptions(Mfg mfg) {
  HcOptions o = HcRunOptions(mfg->run);
  MfgParticles s;
  PetscInt word;

  PetscFunctionBeginUser;
  PetscCall(PetscNew(&s));
  mfg->particles = s;
  PetscCall(HcOptionsGetInt(o, "mfg_particles_number", &s->number));
  PetscCall(HcOptionsGetWord(o, "mfg_particles_sde", &word));
  s->scheme = word == 1 ? HC_WALK_WEAK2 : HC_WALK_EULER;
  PetscCall(HcOptionsGetInt(o, "run_seed", &s->seed));
  PetscCall(HcOptionsGetBool(o, "output_particles", &s->write));
  if (s->write) PetscCall(HcOptionsGetInt(o, "mfg_particles_sample", &s->sample));
  PetscCall(read_bandwidth(mfg, o));
  PetscCall(refuse_sources(o));
  PetscFunctionReturn(0);
}

/* ---- kernels ---------------------------------------------------------------------------------------------------- */

/* Normalised and mirrored, so that the integral of m is exactly the weight of those inside. */
static PetscErrorCode create_kernels(Mfg mfg, HcFloorPlan plan, HcKde *kde) {
  MfgParticles s = mfg->particles;
  HcKdeSpec spec = {.reflect = PETSC_TRUE, .renormalise = PETSC_TRUE, .plan = plan};
  char message[512];

  PetscFunctionBeginUser;
  for (int d = 0; d < 3; d++) spec.bandwidth[d] = s->bandwidth[d];
  const PetscErrorCode err = HcKdeCreate(mfg->grid, &spec, kde);
  if (err && HcErrorKind(err) == HC_EXIT_INPUT) {
    PetscCall(PetscStrncpy(message, HcErrorMessage(), sizeof message));
    HcErrorClear();
    PetscCall(HcOptionsFail(HcRunOptions(mfg->run), key_bandwidth, "%s", message));
  }
  PetscCall(err);
  PetscFunctionReturn(0);
}

PetscErrorCode MfgParticlesKernels(Mfg mfg) {
  MfgParticles s = mfg->particles;
  HcParticles p = s->agents;
  char message[512];

  PetscFunctionBeginUser;
  if (s->rule >= 0) {
    const PetscErrorCode err = HcBandwidthFromPoints(mfg->grid, (HcBandwidthRule)s->rule, p->n, p->x, p->weight, s->bandwidth);
    if (err && HcErrorKind(err) == HC_EXIT_INPUT) {
      PetscCall(PetscStrncpy(message, HcErrorMessage(), sizeof message));
      HcErrorClear();
      PetscCall(HcOptionsFail(HcRunOptions(mfg->run), key_bandwidth, "%s", message));
    }
    PetscCall(err);
  }
  PetscCall(create_kernels(mfg, s->inside ? mfg->plan : NULL, &s->kde));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgParticlesPlan(Mfg mfg, double *bytes, double *file) {
  MfgParticles s = mfg->particles;
  HcGrid g = mfg->grid;
  const double agents = (double)s->number, level = 8 * (double)HcGridLocalCells(g);
  double kernels = 8 * level;
  HcKde kde;

  PetscFunctionBeginUser;
  if (s->rule < 0) { /* walls may need the binned way */
    PetscCall(create_kernels(mfg, NULL, &kde));
    kernels = PetscMax(HcKdeBytes(kde, HcKdeMethodFor(kde, agents)), 2 * HcKdeBytes(kde, HC_KDE_BINNED));
    PetscCall(HcKdeDestroy(&kde));
  }
  *bytes = HcParticlesBytes(g, 1.5 * agents / g->size, 0.1) + kernels + 2 * HcFieldBytes(g, 1, 1) +
           (s->scheme == HC_WALK_WEAK2 ? 4 : 1) * HcFieldBytes(g, (int)g->dim, 1);
  *file = s->write ? HcParticlesFileBytes(g, s->sample > 1 ? agents / (double)s->sample : agents) : 0;
  PetscFunctionReturn(0);
}

/* ---- checkpoints and results ------------------------------------------------------------------------------------ */

PetscErrorCode MfgParticlesSave(Mfg mfg, HcCheckpoint ck) {
  MfgParticles s = mfg->particles;
  double *parts;

  PetscFunctionBeginUser;
  PetscCall(PetscMalloc1(mfg->steps, &parts));
  for (PetscInt l = 0; l < mfg->steps; l++) parts[l] = (double)s->parts[l];
  PetscCall(HcCheckpointPutReals(ck, "substeps", mfg->steps, parts));
  PetscCall(PetscFree(parts));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgParticlesLoad(Mfg mfg, HcCheckpoint ck) {
  MfgParticles s = mfg->particles;
  double *parts;
  PetscInt n;

  PetscFunctionBeginUser;
  PetscCall(HcCheckpointLength(ck, "substeps", &n));
  if (n != mfg->steps) PetscFunctionReturn(0); /* of a run on the grid */
  PetscCall(PetscMalloc1(mfg->steps, &parts));
  PetscCall(HcCheckpointGetReals(ck, "substeps", mfg->steps, parts));
  for (PetscInt l = 0; l < mfg->steps; l++) s->parts[l] = (PetscInt)parts[l];
  PetscCall(PetscFree(parts));
  PetscFunctionReturn(0);
}

/* The L1 norm that sampling noise of a level is expected to have. The estimate at a place is a sum over independent agents:
 * variance w m R/prod b, R = (4 pi)^(-d/2) the integral of the squared kernel of width 1 (Silverman 1986, eq. 3.17), mean
 * absolute value sqrt(2/pi) of the root; where less than an agent is within a kernel's reach, at most 2 m. */
static PetscErrorCode sampling_error(Mfg mfg, const double *m, double *scratch, double *error) {
  MfgParticles s = mfg->particles;
  double factor = 2 / M_PI * s->weight;

  PetscFunctionBeginUser;
  for (int d = 0; d < mfg->grid->dim; d++) factor /= sqrt(4 * M_PI) * s->bandwidth[d];
  for (size_t c = 0; c < mfg->cells; c++) scratch[c] = PetscMin(sqrt(factor * PetscMax(m[c], 0)), 2 * PetscMax(m[c], 0));
  PetscCall(MfgIntegral(mfg, scratch, error));
  PetscFunctionReturn(0);
}

/* L of the speed's square: lambda |a|^2/2, or |a|^q/q with q the conjugate of gamma. */
static double motion_cost(Mfg mfg, double square) {
  if (mfg->hamiltonian == MFG_QUADRATIC) return 0.5 * mfg->control_cost * square;
  const double q = mfg->exponent / (mfg->exponent - 1);
  return pow(square, 0.5 * q) / q;
}

/* Mean cost of the agents: the integral of (L + f) m, exits, horizon. The drift of an interval is that of its first level, never
 * that of the horizon, where u may jump at exits. */
PetscErrorCode MfgParticlesPolicyCost(Mfg mfg, double *cost) {
  MfgParticles s = mfg->particles;
  HcGrid g = mfg->grid;
  HcField b = s->b[0], free = s->free;
  double part, *scratch;

  PetscFunctionBeginUser;
  PetscCall(PetscMalloc1(mfg->cells, &scratch));
  *cost = mfg->exit_cost * mfg->exited_level[mfg->steps];
  for (PetscInt l = 0; l < mfg->steps; l++) {
    const double *m0 = MfgLevel(mfg, mfg->m, l), *m1 = MfgLevel(mfg, mfg->m, l + 1);
    PetscCall(mfg->scheme->drift(mfg, l, b));
    PetscCall(MfgRunningCost(mfg, mfg->dt * (double)(l + 1), m1, scratch));
    for (PetscInt k = 0, c = 0; k < g->n[2]; k++)
      for (PetscInt j = 0; j < g->n[1]; j++)
        for (PetscInt i = 0; i < g->n[0]; i++, c++) {
          const PetscInt at = i + j * b->stride[1] + k * b->stride[2];
          double square = 0;
          for (int d = 0; d < g->dim; d++) square += b->c[d][at] * b->c[d][at];
          scratch[c] = free->c[0][at] > 0 ? motion_cost(mfg, square) * 0.5 * (m0[c] + m1[c]) + scratch[c] * m1[c] : 0;
        }
    PetscCall(MfgIntegral(mfg, scratch, &part));
    *cost += mfg->dt * part;
  }
  const double *u = MfgLevel(mfg, mfg->u, mfg->steps), *m = MfgLevel(mfg, mfg->m, mfg->steps);
  for (size_t c = 0; c < mfg->cells; c++) scratch[c] = u[c] * m[c];
  PetscCall(MfgIntegral(mfg, scratch, &part));
  *cost += part;
  PetscCall(PetscFree(scratch));
  PetscFunctionReturn(0);
}

PetscErrorCode MfgParticlesResults(Mfg mfg) {
  MfgParticles s = mfg->particles;
  HcRun run = mfg->run;
  double *scratch, error, most = 0, substeps = 0;

  PetscFunctionBeginUser;
  PetscCall(PetscMalloc1(mfg->cells, &scratch));
  for (PetscInt l = 1; l <= mfg->steps; l++) {
    PetscCall(sampling_error(mfg, MfgLevel(mfg, mfg->m, l), scratch, &error));
    most = PetscMax(most, error);
    substeps += (double)s->parts[l - 1];
  }
  PetscCall(PetscFree(scratch));
  PetscCall(HcRunResultInt(run, "particles", s->number));
  PetscCall(HcRunResultReals(run, "bandwidth", mfg->grid->dim, s->bandwidth));
  PetscCall(HcRunResultReal(run, "sampling_error", most));
  PetscCall(HcRunResultReal(run, "particle_steps", substeps));
  PetscFunctionReturn(0);
}
