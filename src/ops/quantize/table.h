#pragma once

#include "core/cpu.h"
#include "ops/quantize/quantize_kernels.h"

namespace scant {

/// The kernels for a grid: the first row of the table that accepts it and that `isa` runs.
const QuantizeKernels& select_quantize_kernels(const QuantizeGrid& grid, Isa isa);

}  // namespace scant
