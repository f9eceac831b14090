/* Halocline: every public header. */
#pragma once
#include "error.h"
#include "expression.h"
#include "grid.h"
#include "io.h"
#include "model.h"
#include "options.h"
#include "run.h"
#include "weno.h"
