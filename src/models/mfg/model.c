/* The model `mfg`: options, memory, initial density, files, results. The equations are in the schemes' files. */
#include "particles.h"

/* clang-format off */
static const HcOption options[] = {
  {"time_end", HC_OPT_REAL, "1", "time", "(0,inf)", "horizon T"},
  {"time_steps", HC_OPT_INT, "100", "", "[1,10000000]", "time levels after the initial one; explicit schemes take substeps between them where stability asks for it"},
  {"time_cfl", HC_OPT_REAL, "0.9", "", "(0,1]", "explicit schemes: part of the stability limit that a substep uses"},
  {"mfg_sigma", HC_OPT_REAL, "0.3", "length/sqrt(time)", "[0,inf)", "noise amplitude sigma; the equations have nu = sigma^2/2"},
  {"mfg_hamiltonian", HC_OPT_WORD, "quadratic", "", "quadratic|power", "H = |p|^2/(2 control_cost), or |p|^exponent/exponent"},
  {"mfg_control_cost", HC_OPT_REAL, "1", "", "(0,inf)", "lambda: moving with velocity a costs lambda |a|^2/2 a time unit (quadratic)"},
  {"mfg_exponent", HC_OPT_REAL, "2", "", "(1,inf)", "gamma of the power Hamiltonian"},
  {"mfg_running_cost", HC_OPT_FIELD, "0", "cost/time", "x,y,z,t,m", "f(x,t,m)"},
  {"mfg_terminal_cost", HC_OPT_FIELD, "0", "cost", "x,y,z,m", "g(x,m) at the horizon"},
  {"mfg_initial_density", HC_OPT_FIELD, "1", "1/length^d", "x,y,z", "m0; taken in free cells only"},
  {"mfg_normalise", HC_OPT_BOOL, "true", "", "", "scale the initial density to mass 1"},
  {"mfg_floor_plan", HC_OPT_FILE, "", "", "", "PNG: black wall, white free, green exit; stretched over the x-y box, extruded in z"},
  {"mfg_obstacle", HC_OPT_EXPRESSION, "", "", "x,y,z", "positive inside walls"},
  {"mfg_exit_cost", HC_OPT_REAL, "0", "cost", "(-inf,inf)", "value u at exits"},
  {"mfg_scheme", HC_OPT_WORD, "upwind", "", "upwind|weno", "discretisation: monotone first order, or WENO5 with SSP-RK3"},
  {"mfg_time_stepping", HC_OPT_WORD, "", "", "implicit|explicit", "upwind: implicit (default) or explicit; weno: explicit"},
  {"mfg_weights", HC_OPT_WORD, "z", "", "js|z|m", "nonlinear weights of the weno scheme"},
  {"mfg_diffusion_order", HC_OPT_WORD, "6", "", "4|6", "order of the weno scheme's diffusion"},
  {"mfg_fokker_planck", HC_OPT_WORD, "grid", "", "grid|particles", "how the Fokker-Planck equation is solved"},
  {"mfg_particles_number", HC_OPT_INT, "100000", "", "[1,2000000000]", "agents that walk (fokker_planck: particles)"},
  {"mfg_particles_bandwidth", HC_OPT_TEXT, "silverman", "length", "", "standard deviation of the kernel that makes a density of them: a number, one a direction, or from the agents at the start by scott, silverman or isj"},
  {"mfg_particles_sde", HC_OPT_WORD, "euler", "", "euler|weak2", "their steps: weak order 1 or 2 in dt"},
  {"mfg_particles_sample", HC_OPT_INT, "0", "", "[0,inf)", "particles files hold the agents whose number is a multiple of this, in their order; 0: all, in any order"},
  {"output_particles", HC_OPT_BOOL, "true", "", "", "write particles_NNNNNN.h5 beside each fields file (fokker_planck: particles)"},
  {"mfg_coupling", HC_OPT_WORD, "picard", "", "picard|anderson", "iteration between the two equations"},
  {"mfg_damping", HC_OPT_REAL, "", "", "(0,1]", "part of the new density that each iteration takes (Anderson's beta); unset: chosen by the code"},
  {"mfg_depth", HC_OPT_INT, "5", "", "[1,50]", "iterates that Anderson's acceleration keeps"},
  {"mfg_tolerance", HC_OPT_REAL, "1e-6", "", "(0,1)", "stop when the density changes by less: sup over time of the L1 norm"},
  {"mfg_max_iterations", HC_OPT_INT, "200", "", "[1,1000000]", "more coupling iterations are a failure"},
  {"mfg_density_source", HC_OPT_EXPRESSION, "", "1/(length^d time)", "x,y,z,t", "right-hand side of the Fokker-Planck equation, for manufactured solutions"},
  {"mfg_boundary_u", HC_OPT_EXPRESSION, "", "cost", "x,y,z,t", "u beyond `given` boundaries"},
  {"mfg_boundary_m", HC_OPT_EXPRESSION, "", "1/length^d", "x,y,z,t", "m beyond `given` boundaries"},
  {"mfg_exact_u", HC_OPT_FIELD, "", "cost", "x,y,z,t", "known solution: gives error_u_linf, error_u_l2"},
  {"mfg_exact_m", HC_OPT_FIELD, "", "1/length^d", "x,y,z,t", "known solution: gives error_m_l1, error_m_linf"},
  {NULL, HC_OPT_TEXT, NULL, NULL, NULL, NULL},
};

static const HcColumn columns[] = {
  {"residual", "1"}, {"damping", "1"}, {"mass_error", "1"}, {"density_min", "1/length^d"}, {"exited_mass", "1"}, {"newton_per_step", "1"},
  {"krylov_per_step", "1"}, {"substeps_per_step", "1"}, {NULL, NULL},
};
/* clang-format on */

static PetscErrorCode create_sources(Mfg mfg, HcOptions o) {
  static const char *const m_name[] = {"m"};
  HcGrid g = mfg->grid;

  PetscFunctionBeginUser;
  PetscCall(HcSourceCreate(o, "mfg_running_cost", g, 1, m_name, &mfg->running_cost));
  PetscCall(HcSourceCreate(o, "mfg_terminal_cost", g, 1, m_name, &mfg->terminal_cost));
  PetscCall(HcSourceCreate(o, "mfg_initial_density", g, 0, NULL, &mfg->initial_density));
  PetscCall(HcSourceCreate(o, "mfg_density_source", g, 0, NULL, &mfg->density_source));
  PetscCall(HcSourceCreate(o, "mfg_exact_u", g, 0, NULL, &mfg->exact_u));
  PetscCall(HcSourceCreate(o, "mfg_exact_m", g, 0, NULL, &mfg->exact_m));
  for (int f = 0; f < 2 * g->dim; f++)
    if (g->boundary[f] == HC_GIVEN && !mfg->boundary_u) {
      PetscCall(HcSourceCreate(o, "mfg_boundary_u", g, 0, NULL, &mfg->boundary_u));
      PetscCall(HcSourceCreate(o, "mfg_boundary_m", g, 0, NULL, &mfg->boundary_m));
      if (!mfg->boundary_u) PetscCall(HcOptionsFail(o, "mfg_boundary_u", "needed where grid_boundary is given"));
      if (!mfg->boundary_m) PetscCall(HcOptionsFail(o, "mfg_boundary_m", "needed where grid_boundary is given"));
    }
  PetscFunctionReturn(0);
}

static PetscErrorCode choose_scheme(Mfg mfg, HcOptions o) {
  PetscInt scheme, stepping;

  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetWord(o, "mfg_scheme", &scheme));
  PetscCall(HcOptionsGetWord(o, "mfg_time_stepping", &stepping));
  if (scheme == 0)
    mfg->scheme = stepping == 1 ? &MfgUpwindExplicit : &MfgUpwindImplicit;
  else {
    if (stepping == 0) PetscCall(HcOptionsFail(o, "mfg_time_stepping", "scheme weno has explicit only"));
    mfg->scheme = &MfgWenoExplicit;
  }
  if (stepping < 0)
    PetscCall(HcOptionsSetDerived(o, "mfg_time_stepping", mfg->scheme == &MfgUpwindImplicit ? "implicit" : "explicit"));
  mfg->fp = mfg->scheme->fp;
  mfg->policy_cost = mfg->scheme->policy_cost;
  if (mfg->scheme != &MfgUpwindImplicit) PetscCall(HcOptionsGetReal(o, "time_cfl", &mfg->cfl));
  PetscFunctionReturn(0);
}

static PetscErrorCode create_grid(Mfg mfg, HcOptions o) {
  const unsigned allowed = 1u << HC_PERIODIC | 1u << HC_REFLECTING | 1u << HC_EXIT | 1u << HC_GIVEN | 1u << HC_SYMMETRY;
  HcGridSpec spec;
  const char *plan, *obstacle;

  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetText(o, "mfg_floor_plan", &plan));
  PetscCall(HcOptionsGetText(o, "mfg_obstacle", &obstacle));
  if (plan[0]) { /* one cell a pixel, unless told otherwise; walls and not periodicity close a plan */
    PetscInt size[2];
    char text[64];
    PetscCall(HcFloorPlanPixels(HcRunComm(mfg->run), o, "mfg_floor_plan", size));
    PetscCall(PetscSNPrintf(text, sizeof text, "%lld,%lld", (long long)size[0], (long long)size[1]));
    if (!HcOptionsIsSet(o, "grid_cells")) PetscCall(HcOptionsSetDerived(o, "grid_cells", text));
  }
  if (!HcOptionsIsSet(o, "grid_boundary")) PetscCall(HcOptionsSetDerived(o, "grid_boundary", "reflecting"));
  PetscCall(HcGridSpecFromOptions(o, allowed, &spec));
  if (plan[0] && spec.dim < 2)
    PetscCall(HcOptionsFail(o, "mfg_floor_plan", "a floor plan needs a grid of two or three dimensions"));
  spec.min_block = mfg->scheme->width;
  PetscCall(HcGridCreate(HcRunComm(mfg->run), &spec, &mfg->grid));
  PetscFunctionReturn(0);
}

static PetscErrorCode mfg_create(HcRun run, void **ctx) {
  HcOptions o = HcRunOptions(run);
  Mfg mfg;
  PetscInt word;

  PetscFunctionBeginUser;
  PetscCall(PetscNew(&mfg));
  *ctx = mfg;
  mfg->run = run;
  PetscCall(choose_scheme(mfg, o));
  PetscCall(create_grid(mfg, o));
  mfg->cells = (size_t)HcGridLocalCells(mfg->grid);
  PetscCall(HcOptionsGetReal(o, "time_end", &mfg->end));
  PetscCall(HcOptionsGetInt(o, "time_steps", &mfg->steps));
  mfg->dt = mfg->end / (double)mfg->steps;
  PetscCall(HcOptionsGetReal(o, "mfg_sigma", &mfg->sigma));
  mfg->nu = mfg->sigma * mfg->sigma / 2;
  PetscCall(HcOptionsGetWord(o, "mfg_hamiltonian", &word));
  mfg->hamiltonian = (MfgHamiltonianKind)word;
  mfg->control_cost = 1;
  mfg->exponent = 2;
  if (mfg->hamiltonian == MFG_QUADRATIC)
    PetscCall(HcOptionsGetReal(o, "mfg_control_cost", &mfg->control_cost));
  else
    PetscCall(HcOptionsGetReal(o, "mfg_exponent", &mfg->exponent));
  PetscCall(HcOptionsGetReal(o, "mfg_exit_cost", &mfg->exit_cost));
  PetscCall(HcOptionsGetBool(o, "mfg_normalise", &mfg->normalise));
  PetscCall(HcOptionsGetWord(o, "mfg_fokker_planck", &word));
  if (word == 1) {
    mfg->fp = MfgParticlesFp;
    mfg->policy_cost = MfgParticlesPolicyCost;
    PetscCall(MfgParticlesOptions(mfg));
  }
  PetscCall(HcOptionsGetWord(o, "mfg_coupling", &word));
  mfg->anderson = word == 1 ? PETSC_TRUE : PETSC_FALSE;
  mfg->spectral = HcOptionsIsSet(o, "mfg_damping") ? PETSC_FALSE : PETSC_TRUE;
  mfg->theta = 0.5; /* where the spectral damping starts; it is within a factor of three an iteration of any other */
  PetscCall(HcOptionsGetReal(o, "mfg_damping", &mfg->damping));
  if (mfg->anderson) PetscCall(HcOptionsGetInt(o, "mfg_depth", &mfg->depth));
  PetscCall(HcOptionsGetReal(o, "mfg_tolerance", &mfg->tolerance));
  PetscCall(HcOptionsGetInt(o, "mfg_max_iterations", &mfg->max_iterations));
  if (mfg->scheme == &MfgWenoExplicit) { /* read here so that they count as used; the scheme reads them again */
    PetscCall(HcOptionsGetWord(o, "mfg_weights", &word));
    PetscCall(HcOptionsGetWord(o, "mfg_diffusion_order", &word));
  }
  PetscCall(create_sources(mfg, o));
  PetscFunctionReturn(0);
}

static PetscErrorCode mfg_plan(void *ctx, HcPlan *plan) {
  Mfg mfg = ctx;
  HcGrid g = mfg->grid;
  double level = 8 * (double)mfg->cells, levels = (double)(mfg->steps + 1);

  PetscFunctionBeginUser;
  plan->dim = g->dim;
  for (int d = 0; d < 3; d++) plan->cells[d] = g->cells[d];
  plan->grid = g;
  plan->bytes_per_rank =
    2 * levels * level + MfgCouplingBytes(mfg) + mfg->scheme->bytes(mfg) + HcFieldBytes(g, 2 + (int)g->dim, 1);
  plan->bytes_per_output = 8 * HcGridTotalCells(g) * (double)(3 + g->dim);
  plan->bytes_per_checkpoint = 8 * HcGridTotalCells(g) * levels;
  if (mfg->particles) {
    double bytes, file;
    PetscCall(MfgParticlesPlan(mfg, &bytes, &file));
    plan->bytes_per_rank += bytes;
    plan->bytes_per_output += file;
  }
  plan->updates_per_step = 2 * HcGridTotalCells(g) * (double)mfg->steps;
  PetscFunctionReturn(0);
}

/* m0 into level 0 in free cells, checked and scaled to mass 1. */
static PetscErrorCode initial_density(Mfg mfg) {
  HcOptions o = HcRunOptions(mfg->run);
  HcGrid g = mfg->grid;
  HcField r = mfg->plan->region;
  double mass, least = 0, where[3] = {0};
  PetscErrorCode local = 0;

  PetscFunctionBeginUser;
  for (PetscInt k = 0, c = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++, c += g->n[0]) {
      PetscCall(HcSourceEvalRow(mfg->initial_density, 0, g->n[0], j, k, 0, NULL, mfg->m + c));
      for (PetscInt i = 0; i < g->n[0]; i++) {
        double *m = mfg->m + c + i;
        if (r->c[0][i + j * r->stride[1] + k * r->stride[2]] != HC_FREE) *m = 0;
        if (*m >= least || least != least) continue;
        least = *m; /* the first negative value, or not a number */
        where[0] = HcGridCentre(g, 0, i), where[1] = HcGridCentre(g, 1, j), where[2] = HcGridCentre(g, 2, k);
      }
      for (PetscInt i = 0; i < g->n[0] && least == least; i++)
        if (mfg->m[c + i] != mfg->m[c + i] || PetscIsInfReal(mfg->m[c + i])) {
          least = NAN;
          where[0] = HcGridCentre(g, 0, i), where[1] = HcGridCentre(g, 1, j), where[2] = HcGridCentre(g, 2, k);
        }
    }
  if (least < 0 || least != least)
    local = HcOptionsFail(o, "mfg_initial_density", "the density is %s at (%g, %g, %g); it must be zero or positive",
      least < 0 ? "negative" : "not a finite number", where[0], where[1], where[2]);
  PetscCall(HcAgree(g->comm, local));
  PetscCall(MfgIntegral(mfg, mfg->m, &mass));
  if (!(mass > 0)) PetscCall(HcOptionsFail(o, "mfg_initial_density", "the density is zero everywhere in the free cells"));
  if (mfg->normalise)
    for (size_t c = 0; c < mfg->cells; c++) mfg->m[c] /= mass;
  PetscFunctionReturn(0);
}

static PetscErrorCode allocate(Mfg mfg) {
  size_t levels = (size_t)mfg->steps + 1, all = levels * mfg->cells;
  PetscErrorCode local;

  PetscFunctionBeginUser;
  if (sizeof(PetscInt) == 4 && (double)levels * HcGridTotalCells(mfg->grid) > 2147483647.0)
    PetscCall(HcFail(HC_EXIT_INPUT,
      "%.3g space-time unknowns are more than PETSc's 32-bit indices can count: use a PETSc with 64-bit indices, fewer "
      "time_steps or cells",
      (double)levels * HcGridTotalCells(mfg->grid)));
  PetscCall(PetscPushErrorHandler(PetscReturnErrorHandler, NULL));
  local = PetscCalloc2(all, &mfg->u, all, &mfg->m);
  PetscCall(PetscPopErrorHandler());
  if (local)
    local = HcFail(HC_EXIT_FAILED, "out of memory: %.3g GB for %lld time levels of %lld cells", 16e-9 * (double)all,
      (long long)levels, (long long)mfg->cells);
  PetscCall(HcAgree(mfg->grid->comm, local));
  PetscCall(PetscCalloc4(levels, &mfg->mass_level, levels, &mfg->exited_level, levels, &mfg->gained_level,
    PetscMax(mfg->exits, 1) * levels, &mfg->exit_share));
  PetscCall(PetscCalloc1(mfg->max_iterations, &mfg->residual_history));
  PetscFunctionReturn(0);
}

/* In the order of HcModelMfg.fields. */
enum { FIELD_U, FIELD_M, FIELD_DRIFT_X, FIELD_DRIFT_Y, FIELD_DRIFT_Z, FIELD_REGION };

/* What is asked for but cannot be in this run is refused before anything is computed. */
static PetscErrorCode check_against_plan(Mfg mfg, HcOptions o) {
  PetscInt n = 16, asked[16];
  const char *missing = NULL;

  PetscFunctionBeginUser;
  if (mfg->exits == 0 && HcOptionsIsSet(o, "mfg_exit_cost"))
    PetscCall(HcOptionsFail(
      o, "mfg_exit_cost", "this problem has no exit: neither a green area in a floor_plan nor an exit face in grid_boundary"));
  PetscCall(HcOptionsGetWords(o, "output_fields", &n, asked));
  for (PetscInt q = 0; q < n; q++) {
    if (asked[q] == FIELD_DRIFT_Y && mfg->grid->dim < 2) missing = "drift_y exists in two and three dimensions";
    if (asked[q] == FIELD_DRIFT_Z && mfg->grid->dim < 3) missing = "drift_z exists in three dimensions";
    if (asked[q] == FIELD_REGION && mfg->plan->walls + mfg->plan->exits == 0)
      missing = "region exists where there are walls or exits";
  }
  if (missing) PetscCall(HcOptionsFail(o, "output_fields", "%s", missing));
  PetscFunctionReturn(0);
}

static PetscErrorCode mfg_setup(void *ctx, HcClock *clock) {
  Mfg mfg = ctx;
  HcOptions o = HcRunOptions(mfg->run);

  PetscFunctionBeginUser;
  clock->end = 0; /* fields are written for times up to here after convergence */
  PetscCall(HcFloorPlanCreate(o, "mfg_floor_plan", "mfg_obstacle", mfg->grid, &mfg->plan));
  PetscCall(MfgNumberExits(mfg));
  PetscCall(check_against_plan(mfg, o));
  if (mfg->exits > 0)
    PetscCall(HcFloorPlanCheckReachable(mfg->plan, o, HcOptionsIsSet(o, "mfg_floor_plan") ? "mfg_floor_plan" : "mfg_obstacle"));
  PetscCall(allocate(mfg));
  PetscCall(initial_density(mfg));
  PetscCall(mfg->scheme->create(mfg));
  if (mfg->particles) PetscCall(MfgParticlesCreate(mfg));
  PetscCall(MfgCouplingCreate(mfg));
  clock->end = mfg->end;
  clock->dt = mfg->dt;
  PetscFunctionReturn(0);
}

static PetscErrorCode mfg_iterate(void *ctx, HcClock *clock, HcIterationDone done, void *driver) {
  Mfg mfg = ctx;

  PetscFunctionBeginUser;
  if (!mfg->first_iteration) /* the first guess: nobody moves */
    for (PetscInt l = 1; l <= mfg->steps; l++) PetscCall(PetscArraycpy(MfgLevel(mfg, mfg->m, l), mfg->m, mfg->cells));
  PetscCall(MfgCouplingSolve(mfg, clock, done, driver));
  PetscFunctionReturn(0);
}

static PetscErrorCode mfg_diagnose(void *ctx, const HcClock *clock, double row[]) {
  Mfg mfg = ctx;

  PetscFunctionBeginUser;
  (void)clock;
  row[0] = mfg->residual;
  row[1] = mfg->spectral ? mfg->theta : mfg->damping;
  row[2] = mfg->mass_error_max;
  row[3] = mfg->density_min;
  row[4] = mfg->exited_level[mfg->steps];
  row[5] = (double)mfg->newton_total / (double)mfg->steps;
  row[6] = (double)mfg->krylov_total / (double)mfg->steps;
  row[7] = (double)mfg->substeps_total / (double)mfg->steps;
  PetscFunctionReturn(0);
}

/* Linear in time between levels; exactly a level where t is one. */
static void at_time(Mfg mfg, double *v, double t, HcField f) {
  double position = t / mfg->dt, nearest = floor(position + 0.5);
  PetscInt l = PetscMin(PetscMax((PetscInt)floor(position), 0), mfg->steps - 1);
  HcGrid g = mfg->grid;

  if (PetscAbsReal(position - nearest) < 1e-9 * (double)mfg->steps) {
    HcFieldFromArray(f, 0, MfgLevel(mfg, v, PetscMin((PetscInt)nearest, mfg->steps)));
    return;
  }
  const double *a = MfgLevel(mfg, v, l), *b = MfgLevel(mfg, v, l + 1);
  double part = position - (double)l;
  for (PetscInt k = 0, c = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++)
      for (PetscInt i = 0; i < g->n[0]; i++, c++) f->c[0][i + j * f->stride[1] + k * f->stride[2]] = a[c] + part * (b[c] - a[c]);
}

static PetscErrorCode mfg_write(void *ctx, double t, HcOutput out) {
  static const char *const drift_name[] = {"drift_x", "drift_y", "drift_z"};
  static const char *const drift_help[] = {"optimal velocity in x", "optimal velocity in y", "optimal velocity in z"};
  Mfg mfg = ctx;
  HcGrid g = mfg->grid;
  HcField f, drift;
  PetscBool wants_drift = PETSC_FALSE;

  PetscFunctionBeginUser;
  PetscCall(HcFieldCreate(g, 1, 0, &f));
  if (HcOutputWants(out, "u")) {
    at_time(mfg, mfg->u, t, f);
    PetscCall(HcOutputField(out, "u", f, 0, "cost", "value function; 0 inside walls"));
  }
  if (HcOutputWants(out, "m")) {
    at_time(mfg, mfg->m, t, f);
    PetscCall(HcOutputField(out, "m", f, 0, "1/length^d", "density of agents"));
  }
  for (int d = 0; d < g->dim; d++) wants_drift = wants_drift || HcOutputWants(out, drift_name[d]) ? PETSC_TRUE : PETSC_FALSE;
  if (wants_drift) {
    PetscCall(HcFieldCreate(g, (int)g->dim, 0, &drift));
    PetscInt level = PetscMin(PetscMax((PetscInt)floor(t / mfg->dt + 0.5), 0), mfg->steps);
    PetscCall(mfg->scheme->drift(mfg, level, drift));
    for (int d = 0; d < g->dim; d++)
      if (HcOutputWants(out, drift_name[d])) PetscCall(HcOutputField(out, drift_name[d], drift, d, "length/time", drift_help[d]));
    PetscCall(HcFieldDestroy(&drift));
  }
  if (mfg->plan->walls + mfg->plan->exits > 0 && HcOutputWants(out, "region"))
    PetscCall(HcOutputField(out, "region", mfg->plan->region, 0, "1", "0 wall, 1 free, 2 exit"));
  PetscCall(HcFieldDestroy(&f));
  if (mfg->particles) PetscCall(MfgParticlesWrite(mfg, t));
  PetscFunctionReturn(0);
}

static PetscErrorCode mfg_save(void *ctx, HcCheckpoint ck) {
  Mfg mfg = ctx;
  double numbers[2] = {(double)mfg->iterations, (double)mfg->steps}, theta[1 + MFG_RECENT];
  const double *m = mfg->m;

  PetscFunctionBeginUser;
  if (mfg->iterate) PetscCall(VecGetArrayRead(mfg->iterate, &m));
  theta[0] = mfg->theta;
  PetscCall(PetscArraycpy(theta + 1, mfg->recent_theta, MFG_RECENT));
  PetscCall(HcCheckpointPutReals(ck, "iterations_steps", 2, numbers));
  PetscCall(HcCheckpointPutReals(ck, "damping", 1 + MFG_RECENT, theta));
  PetscCall(HcCheckpointPutReals(ck, "residual_history", mfg->iterations, mfg->residual_history));
  PetscCall(HcCheckpointPutLevels(ck, "m", mfg->grid, mfg->steps + 1, m));
  if (mfg->iterate) PetscCall(VecRestoreArrayRead(mfg->iterate, &m));
  if (mfg->particles) PetscCall(MfgParticlesSave(mfg, ck));
  PetscFunctionReturn(0);
}

static PetscErrorCode mfg_load(void *ctx, HcCheckpoint ck) {
  Mfg mfg = ctx;
  double numbers[2], theta[1 + MFG_RECENT];

  PetscFunctionBeginUser;
  PetscCall(HcCheckpointGetReals(ck, "damping", 1 + MFG_RECENT, theta));
  mfg->theta = theta[0];
  PetscCall(PetscArraycpy(mfg->recent_theta, theta + 1, MFG_RECENT));
  PetscCall(HcCheckpointGetReals(ck, "iterations_steps", 2, numbers));
  HcRequire(numbers[1] == (double)mfg->steps, HC_EXIT_INPUT, "time_steps = %lld, but the checkpoint has %g",
    (long long)mfg->steps, numbers[1]);
  mfg->first_iteration = mfg->iterations = (PetscInt)numbers[0];
  HcRequire(mfg->iterations <= mfg->max_iterations, HC_EXIT_INPUT, "mfg_max_iterations = %lld, but the checkpoint has done %lld",
    (long long)mfg->max_iterations, (long long)mfg->iterations);
  PetscCall(HcCheckpointGetReals(ck, "residual_history", mfg->iterations, mfg->residual_history));
  PetscCall(HcCheckpointGetLevels(ck, "m", mfg->grid, mfg->steps + 1, mfg->m));
  if (mfg->particles) PetscCall(MfgParticlesLoad(mfg, ck));
  PetscFunctionReturn(0);
}

/* L1, L2 and max norms of level - exact at t over free cells. */
static PetscErrorCode errors_at(Mfg mfg, HcSource exact, const double *level, double t, double *l1, double *l2, double *linf) {
  HcGrid g = mfg->grid;
  HcField r = mfg->plan->region, e;

  PetscFunctionBeginUser;
  PetscCall(HcFieldCreate(g, 1, 0, &e));
  PetscCall(HcSourceEvalField(exact, t, e, 0));
  for (PetscInt k = 0, c = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++)
      for (PetscInt i = 0; i < g->n[0]; i++, c++) {
        double *v = &e->c[0][i + j * e->stride[1] + k * e->stride[2]];
        *v = r->c[0][i + j * r->stride[1] + k * r->stride[2]] == HC_FREE ? level[c] - *v : 0;
      }
  PetscCall(HcFieldNorm(e, 0, HC_NORM_L1, l1));
  PetscCall(HcFieldNorm(e, 0, HC_NORM_L2, l2));
  PetscCall(HcFieldNorm(e, 0, HC_NORM_LINF, linf));
  *l1 *= g->volume;
  *l2 *= sqrt(g->volume);
  PetscCall(HcFieldDestroy(&e));
  PetscFunctionReturn(0);
}

static PetscErrorCode error_results(Mfg mfg) {
  const double times[2] = {0, mfg->end};
  double u2 = 0, uinf = 0, m1 = 0, minf = 0, l1, l2, linf;

  PetscFunctionBeginUser;
  for (int q = 0; q < 2; q++) {
    PetscInt level = q ? mfg->steps : 0;
    if (mfg->exact_u) {
      PetscCall(errors_at(mfg, mfg->exact_u, MfgLevel(mfg, mfg->u, level), times[q], &l1, &l2, &linf));
      u2 = PetscMax(u2, l2), uinf = PetscMax(uinf, linf);
    }
    if (mfg->exact_m) {
      PetscCall(errors_at(mfg, mfg->exact_m, MfgLevel(mfg, mfg->m, level), times[q], &l1, &l2, &linf));
      m1 = PetscMax(m1, l1), minf = PetscMax(minf, linf);
    }
  }
  if (mfg->exact_u) {
    PetscCall(HcRunResultReal(mfg->run, "error_u_linf", uinf));
    PetscCall(HcRunResultReal(mfg->run, "error_u_l2", u2));
  }
  if (mfg->exact_m) {
    PetscCall(HcRunResultReal(mfg->run, "error_m_l1", m1));
    PetscCall(HcRunResultReal(mfg->run, "error_m_linf", minf));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode mfg_results(void *ctx, const HcClock *clock) {
  Mfg mfg = ctx;
  HcRun run = mfg->run;
  PetscInt levels = mfg->steps + 1;

  PetscFunctionBeginUser;
  (void)clock;
  PetscCall(HcRunResultBool(run, "converged", mfg->converged));
  PetscCall(HcRunResultInt(run, "iterations", mfg->iterations));
  PetscCall(HcRunResultReal(run, "residual", mfg->residual));
  PetscCall(HcRunResultReals(run, "residual_history", mfg->iterations, mfg->residual_history));
  PetscCall(HcRunResultReal(run, "mass_error_max", mfg->mass_error_max));
  PetscCall(HcRunResultReal(run, "density_min", mfg->density_min));
  PetscCall(HcRunResultInt(run, "clipped", mfg->clipped));
  PetscCall(HcRunResultReal(run, "exited_mass", mfg->exited_level[mfg->steps]));
  if (!mfg->converged) PetscFunctionReturn(0);
  PetscCall(HcRunResultReal(run, "cost", mfg->cost));
  /* with particles the difference of two costs would be one of sampling errors */
  PetscCall(HcRunResultReal(run, "exploitability", mfg->particles ? NAN : mfg->exploitability));
  if (mfg->particles) PetscCall(MfgParticlesResults(mfg));
  PetscCall(error_results(mfg));
  /* the balance of mass over time, for plots */
  double *time;
  PetscCall(PetscMalloc1(levels, &time));
  for (PetscInt l = 0; l < levels; l++) time[l] = mfg->dt * (double)l;
  PetscCall(HcRunResultReals(run, "series_time", levels, time));
  PetscCall(HcRunResultReals(run, "series_mass", levels, mfg->mass_level));
  for (PetscInt e = 0; e < mfg->exits; e++) {
    char name[32];
    PetscCall(PetscSNPrintf(name, sizeof name, "series_exit_%lld", (long long)e + 1));
    PetscCall(HcRunResultReals(run, name, levels, mfg->exit_share + e * levels));
  }
  PetscCall(PetscFree(time));
  PetscFunctionReturn(0);
}

static PetscErrorCode mfg_destroy(void **ctx) {
  Mfg mfg = *ctx;

  PetscFunctionBeginUser;
  if (!mfg) PetscFunctionReturn(0);
  if (mfg->scheme && mfg->scheme_data) PetscCall(mfg->scheme->destroy(mfg));
  PetscCall(MfgParticlesDestroy(mfg));
  PetscCall(MfgCouplingDestroy(mfg));
  HcSource *sources[] = {&mfg->running_cost, &mfg->terminal_cost, &mfg->initial_density, &mfg->density_source, &mfg->boundary_u,
    &mfg->boundary_m, &mfg->exact_u, &mfg->exact_m};
  for (size_t q = 0; q < sizeof sources / sizeof *sources; q++)
    if (*sources[q]) PetscCall(HcSourceDestroy(sources[q]));
  if (mfg->exit_id) PetscCall(HcFieldDestroy(&mfg->exit_id));
  if (mfg->plan) PetscCall(HcFloorPlanDestroy(&mfg->plan));
  PetscCall(PetscFree2(mfg->u, mfg->m));
  PetscCall(PetscFree4(mfg->mass_level, mfg->exited_level, mfg->gained_level, mfg->exit_share));
  PetscCall(PetscFree(mfg->residual_history));
  if (mfg->grid) PetscCall(HcGridDestroy(&mfg->grid));
  PetscCall(PetscFree(mfg));
  *ctx = NULL;
  PetscFunctionReturn(0);
}

const HcModel HcModelMfg = {
  .name = "mfg",
  .title = "mean field games: Hamilton-Jacobi-Bellman and Fokker-Planck equations",
  .options = options,
  .columns = columns,
  .figure = "residual",
  .fields = "u|m|drift_x|drift_y|drift_z|region",
  .create = mfg_create,
  .plan = mfg_plan,
  .setup = mfg_setup,
  .iterate = mfg_iterate,
  .diagnose = mfg_diagnose,
  .write = mfg_write,
  .save = mfg_save,
  .load = mfg_load,
  .results = mfg_results,
  .destroy = mfg_destroy,
};
