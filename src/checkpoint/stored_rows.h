#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "checkpoint/checkpoint.h"
#include "core/tensor.h"

namespace scant {

/// Rows [begin, begin + count) of a tensor whose matrix (outputs x inputs) is made by
/// `unpack(first row, values)`: of a vector, which is one row of the matrix; of one that is stored
/// inputs x outputs (`transposed`), which is made as a whole; or of the matrix itself.
void read_stored_rows(const StoredTensor& tensor, bool transposed, int64_t outputs, int64_t inputs,
                      int64_t begin, int64_t count, std::span<float> out,
                      const std::function<void(int64_t, MatrixView)>& unpack);

}  // namespace scant
