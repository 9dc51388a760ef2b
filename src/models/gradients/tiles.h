#pragma once

#include <algorithm>

#include "core/context.h"
#include "core/tensor.h"
#include "ops/gemm.h"

namespace scant {

/// run(tile, begin, count) for pieces of `rows` rows, on all threads.
template <typename Run>
void for_row_tiles(int64_t rows, int64_t tile_rows, Context& context, const Run& run) {
  context.threads.parallel_for((rows + tile_rows - 1) / tile_rows, [&](int64_t tile) {
    const int64_t begin = tile * tile_rows;
    run(tile, begin, std::min(tile_rows, rows - begin));
  });
}

/// gemm() on all threads: tiles of c, whose size does not depend on the number of threads.
void tiled_gemm(ConstMatrixView a, ConstMatrixView b, MatrixView c, const GemmOptions& options,
                Context& context);

/// to = from, of the same shape.
inline void copy_values(ConstMatrixView from, MatrixView to) {
  for (int64_t r = 0; r < from.rows; ++r) std::copy_n(from.row(r), from.cols, to.row(r));
}

/// `matrix`, allocated anew unless it has that shape; its contents mean nothing then.
inline MatrixView sized(Matrix& matrix, int64_t rows, int64_t cols) {
  if (matrix.rows() != rows || matrix.cols() != cols) matrix = Matrix(rows, cols);
  return matrix.view();
}

}  // namespace scant
