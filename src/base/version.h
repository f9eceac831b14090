/* What this program was built from and with. */
#pragma once

const char *HcVersion(void);
/** The commit and, where the tree was changed, "-dirty". */
const char *HcCommit(void);
/** Several lines: version, commit, compiler, flags, MPI, PETSc, HDF5. */
void HcVersionPrint(void);
