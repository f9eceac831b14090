/* The models that the program knows. */
#pragma once
#include <halocline/model.h>

/** NULL-terminated. */
extern const HcModel *const HcModels[];
