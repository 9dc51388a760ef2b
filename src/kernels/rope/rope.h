#pragma once

#include <cstdint>
#include <string_view>

#include "core/tensor.h"

namespace scant {

/// Rotary position embedding in place (Su et al., 2021), pairs as in Hugging Face: element i of a
/// head turns with element i + head_dim / 2. Row t of `x` (tokens x heads * head_dim) turns by row
/// t of `cosine` and `sine` (tokens x head_dim / 2).
void rotate(MatrixView x, int64_t head_dim, ConstMatrixView cosine, ConstMatrixView sine);

/// The row of the kernel table that runs now, for messages and tests.
std::string_view rope_kernel();

}  // namespace scant
