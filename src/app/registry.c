#include "registry.h"

extern const HcModel HcModelHj, HcModelMfg;

const HcModel *const HcModels[] = {&HcModelHj, &HcModelMfg, NULL};
