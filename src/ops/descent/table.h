#pragma once

#include "core/cpu.h"
#include "ops/descent/descent_kernels.h"

namespace scant {

/// The first row of the table that accepts `grid` and that `isa` runs.
const DescentKernels& select_descent_kernels(const QuantizeGrid& grid, Isa isa);

}  // namespace scant
