/*
 * Rows of nodes along one direction that reach into other blocks, any distance away: fetched from their owners, or added to
 * them. Arrays are seen as [outer][nodes along the direction][inner], doubles or 64-bit integers.
 */
#pragma once
#include <halocline/grid.h>

typedef struct {
  HcGrid grid;
  int d;
  PetscBool ends;  /* beside cells 0 .. N-1 of a non-periodic direction there are nodes -1 and N, owned by the outermost blocks */
  PetscBool whole; /* a span of a whole period or more is replaced by nodes 0 .. N-1 */
  PetscInt reach;  /* nodes on either side of the owned ones; cut off where a non-periodic direction ends */
} HcReach;

/** Nodes first <= i < last; in periodic directions beyond 0 .. N-1 as well, meant modulo N. */
typedef struct {
  PetscInt first, last;
} HcSpan;

/** What this rank's block owns, and what it reaches. */
HcSpan hc_reach_owned(const HcReach *r);
HcSpan hc_reach_span(const HcReach *r);

/** Part of an array: outer indices o0 .. o0+no-1, inner ones i0 .. i0+ni-1 of `inner`. */
typedef struct {
  size_t o0, no, i0, ni, inner;
} HcPart;

/** The parts in which an array [outer][.][inner] is best treated: the same on all ranks of a row of blocks, which agree in outer
 * and inner, and so small that what is fetched stays in the second-level cache. */
typedef PetscErrorCode (*HcPartWork)(void *ctx, const HcPart *part);
PetscErrorCode hc_reach_each_part(const HcReach *r, size_t outer, size_t inner, HcPartWork work, void *ctx);
/** Values in the largest part's spans. */
size_t hc_reach_part_room(const HcReach *r, size_t inner);

/** out[no][span][ni] from owned[.][owned][inner]. The ranks of this row of blocks call it together with equal parts. */
PetscErrorCode hc_reach_fetch(const HcReach *r, const HcPart *part, const double *owned, double *out);

/** v[outer][span][inner] -> v[outer][owned][inner], in place: owned nodes plus the values that all blocks of the row hold for
 * them: integers, or doubles whose sums are exact. */
PetscErrorCode hc_reach_add(const HcReach *r, size_t outer, size_t inner, double *v);
PetscErrorCode hc_reach_add_integers(const HcReach *r, size_t outer, size_t inner, int64_t *v);
