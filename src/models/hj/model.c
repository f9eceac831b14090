/* Model `hj`: options, life of a run. */
#include "hj.h"
#include <math.h>
#include <string.h>

/* Steps from 0 to time_end at the least. */
#define STEPS_LEAST 50

static const HcOption options[] = {
  {"time_end", HC_OPT_REAL, NULL, "time", "(0,inf)", "Final time."},
  {"time_scheme", HC_OPT_WORD, "ssprk3", "", "ssprk3|ssprk54|imex",
    "Runge-Kutta method: order 3 (Shu & Osher), order 4 in five stages (Spiteri & Ruuth), or order 3 with implicit diffusion "
    "(Kennedy & Carpenter)."},
  {"time_cfl", HC_OPT_REAL, "", "", "(0,2]",
    "Time step times the sum over directions of speed / h; unset: 0.6, for ssprk54 0.9, for imex 0.5."},
  {"time_steps", HC_OPT_INT, "", "", "[1,inf)", "Number of equal time steps, instead of time_cfl."},
  {"hj_hamiltonian", HC_OPT_TEXT, "burgers", "", "",
    "H: burgers, cosine, riemann2d, eikonal, quadratic, control, or a formula in x,y,z,t,px,py,pz."},
  {"hj_speed", HC_OPT_EXPRESSION, "1", "", "x,y,z,t", "Speed F of the front, H = F |p|, for hj_hamiltonian eikonal."},
  {"hj_initial", HC_OPT_FIELD, NULL, "", "x,y,z,t", "phi at time 0."},
  {"hj_exact", HC_OPT_TEXT, "", "", "",
    "Exact solution for error_l1 (an integral over the domain) and error_linf: a formula in x,y,z,t, hopf_lax (convex H, also "
    "after kinks), characteristics (any H of the derivatives, before kinks) or none."},
  {"hj_boundary", HC_OPT_EXPRESSION, "", "", "x,y,z,t", "phi behind `given` faces; unset: hj_exact, where that is a formula."},
  {"hj_scheme", HC_OPT_WORD, "weno5", "", "weno5|upwind1", "One-sided derivatives: order 5 or 1."},
  {"hj_weights", HC_OPT_WORD, "js", "", "js|z|m", "Weights of weno5: Jiang & Shu, Borges et al., Henrick et al."},
  {"hj_flux", HC_OPT_WORD, "local_lax_friedrichs", "", "local_lax_friedrichs|global_lax_friedrichs|godunov",
    "Numerical Hamiltonian; godunov where H is a sum of convex functions of single derivatives or increasing in each |p|."},
  {"hj_viscosity", HC_OPT_REAL, "0", "length^2/time", "[0,inf)", "nu."},
  {"hj_diffusion_order", HC_OPT_INT, "", "", "[2,6]",
    "Order of the central Laplacian, 2, 4 or 6; unset: 6 with weno5, 2 with upwind1."},
  {.key = NULL},
};

static const HcColumn columns[] = {{"min", ""}, {"max", ""}, {"speed", "1/time"}, {NULL, NULL}};

/* ---- create: options ---- */

static PetscErrorCode read_hamiltonian(Hj hj, HcOptions opts) {
  HjRange range = {.end = hj->end};
  const char *text, *speed = "";
  char error[256];
  PetscInt flux;
  PetscFunctionBeginUser;
  for (int d = 0; d < 3; ++d) range.lower[d] = hj->grid->lower[d], range.upper[d] = hj->grid->upper[d];
  PetscCall(HcOptionsGetText(opts, "hj_hamiltonian", &text));
  if (!strcmp(text, "eikonal")) PetscCall(HcOptionsGetText(opts, "hj_speed", &speed));
  if (HjHamiltonianCreate(text, speed, (int)hj->grid->dim, &range, &hj->H, error)) {
    const char *key =
      speed[0] && hj->H.kind && !hj->H.speed && HjKindFind(text)->formula[hj->grid->dim - 1] ? "hj_speed" : "hj_hamiltonian";
    PetscCall(HcOptionsFail(opts, key, "%s", error));
  }
  PetscCall(HcOptionsGetWord(opts, "hj_flux", &flux));
  hj->flux = (HjFlux)flux;
  if (hj->flux == HJ_GODUNOV && hj->H.godunov == HJ_GODUNOV_NONE)
    PetscCall(HcOptionsFail(opts, "hj_flux",
      "Godunov's flux does not exist for hj_hamiltonian = '%s': %s; use local_lax_friedrichs", text, hj->H.why_not));
  PetscFunctionReturn(0);
}

static PetscErrorCode read_scheme(Hj hj, HcOptions opts) {
  PetscInt word, order;
  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetWord(opts, "hj_scheme", &word));
  hj->upwind = word == 1 ? PETSC_TRUE : PETSC_FALSE;
  if (!hj->upwind) {
    PetscCall(HcOptionsGetWord(opts, "hj_weights", &word));
    hj->weights = (HcWenoWeights)word;
  }
  hj->width = hj->upwind ? 1 : 3;
  PetscCall(HcOptionsGetReal(opts, "hj_viscosity", &hj->viscosity));
  if (hj->viscosity > 0) {
    order = hj->upwind ? 2 : 6;
    PetscCall(HcOptionsSetDerived(opts, "hj_diffusion_order", hj->upwind ? "2" : "6"));
    PetscCall(HcOptionsGetInt(opts, "hj_diffusion_order", &order));
    if (order % 2) PetscCall(HcOptionsFail(opts, "hj_diffusion_order", "must be 2, 4 or 6"));
    hj->diffusion_order = order;
    hj->width = PetscMax(hj->width, order / 2);
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode read_time(Hj hj, HcOptions opts) {
  static const char *const default_cfl[] = {"0.6", "0.9", "0.5"};
  PetscInt word;
  PetscFunctionBeginUser;
  PetscCall(HcOptionsGetReal(opts, "time_end", &hj->end));
  PetscCall(HcOptionsGetWord(opts, "time_scheme", &word));
  hj->method = (HcMethod)word;
  hj->implicit = hj->method == HC_IMEX3 ? PETSC_TRUE : PETSC_FALSE;
  if (HcOptionsIsSet(opts, "time_steps")) {
    if (HcOptionsIsSet(opts, "time_cfl")) PetscCall(HcOptionsFail(opts, "time_cfl", "give either time_cfl or time_steps"));
    PetscCall(HcOptionsGetInt(opts, "time_steps", &hj->steps));
  } else {
    PetscCall(HcOptionsSetDerived(opts, "time_cfl", default_cfl[word]));
    PetscCall(HcOptionsGetReal(opts, "time_cfl", &hj->cfl));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode read_boundary(Hj hj, HcOptions opts) {
  const char *key = "hj_boundary", *text;
  char error[256];
  PetscBool given = PETSC_FALSE;
  PetscFunctionBeginUser;
  for (int f = 0; f < 2 * hj->grid->dim; ++f)
    if (hj->grid->boundary[f] == HC_GIVEN) given = PETSC_TRUE;
  if (!given) PetscFunctionReturn(0);
  PetscCall(HcOptionsGetText(opts, key, &text));
  if (!text[0]) {
    if (hj->exact.kind != HJ_EXACT_FORMULA)
      PetscCall(HcOptionsFail(opts, key, "needed for `given` faces (a formula in x,y,z,t)"));
    key = "hj_exact";
    PetscCall(HcOptionsGetText(opts, key, &text));
  }
  if (HcExprParse(text, 4, HjVariables, &hj->boundary, error)) PetscCall(HcOptionsFail(opts, key, "%s", error));
  PetscFunctionReturn(0);
}

static PetscErrorCode hj_destroy(void **ctx) {
  Hj hj = *ctx;
  PetscFunctionBeginUser;
  if (!hj) PetscFunctionReturn(0);
  PetscCall(HcStepperDestroy(&hj->stepper));
  PetscCall(HcDiffusionDestroy(&hj->diffusion));
  PetscCall(HcFieldDestroy(&hj->phi));
  PetscCall(HcFieldDestroy(&hj->flux_parts));
  PetscCall(HcSourceDestroy(&hj->initial));
  HcExprDestroy(&hj->boundary);
  HjExactDestroy(&hj->exact);
  HjHamiltonianDestroy(&hj->H);
  PetscCall(PetscFree(hj->x));
  PetscCall(HcGridDestroy(&hj->grid));
  PetscCall(PetscFree(hj));
  *ctx = NULL;
  PetscFunctionReturn(0);
}

static PetscErrorCode hj_create(HcRun run, void **ctx) {
  const unsigned allowed = 1u << HC_PERIODIC | 1u << HC_REFLECTING | 1u << HC_OUTFLOW | 1u << HC_GIVEN | 1u << HC_SYMMETRY;
  HcOptions opts = HcRunOptions(run);
  HcGridSpec spec;
  Hj hj;
  PetscFunctionBeginUser;
  PetscCall(PetscNew(&hj));
  *ctx = hj;
  hj->run = run;
  PetscCall(read_time(hj, opts));
  PetscCall(read_scheme(hj, opts));
  PetscCall(HcGridSpecFromOptions(opts, allowed, &spec));
  spec.min_block = hj->width;
  for (int f = 0; f < 6 && !hj->upwind; ++f)
    if (spec.boundary[f] == HC_OUTFLOW) spec.min_block = 4; /* cells that the extrapolation looks at */
  PetscCall(HcGridCreate(HcRunComm(run), &spec, &hj->grid));
  PetscCall(read_hamiltonian(hj, opts));
  PetscCall(HcSourceCreate(opts, "hj_initial", hj->grid, 0, NULL, &hj->initial));
  PetscCall(HjExactCreate(hj));
  PetscCall(read_boundary(hj, opts));
  if (hj->implicit) {
    HcFill rule[6];
    if (hj->viscosity == 0) PetscCall(HcOptionsFail(opts, "time_scheme", "imex is for hj_viscosity > 0"));
    HjBoundaryRules(hj, rule);
    PetscCall(HcDiffusionCreate(hj->grid, hj->diffusion_order, hj->width, rule, HjFillGhostsLinear, hj, &hj->diffusion));
  }
  PetscFunctionReturn(0);
}

/* ---- plan and setup ---- */

static PetscErrorCode hj_plan(void *ctx, HcPlan *plan) {
  Hj hj = ctx;
  HcGrid g = hj->grid;
  const double file = 8 * HcGridTotalCells(g);
  double bytes = HcFieldBytes(g, 1, hj->width) + HcStepperBytes(hj->method, g, 1, hj->width);
  PetscFunctionBeginUser;
  if (hj->flux == HJ_GLOBAL_LAX_FRIEDRICHS) bytes += HcFieldBytes(g, 1 + (int)g->dim, 0);
  if (hj->implicit) {
    /* dt is at most this, and the diagonal coefficient of the implicit stages below 1/2 */
    const double dt = hj->end / (hj->steps ? (double)hj->steps : STEPS_LEAST);
    bytes += HcDiffusionBytes(g, hj->diffusion_order, hj->width, 0.5 * dt * hj->viscosity);
  }
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_DOUBLE, MPI_MAX, g->comm));
  plan->dim = g->dim;
  for (int d = 0; d < 3; ++d) plan->cells[d] = g->cells[d];
  plan->grid = g;
  plan->bytes_per_rank = bytes;
  plan->bytes_per_output = plan->bytes_per_checkpoint = file;
  plan->cell_updates = hj->steps * HcGridTotalCells(g);
  PetscFunctionReturn(0);
}

static PetscErrorCode allocate(Hj hj) {
  HcGrid g = hj->grid;
  PetscFunctionBeginUser;
  PetscCall(HcFieldCreate(g, 1, hj->width, &hj->phi));
  PetscCall(HcStepperCreate(hj->method, hj->phi, &hj->stepper));
  if (hj->flux == HJ_GLOBAL_LAX_FRIEDRICHS) PetscCall(HcFieldCreate(g, 1 + (int)g->dim, 0, &hj->flux_parts));
  PetscCall(PetscMalloc1(g->n[0], &hj->x));
  for (PetscInt i = 0; i < g->n[0]; ++i) hj->x[i] = HcGridCentre(g, 0, i);
  PetscFunctionReturn(0);
}

/* Hopf-Lax needs the range of phi0, also after a restart: from the stepper's work field, which holds nothing yet. */
static PetscErrorCode measure_initial(Hj hj) {
  double lo, hi;
  HcField work = HcStepperWork(hj->stepper);
  PetscFunctionBeginUser;
  if (hj->exact.kind != HJ_EXACT_HOPF_LAX) PetscFunctionReturn(0);
  PetscCall(HcSourceEvalField(hj->initial, 0, work, 0));
  PetscCall(HcFieldNorm(work, 0, HC_NORM_MIN, &lo));
  PetscCall(HcFieldNorm(work, 0, HC_NORM_MAX, &hi));
  /* the extremes may lie between cell centres; in smooth data by far less than this */
  hj->exact.spread = 1.5 * (hi - lo);
  PetscFunctionReturn(0);
}

static PetscErrorCode hj_setup(void *ctx, HcClock *clock) {
  Hj hj = ctx;
  double most;
  PetscFunctionBeginUser;
  clock->end = hj->end;
  PetscCall(allocate(hj));
  PetscCall(measure_initial(hj));
  PetscCall(HcSourceEvalField(hj->initial, 0, hj->phi, 0));
  PetscCall(HcFieldNorm(hj->phi, 0, HC_NORM_LINF, &most));
  if (!(most < PETSC_INFINITY))
    PetscCall(HcOptionsFail(HcRunOptions(hj->run), "hj_initial", "is not a finite number in every cell"));
  if (hj->exact.kind == HJ_EXACT_FORMULA) {
    double worst;
    HcField error = HcStepperWork(hj->stepper);
    PetscCall(HjExactError(hj, 0, hj->phi, error));
    PetscCall(HcFieldNorm(error, 0, HC_NORM_LINF, &worst));
    if (!(worst <= 1e-10 * (1 + most)))
      PetscCall(HcRunWarn(hj->run, "hj_exact differs from hj_initial by %.3g at time 0", worst));
  }
  PetscCall(HjStage(hj, 0, hj->phi, 0, NULL, 0, 1, HcStepperWork(hj->stepper)));
  PetscCall(HjMaxSpeed(hj, &hj->speed));
  PetscFunctionReturn(0);
}

static PetscErrorCode hj_save(void *ctx, HcCheckpoint ck) {
  Hj hj = ctx;
  PetscFunctionBeginUser;
  PetscCall(HcCheckpointPutField(ck, "phi", hj->phi, 0));
  PetscFunctionReturn(0);
}

static PetscErrorCode hj_load(void *ctx, HcCheckpoint ck) {
  Hj hj = ctx;
  PetscFunctionBeginUser;
  PetscCall(allocate(hj));
  PetscCall(measure_initial(hj));
  PetscCall(HcCheckpointGetField(ck, "phi", hj->phi, 0));
  PetscFunctionReturn(0);
}

/* ---- one step ---- */

/* dt (sum_d alpha_d/h_d) + dt nu sum_d lambda/h_d^2 / 2 <= cfl, which for first order and the second-order Laplacian is the
 * monotone limit; the diffusion term is weighed less where the method's interval of stability is longer than that of SSP-RK3. */
static double stable_rate(Hj hj, double speed) {
  double rate = speed;
  if (hj->viscosity > 0 && !hj->implicit) {
    const double weight = hj->upwind ? 0.5 : 0.5 * 2.51 / HcMethodRealInterval(hj->method);
    for (int d = 0; d < hj->grid->dim; ++d)
      rate += weight * hj->viscosity * HcSecondDifferenceBound(hj->diffusion_order) / (hj->grid->h[d] * hj->grid->h[d]);
  }
  return rate;
}

/* The last step before t_limit lands on it, and is not a tiny one. */
static double land(double t, double dt, double t_limit) {
  const double left = t_limit - t;
  return dt >= left * (1 - 1e-12) ? left : 2 * dt > left ? 0.5 * left : dt;
}

static PetscErrorCode first_speed(Hj hj, double t) {
  PetscFunctionBeginUser;
  PetscCall(HjMaxSpeed(hj, &hj->speed));
  if (!(hj->speed < PETSC_INFINITY)) PetscCall(HcFail(HC_EXIT_FAILED, "hj: the speeds dH/dp are not bounded at t = %g", t));
  PetscFunctionReturn(0);
}

static PetscErrorCode choose_step(void *ctx, double t, double *dt) {
  Hj hj = ctx;
  PetscFunctionBeginUser;
  PetscCall(first_speed(hj, t));
  /* Where nothing moves, sources still have to be followed in time. */
  *dt = land(t, PetscMin(hj->cfl / stable_rate(hj, hj->speed), hj->end / STEPS_LEAST), hj->t_limit);
  PetscFunctionReturn(0);
}

/* Speeds may grow within a step, most of all in the first one from phi0 = 0. The predicted state must satisfy the
 * condition of forward Euler, else the step is made again. */
static PetscErrorCode check_step(void *ctx, double *dt) {
  Hj hj = ctx;
  const double allowed = PetscMax(1.5 * hj->cfl, 1.0);
  double speed, rate;
  PetscFunctionBeginUser;
  PetscCall(HjMaxSpeed(hj, &speed));
  rate = stable_rate(hj, speed);
  if (*dt * rate > allowed) *dt = PetscMax(PetscMin(0.5 * *dt, hj->cfl / rate), 0.01 * *dt);
  PetscFunctionReturn(0);
}

/* With a fixed number of steps: the next of the equal times, or t_limit. */
static PetscErrorCode fixed_step(void *ctx, double t, double *dt) {
  Hj hj = ctx;
  const double per_time = (double)hj->steps / hj->end, k = floor(t * per_time + 1e-9) + 1;
  const double next = k >= (double)hj->steps ? hj->end : k / per_time;
  PetscFunctionBeginUser;
  PetscCall(first_speed(hj, t));
  *dt = PetscMin(next, hj->t_limit) - t;
  const double courant = *dt * stable_rate(hj, hj->speed);
  if (courant > 1.5 * HcMethodSspCoefficient(hj->method) && !hj->warned) {
    hj->warned = PETSC_TRUE;
    PetscCall(HcRunWarn(hj->run, "time_steps: the CFL number is %.3g at t = %g; the scheme is stable up to about 1", courant, t));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode implicit_part(void *ctx, double t, HcField u, HcField out) {
  Hj hj = ctx;
  PetscFunctionBeginUser;
  PetscCall(HcDiffusionApply(hj->diffusion, t, hj->viscosity, u, out));
  PetscFunctionReturn(0);
}

static PetscErrorCode implicit_solve(void *ctx, double t, double c, HcField rhs, HcField u) {
  Hj hj = ctx;
  PetscFunctionBeginUser;
  PetscCall(HcDiffusionSolve(hj->diffusion, t, c * hj->viscosity, rhs, u, NULL));
  PetscFunctionReturn(0);
}

static PetscErrorCode hj_advance(void *ctx, HcClock *clock, double t_limit) {
  Hj hj = ctx;
  const HcSystem system = {.ctx = hj,
    .stage = HjStage,
    .choose = hj->steps ? fixed_step : choose_step,
    .check = hj->steps ? NULL : check_step,
    .implicit = implicit_part,
    .solve = implicit_solve};
  double dt = 0;
  PetscFunctionBeginUser;
  hj->t_limit = t_limit;
  PetscCall(HcStepperStep(hj->stepper, &system, clock->time, hj->phi, &dt));
  clock->time = fabs(clock->time + dt - t_limit) <= 1e-9 * dt ? t_limit : clock->time + dt;
  clock->dt = dt;
  ++clock->step;
  PetscFunctionReturn(0);
}

/* ---- diagnostics ---- */

static PetscErrorCode hj_diagnose(void *ctx, const HcClock *clock, double row[]) {
  Hj hj = ctx;
  (void)clock;
  PetscFunctionBeginUser;
  PetscCall(HcFieldNorm(hj->phi, 0, HC_NORM_MIN, &row[0]));
  PetscCall(HcFieldNorm(hj->phi, 0, HC_NORM_MAX, &row[1]));
  row[2] = hj->speed;
  PetscFunctionReturn(0);
}

static PetscErrorCode hj_write(void *ctx, double t, HcOutput out) {
  Hj hj = ctx;
  (void)t;
  PetscFunctionBeginUser;
  PetscCall(HcOutputField(out, "phi", hj->phi, 0, "", "solution of the Hamilton-Jacobi equation"));
  PetscFunctionReturn(0);
}

static PetscErrorCode hj_results(void *ctx, const HcClock *clock) {
  Hj hj = ctx;
  double lo, hi, l1, linf;
  PetscFunctionBeginUser;
  PetscCall(HcFieldNorm(hj->phi, 0, HC_NORM_MIN, &lo));
  PetscCall(HcFieldNorm(hj->phi, 0, HC_NORM_MAX, &hi));
  PetscCall(HcRunResultReal(hj->run, "min", lo));
  PetscCall(HcRunResultReal(hj->run, "max", hi));
  if (hj->exact.kind == HJ_EXACT_NONE) PetscFunctionReturn(0);
  HcField error = HcStepperWork(hj->stepper);
  PetscCall(HjExactError(hj, clock->time, hj->phi, error));
  PetscCall(HcFieldNorm(error, 0, HC_NORM_L1, &l1));
  PetscCall(HcFieldNorm(error, 0, HC_NORM_LINF, &linf));
  PetscCall(HcRunResultReal(hj->run, "error_l1", l1 * hj->grid->volume));
  PetscCall(HcRunResultReal(hj->run, "error_linf", linf));
  if (isnan(linf))
    PetscCall(HcRunWarn(hj->run, "hj_exact: characteristics have met before t = %g; the error is not known", clock->time));
  PetscFunctionReturn(0);
}

const HcModel HcModelHj = {
  .name = "hj",
  .title = "Hamilton-Jacobi equations",
  .options = options,
  .problems = HjProblems,
  .fields = "phi",
  .columns = columns,
  .figure = "max",
  .create = hj_create,
  .plan = hj_plan,
  .setup = hj_setup,
  .advance = hj_advance,
  .diagnose = hj_diagnose,
  .write = hj_write,
  .save = hj_save,
  .load = hj_load,
  .results = hj_results,
  .destroy = hj_destroy,
};
