/* A model of one's own, built outside of the source tree: the heat equation T_t = D Lap T by explicit Euler.
 *
 *   cc heat.c -o heat $(pkg-config --cflags --libs halocline PETSc mpi hdf5-openmpi yaml-0.1 libpng jansson) -lm
 *   mpirun -n 2 ./heat heat.yaml
 */
#include <halocline/halocline.h>

typedef struct {
  HcRun run;
  HcGrid grid;
  HcField T; /* components: now, next */
  HcSource initial;
  double diffusivity, end, heat;
} Heat;

static const HcOption options[] = {
  {"time_end", HC_OPT_REAL, "0.1", "s", "(0,inf)", "final time"},
  {"heat_diffusivity", HC_OPT_REAL, "1", "m^2/s", "(0,inf)", "D"},
  {"heat_initial", HC_OPT_EXPRESSION, "sin(2*pi*x)", "K", "x,y,z", "temperature at the start"},
  {NULL, HC_OPT_TEXT, NULL, NULL, NULL, NULL},
};
static const HcColumn columns[] = {{"heat", "K m^d"}, {NULL, NULL}};

static PetscErrorCode create(HcRun run, void **ctx) {
  HcOptions o = HcRunOptions(run);
  HcGridSpec spec;
  Heat *h;

  PetscFunctionBeginUser;
  PetscCall(PetscNew(&h));
  *ctx = h;
  h->run = run;
  PetscCall(HcGridSpecFromOptions(o, 1u << HC_PERIODIC | 1u << HC_REFLECTING, &spec));
  PetscCall(HcGridCreate(HcRunComm(run), &spec, &h->grid));
  PetscCall(HcOptionsGetReal(o, "time_end", &h->end));
  PetscCall(HcOptionsGetReal(o, "heat_diffusivity", &h->diffusivity));
  PetscCall(HcSourceCreate(o, "heat_initial", h->grid, 0, NULL, &h->initial));
  PetscFunctionReturn(0);
}

static PetscErrorCode plan(void *ctx, HcPlan *p) {
  Heat *h = ctx;

  PetscFunctionBeginUser;
  p->dim = h->grid->dim;
  for (int d = 0; d < 3; d++) p->cells[d] = h->grid->cells[d];
  p->grid = h->grid;
  p->bytes_per_rank = HcFieldBytes(h->grid, 2, 1);
  p->bytes_per_output = p->bytes_per_checkpoint = 8 * HcGridTotalCells(h->grid);
  PetscFunctionReturn(0);
}

static PetscErrorCode setup(void *ctx, HcClock *clock) {
  Heat *h = ctx;

  PetscFunctionBeginUser;
  PetscCall(HcFieldCreate(h->grid, 2, 1, &h->T));
  PetscCall(HcSourceEvalField(h->initial, 0, h->T, 0));
  clock->end = h->end;
  PetscFunctionReturn(0);
}

static PetscErrorCode advance(void *ctx, HcClock *clock, double t_limit) {
  Heat *h = ctx;
  HcGrid g = h->grid;
  HcField T = h->T;
  HcFill rule[6];
  double rate = 0;

  PetscFunctionBeginUser;
  for (int f = 0; f < 6; f++) rule[f] = g->boundary[f] == HC_PERIODIC || f >= 2 * g->dim ? HC_FILL_NONE : HC_FILL_EVEN;
  PetscCall(HcFieldExchangeBegin(T, 0, 1, 1, HC_STAR));
  PetscCall(HcFieldExchangeEnd(T));
  PetscCall(HcFieldFillBoundary(T, 0, 1, rule, NULL));
  for (int d = 0; d < g->dim; d++) rate += 2 * h->diffusivity / (g->h[d] * g->h[d]);
  clock->dt = 0.5 / rate;
  PetscBool last = clock->time + clock->dt >= t_limit ? PETSC_TRUE : PETSC_FALSE;
  if (last) clock->dt = t_limit - clock->time;
  for (PetscInt k = 0; k < g->n[2]; k++)
    for (PetscInt j = 0; j < g->n[1]; j++) {
      PetscInt at = j * T->stride[1] + k * T->stride[2];
      const double *now = T->c[0] + at;
      double *next = T->c[1] + at;
      for (PetscInt i = 0; i < g->n[0]; i++) next[i] = now[i];
      for (int d = 0; d < g->dim; d++) {
        double c = clock->dt * h->diffusivity / (g->h[d] * g->h[d]);
        PetscInt s = T->stride[d];
        for (PetscInt i = 0; i < g->n[0]; i++) next[i] += c * (now[i - s] - 2 * now[i] + now[i + s]);
      }
    }
  double *swap = T->c[0];
  T->c[0] = T->c[1];
  T->c[1] = swap;
  clock->time = last ? t_limit : clock->time + clock->dt;
  clock->step++;
  PetscFunctionReturn(0);
}

static PetscErrorCode diagnose(void *ctx, const HcClock *clock, double row[]) {
  Heat *h = ctx;

  PetscFunctionBeginUser;
  (void)clock;
  PetscCall(HcFieldNorm(h->T, 0, HC_NORM_SUM, &h->heat));
  row[0] = h->heat *= h->grid->volume;
  PetscFunctionReturn(0);
}

static PetscErrorCode write_fields(void *ctx, double t, HcOutput out) {
  Heat *h = ctx;

  PetscFunctionBeginUser;
  (void)t;
  if (HcOutputWants(out, "T")) PetscCall(HcOutputField(out, "T", h->T, 0, "K", "temperature"));
  PetscFunctionReturn(0);
}

static PetscErrorCode save(void *ctx, HcCheckpoint ck) { return HcCheckpointPutField(ck, "T", ((Heat *)ctx)->T, 0); }
static PetscErrorCode load(void *ctx, HcCheckpoint ck) { return HcCheckpointGetField(ck, "T", ((Heat *)ctx)->T, 0); }

static PetscErrorCode results(void *ctx, const HcClock *clock) {
  Heat *h = ctx;
  double max;

  PetscFunctionBeginUser;
  (void)clock;
  PetscCall(HcFieldNorm(h->T, 0, HC_NORM_MAX, &max));
  PetscCall(HcRunResultReal(h->run, "max", max));
  PetscCall(HcRunResultReal(h->run, "heat", h->heat));
  PetscFunctionReturn(0);
}

static PetscErrorCode destroy(void **ctx) {
  Heat *h = *ctx;

  PetscFunctionBeginUser;
  if (h->initial) PetscCall(HcSourceDestroy(&h->initial));
  if (h->T) PetscCall(HcFieldDestroy(&h->T));
  if (h->grid) PetscCall(HcGridDestroy(&h->grid));
  PetscCall(PetscFree(h));
  *ctx = NULL;
  PetscFunctionReturn(0);
}

static const HcModel heat = {
  .name = "heat",
  .title = "heat equation",
  .options = options,
  .columns = columns,
  .fields = "T",
  .figure = "heat",
  .create = create,
  .plan = plan,
  .setup = setup,
  .advance = advance,
  .diagnose = diagnose,
  .write = write_fields,
  .save = save,
  .load = load,
  .results = results,
  .destroy = destroy,
};

int main(int argc, char **argv) {
  const HcModel *const models[] = {&heat, NULL};
  return HcMain(argc, argv, models);
}
