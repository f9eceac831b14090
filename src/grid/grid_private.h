/* What the files of src/grid/ share and nobody else sees. */
#pragma once
#include <halocline/grid.h>

/** Doubles of one component from the first row's lead to the last row's padding, and where cell (0,0,0) lies in it. */
typedef struct {
  PetscInt stride[3];
  size_t origin;    /* of component 0 in the allocation */
  size_t component; /* from one component to the next */
  size_t total;     /* doubles in the allocation */
} HcLayout;

/** Storage of a field; no allocation. */
void hc_layout(HcGrid grid, int components, PetscInt width, HcLayout *layout);

/** Message buffers of a field. */
double hc_exchange_bytes(HcGrid grid, int components, PetscInt width);
PetscErrorCode hc_exchange_create(HcField f);
PetscErrorCode hc_exchange_destroy(HcField f);

/** 64-byte aligned memory for n doubles, not yet touched; release with free(). */
PetscErrorCode hc_allocate(size_t n, const char *what, double **memory);
