/*
 * Hamiltonians H(x, t, p), evaluated over rows of cells: built-in ones and any formula.
 *
 * A row is n cells along x. p, lo, hi and a are arrays of n values for each direction below dim.
 */
#pragma once
#include <halocline/expression.h>
#include <petscsys.h>

/** Longest row: the buffers of a sweep then stay in the first-level cache. */
#define HJ_ROW 256

typedef struct {
  PetscInt n;
  double t, y, z;
  const double *x; /* n values */
} HjRow;

/** Why Godunov's flux is possible. */
typedef enum {
  HJ_GODUNOV_NONE,
  HJ_GODUNOV_CONVEX,     /* H = sum of H_d(x, t, p_d), each convex */
  HJ_GODUNOV_INCREASING, /* H does not decrease with any |p_d|, or, times the sign of `speed`, does not */
} HjGodunov;

typedef struct HjHamiltonian_ HjHamiltonian;

/** One kind of Hamiltonian. */
typedef struct {
  const char *name, *help;
  const char *formula[3]; /* in 1, 2, 3 dimensions; NULL where it does not exist */
  HjGodunov godunov[3];
  PetscBool uses_space; /* do the speeds depend on x? */
  void (*value)(const HjHamiltonian *H, const HjRow *row, const double *const p[3], double *out);
  /** a[d] >= |dH/dp_d| for all p with lo <= p <= hi. */
  void (*speeds)(
    const HjHamiltonian *H, const HjRow *row, const double *const lo[3], const double *const hi[3], double *const a[3]);
  /** dH/dp_d; where it jumps, any value between its limits. */
  void (*slope)(const HjHamiltonian *H, const HjRow *row, int d, const double *const p[3], double *out);
} HjKind;

struct HjHamiltonian_ {
  const HjKind *kind;
  int dim;
  HjGodunov godunov;
  PetscBool uses_space, uses_time; /* of the speeds */
  HcExpr speed;                    /* eikonal: F(x,t), NULL for 1 */
  HcExpr value;                    /* formula: H, and its derivatives */
  HcExpr slope[3];
  char why_not[256]; /* godunov == HJ_GODUNOV_NONE: the reason */
};

/** Where and for how long it is used: the range in which a formula's convexity is tested. */
typedef struct {
  double lower[3], upper[3], end;
} HjRange;

/** The built-in kinds, ended by name = NULL. */
extern const HjKind HjKinds[];
extern const HjKind HjFormula;

/** Make a built-in Hamiltonian or one from a formula.
 * @param text  a name of HjKinds or a formula in x,y,z,t,px,py,pz
 * @param speed formula in x,y,z,t for kinds that have a speed, else ""
 * @param[out] error 256 characters, "" if all is well
 * @return 0, or 1 with a message in error */
int HjHamiltonianCreate(const char *text, const char *speed, int dim, const HjRange *range, HjHamiltonian *H, char *error);
void HjHamiltonianDestroy(HjHamiltonian *H);

/** Is this the name of a built-in kind? */
const HjKind *HjKindFind(const char *name);

static inline void HjValue(const HjHamiltonian *H, const HjRow *row, const double *const p[3], double *out) {
  H->kind->value(H, row, p, out);
}
static inline void HjSpeeds(
  const HjHamiltonian *H, const HjRow *row, const double *const lo[3], const double *const hi[3], double *const a[3]) {
  H->kind->speeds(H, row, lo, hi, a);
}

/** The variables of formulas, x,y,z,t,px,py,pz. */
#define HJ_VARIABLES 7
extern const char *const HjVariables[HJ_VARIABLES];

/** The speed F of `eikonal` on a row. */
void HjSpeedRow(const HjHamiltonian *H, const HjRow *row, double *F);

/** formula.c: parse, differentiate and classify a formula; as HjHamiltonianCreate. */
int HjFormulaCreate(const char *text, const HjRange *range, HjHamiltonian *H, char *error);
