#pragma once

#include "core/cpu.h"
#include "ops/lanes/lanes_kernels.h"

namespace scant {

/// The first row of the table that `isa` runs.
const LanesKernels& select_lanes_kernels(Isa isa);

}  // namespace scant
