/* Halocline: every public header. */
#pragma once
#include "diffusion.h"
#include "error.h"
#include "expression.h"
#include "grid.h"
#include "io.h"
#include "kde.h"
#include "model.h"
#include "options.h"
#include "run.h"
#include "timestep.h"
#include "weno.h"
