#include "registry.h"

extern const HcModel HcModelDensity, HcModelHj, HcModelMfg;

const HcModel *const HcModels[] = {&HcModelHj, &HcModelMfg, &HcModelDensity, NULL};
