#include "options_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Prefixes of the solvers that models create; `hjb: {ksp_type: gmres}` is hjb_ksp_type. */
static const char *const prefixes[] = {"hjb_", "fp_", "coupling_", "diffusion_", "trajectory_", "modes_", NULL};

/* Options that belong to PETSc as a whole and are read when it starts or ends. */
static const char *const global[] = {"log_view", "log_", "info", "malloc_", "malloc", "options_left", "options_view",
  "options_monitor", "memory_view", "on_error_", "fp_trap", "start_in_debugger", "stop_for_debugger", "use_gpu_aware_mpi",
  "citations", "checkstack", "error_output_", "get_total_flops", "history", "not_shared_tmp", "shared_tmp", "blas_view", "mpi_",
  "viewer_", "draw_", NULL};

static const char *const objects[] = {
  "snes_", "ksp_", "pc_", "mat_", "vec_", "dm_", "da_", "ts_", "tao_", "eps_", "st_", "npc_", "sub_", "mg_", "is_", "sf_", NULL};

/* Solvers inside solvers: created while solving, so nothing has asked for these when the run starts. */
static const char *const inner[] = {"mg_levels_", "mg_coarse_", "mg_fine_", "sub_", "npc_", "fieldsplit_", "redundant_",
  "telescope_", "esteig_", "st_", "mat_mumps_", NULL};

static PetscBool starts_with(const char *key, const char *const list[], const char **rest) {
  for (int i = 0; list[i]; ++i) {
    const size_t n = strlen(list[i]);
    if (list[i][n - 1] == '_' ? !strncmp(key, list[i], n) : !strcmp(key, list[i])) {
      if (rest) *rest = key + n;
      return PETSC_TRUE;
    }
  }
  return PETSC_FALSE;
}

static PetscBool is_global(const char *key) { return starts_with(key, global, NULL); }

PetscBool HcOptionsIsPetsc(const char *key) {
  const char *rest = key;
  if (is_global(key)) return PETSC_TRUE;
  starts_with(key, prefixes, &rest);
  return starts_with(rest, objects, NULL);
}

/* What an option without a value means to PETSc is said in a file by `true`. */
static PetscBool is_flag(const HcGiven *g) {
  if (!g->value) return PETSC_TRUE;
  if (g->origin != HC_FROM_FILE) return PETSC_FALSE;
  return !strcasecmp(g->value, "true") || !strcasecmp(g->value, "yes") || !strcasecmp(g->value, "on") ? PETSC_TRUE : PETSC_FALSE;
}

void HcOptionsPetscArgs(HcOptions opts, int *argc, char ***argv) {
  free(opts->argv);
  opts->argv = calloc(2 * (size_t)opts->ngiven + 5, sizeof(char *));
  opts->argc = 0;
  if (!opts->argv) abort();
  opts->argv[opts->argc++] = opts->program;
  opts->argv[opts->argc++] = (char *)"-skip_petscrc";
  if (!HcOptionsGiven(opts, "options_left")) {
    opts->argv[opts->argc++] = (char *)"-options_left";
    opts->argv[opts->argc++] = (char *)"no"; /* unused ones are refused by HcOptionsCheckPetscUsed */
  }
  for (int i = 0; i < opts->ngiven; ++i) {
    HcGiven *g = &opts->given[i];
    if (!g->petsc) continue;
    opts->argv[opts->argc++] = g->dashed;
    if (!is_flag(g)) opts->argv[opts->argc++] = g->value;
  }
  *argc = opts->argc;
  *argv = opts->argv;
}

PetscErrorCode HcOptionsCheckPetscUsed(HcOptions opts) {
  PetscFunctionBeginUser;
  for (int i = 0; i < opts->ngiven; ++i) {
    const HcGiven *g = &opts->given[i];
    PetscBool used = PETSC_FALSE, excepted = PETSC_FALSE;
    if (!g->petsc || is_global(g->key)) continue;
    PetscCall(PetscOptionsUsed(NULL, g->key, &used));
    for (int k = 0; inner[k] && !used && !excepted; ++k) excepted = strstr(g->key, inner[k]) ? PETSC_TRUE : PETSC_FALSE;
    if (used || excepted) continue;
    PetscCall(HcOptionsFail(opts, g->key, "no PETSc object of this run asks for this option"));
  }
  PetscFunctionReturn(0);
}

/* PETSc's own messages quote a bad value but not the option it came from. */
PetscErrorCode HcOptionsBlamePetsc(HcOptions opts, PetscErrorCode err) {
  char message[1024];
  if (HcErrorKind(err) != HC_EXIT_INPUT || strncmp(HcErrorMessage(), "PETSc ", 6)) return err;
  snprintf(message, sizeof message, "%s", HcErrorMessage());
  for (int i = 0; i < opts->ngiven; ++i) {
    const HcGiven *g = &opts->given[i];
    const char *at = g->petsc && g->value ? strstr(message, g->value) : NULL;
    if (!at) continue;
    const char after = at[strlen(g->value)];
    if (at[-1] != ' ' || (after && after != ' ' && after != '.')) continue;
    HcErrorClear();
    return HcOptionsFail(opts, g->key, "%s", message);
  }
  return err;
}
