#pragma once

#include "core/cpu.h"
#include "ops/sparsify/n_of_m_kernels.h"

namespace scant {

/// The kernels for N:M: the first row of the table that accepts it and that `isa` runs.
const NOfMKernels& select_n_of_m_kernels(int64_t n, int64_t m, Isa isa);

}  // namespace scant
