#include "models/gradients/tiles.h"

namespace scant {
namespace {

constexpr int64_t kTile = 256;

ConstMatrixView part_of(ConstMatrixView m, Transpose transposed, bool output_rows, int64_t begin,
                        int64_t count) {
  const bool rows = output_rows == (transposed == Transpose::kNo);
  return rows ? m.rows_from(begin, count) : m.cols_from(begin, count);
}

}  // namespace

void tiled_gemm(ConstMatrixView a, ConstMatrixView b, MatrixView c, const GemmOptions& options,
                Context& context) {
  const int64_t down = (c.rows + kTile - 1) / kTile;
  const int64_t across = (c.cols + kTile - 1) / kTile;
  context.threads.parallel_for(down * across, [&](int64_t tile) {
    const int64_t r = tile / across * kTile;
    const int64_t k = tile % across * kTile;
    const int64_t rows = std::min(kTile, c.rows - r);
    const int64_t cols = std::min(kTile, c.cols - k);
    gemm(part_of(a, options.a, true, r, rows), part_of(b, options.b, false, k, cols),
         c.rows_from(r, rows).cols_from(k, cols), options);
  });
}

}  // namespace scant
