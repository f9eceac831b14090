/*
 * Files of a run: field files with their XDMF index, checkpoints, and reading of external data.
 *
 * Every file is written collectively to a temporary name in the same folder, synced, and renamed only after all ranks
 * agreed that every step succeeded. Failures are HC_EXIT_IO errors that name the file and the system's reason; earlier
 * files are never touched. Nothing here hangs when only some ranks fail.
 */
#pragma once
#include "grid.h"

/* ---- fields_NNNNNN.h5 ------------------------------------------------------------------------------------------- */
typedef struct HcOutput_ *HcOutput;

/** Start a file dir/fields_<index>.h5 for time t. */
PetscErrorCode HcOutputOpen(const char *dir, HcGrid grid, PetscInt index, PetscInt step, double time, HcOutput *out);
/** Is this field asked for (output_fields empty or naming it)? */
PetscBool HcOutputWants(HcOutput out, const char *name);
/** Restrict to these names (borrowed until close); NULL = all. A name that the model neither writes nor asks for with
 * HcOutputWants() is the user's mistake: HcOutputClose() then fails with HC_EXIT_INPUT and writes nothing. */
PetscErrorCode HcOutputSelect(HcOutput out, PetscInt n, const char *const names[]);
/** Write component c, unless the selection leaves it out, as /fields/<name> [z][y][x] (dims of the grid only) with attributes
 * units, description. */
PetscErrorCode HcOutputField(HcOutput out, const char *name, HcField f, int c, const char *units, const char *description);
/** Sync, agree, rename, and rewrite dir/fields.xmf to list every fields file of the run up to this one. On failure the temporary
 * file is removed. Destroys *out in every case. */
PetscErrorCode HcOutputClose(HcOutput *out);

/* ---- checkpoint_NNNNNN.h5 --------------------------------------------------------------------------------------- */
typedef struct HcCheckpoint_ *HcCheckpoint;

/** Start writing dir/checkpoint_<step>.h5; `model` and the grid's shape are stored and checked at reading. */
PetscErrorCode HcCheckpointCreate(const char *dir, const char *model, MPI_Comm comm, PetscInt step, HcCheckpoint *ck);
/** Open one for reading and verify every checksum before anything is used. HC_EXIT_IO error naming the file and the data
 * set when it is damaged, truncated or of another model or format version. */
PetscErrorCode HcCheckpointOpen(const char *file, const char *model, MPI_Comm comm, HcCheckpoint *ck);
/** The newest checkpoint in dir with step <= below (pass PETSC_MAX_INT for the newest of all); "" if there is none. */
PetscErrorCode HcCheckpointFind(const char *dir, MPI_Comm comm, PetscInt below, char file[PETSC_MAX_PATH_LEN], PetscInt *step);
/** Close: when writing, sync, agree, rename, then delete all but the newest `keep` up to this step (0 = all are kept). Later
 * ones, of a continuation that the run has left behind, are renamed to *.h5.old. */
PetscErrorCode HcCheckpointClose(HcCheckpoint *ck, PetscInt keep);

/** Small values, the same on all ranks. Reading a missing name or wrong count is an error. */
PetscErrorCode HcCheckpointPutReals(HcCheckpoint ck, const char *name, PetscInt n, const double v[]);
/** Read what HcCheckpointPutReals stored; HC_EXIT_IO if the name or the length does not fit. */
PetscErrorCode HcCheckpointGetReals(HcCheckpoint ck, const char *name, PetscInt n, double v[]);
/** Stored length of a small-value entry, 0 if absent. */
PetscErrorCode HcCheckpointLength(HcCheckpoint ck, const char *name, PetscInt *n);
/** Owned cells of one component; readable on any number of ranks, refused if the grid's cells differ. */
PetscErrorCode HcCheckpointPutField(HcCheckpoint ck, const char *name, HcField f, int c);
/** Read what HcCheckpointPutField stored, on any number of ranks. Collective. */
PetscErrorCode HcCheckpointGetField(HcCheckpoint ck, const char *name, HcField f, int c);
/** levels x owned cells, contiguous [level][n2][n1][n0] (a space-time array); one data set, written level by level. */
PetscErrorCode HcCheckpointPutLevels(HcCheckpoint ck, const char *name, HcGrid grid, PetscInt levels, const double *v);
/** Read what HcCheckpointPutLevels stored, on any number of ranks. Collective. */
PetscErrorCode HcCheckpointGetLevels(HcCheckpoint ck, const char *name, HcGrid grid, PetscInt levels, double *v);

/** Values spread over the ranks in any way: n of this rank, behind those of the ranks before it. Read back in even slices, on any
 * number of ranks: HcCheckpointRows() tells this rank's share. */
PetscErrorCode HcCheckpointPutRows(HcCheckpoint ck, const char *name, PetscInt n, const double v[]);
/** Number of rows of this rank's share of what HcCheckpointPutRows stored. Collective. */
PetscErrorCode HcCheckpointRows(HcCheckpoint ck, const char *name, PetscInt *n);
/** Read this rank's share of the rows, in stored order. Collective. */
PetscErrorCode HcCheckpointGetRows(HcCheckpoint ck, const char *name, PetscInt n, double v[]);

/* ---- a field of space given by the user: formula, file.h5:/path or file.png -------------------------------------- */
typedef struct HcSource_ *HcSource;

/** Make a source from a HC_OPT_FIELD or HC_OPT_EXPRESSION option. NULL if the option is unset. Formulas may use the
 * variables named in the option's table row, always in the order x,y,z,t,m,px,py,pz,... of `names`.
 * HDF5: a data set of rank dim, any shape, taken as cell centres over the grid's box, interpolated (multi)linearly, read
 * slab-wise by each rank, never whole. PNG: luminance 0 (black) .. 1 (white), stretched over the box, y upwards.
 * Errors (HC_EXIT_INPUT) name key, file and path, or the column in the formula.
 * @param nnames, names the variables beyond x,y,z,t in the order in which HcSourceEval gets them (e.g. "m") */
PetscErrorCode HcSourceCreate(HcOptions opts, const char *key, HcGrid grid, int nnames, const char *const names[], HcSource *src);
/** Free everything and set the handle to NULL; NULL is allowed. */
PetscErrorCode HcSourceDestroy(HcSource *src);
/** Does the value depend on t? on extra variable k? */
PetscBool HcSourceUsesTime(HcSource src);
PetscBool HcSourceUses(HcSource src, int k);
/** Evaluate on the local row (j,k), cells i0 .. i0+n-1 (ghost indices allowed for formulas), at time t.
 * @param extra extra[q] points at the n values of variable q of `names` (NULL entries allowed if unused)
 * Not collective; thread of pure computation. */
PetscErrorCode HcSourceEvalRow(
  HcSource src, PetscInt i0, PetscInt n, PetscInt j, PetscInt k, double t, const double *const extra[], double *out);
/** Evaluate into owned cells of a component, no extra variables. */
PetscErrorCode HcSourceEvalField(HcSource src, double t, HcField f, int c);

/* ---- floor plans ------------------------------------------------------------------------------------------------ */

/** Regions of the plan at cell centres and the openness of cell faces. */
typedef struct HcFloorPlan_ {
  HcField region; /* component 0, width 1: HC_WALL, HC_FREE or HC_DOOR; filled in ghosts too (beyond the domain: by the face's
                     boundary) */
  HcField open;   /* components 0..dim-1, width 1: 1 if an agent can pass the lower face (in direction d) of the cell,
                     0 if a wall is on either side or crosses the line between the two centres, 2 if exactly one side is an exit;
                     valid for faces between owned cells and between an owned and a ghost cell */
  PetscInt walls, exits; /* numbers of cells, whole grid */
} * HcFloorPlan;
enum { HC_WALL = 0, HC_FREE = 1, HC_DOOR = 2 };

/** Read a floor plan (PNG, key plan_key; stretched over the x-y box, extruded in z; black = wall, white = free, green = exit)
 * and/or an obstacle that is positive inside walls (key obstacle_key: a formula in x,y,z or file.h5:/path). Both unset: all
 * cells free. A key may be NULL.
 *
 * Pixels, laid over white where transparent: exit where green exceeds red and blue by more than a quarter of the full
 * range; else grey, wall below half luminance and free above it, if the channels differ by at most a quarter; any other
 * colour is an error naming pixel and colour. Cells: wall if at least half of the pixels in them are, or the one at their centre
 * is; else exit if at least half of the rest is; else free. In a grid finer than the picture the pixel at the centre decides.
 *
 * Walls thinner than a cell close the faces they cross: from a picture any wall of pixels that touch at least at corners
 * holds on any grid; of a formula 15 places between two centres are asked; of an HDF5 data set the centres only.
 *
 * Faces between two exit cells are 0: agents are never inside exits. Domain faces at free cells: `exit` faces are open 2,
 * other non-periodic ones 0 except `given` (1). */
PetscErrorCode HcFloorPlanCreate(HcOptions opts, const char *plan_key, const char *obstacle_key, HcGrid grid, HcFloorPlan *plan);
/** Free everything and set the handle to NULL; NULL is allowed. */
PetscErrorCode HcFloorPlanDestroy(HcFloorPlan *plan);
/** Size in pixels of a PNG plan, before a grid exists (the default for grid_cells). */
PetscErrorCode HcFloorPlanPixels(MPI_Comm comm, HcOptions opts, const char *plan_key, PetscInt size[2]);
/** Fail with HC_EXIT_INPUT, naming a place, if some free cell cannot reach any exit (only where there are exits). Collective; its
 * cost is a flood fill. */
PetscErrorCode HcFloorPlanCheckReachable(HcFloorPlan plan, HcOptions opts, const char *plan_key);
