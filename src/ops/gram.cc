#include "ops/gram.h"

#include <algorithm>

#include "core/error.h"
#include "ops/gemm.h"

namespace scant {
namespace {

// Large enough for sgemm at full speed, small enough that the tiles of the diagonal, computed
// whole, cost little: with n tiles a side the excess over the symmetric half is 1 / (n + 1).
constexpr int64_t kTile = 256;

}  // namespace

void accumulate_gram(std::span<const ConstMatrixView> inputs, MatrixView gram, Context& context) {
  for (const ConstMatrixView& x : inputs) {
    if (x.cols != gram.cols || gram.rows != gram.cols) {
      throw Error("gram", "inputs of " + std::to_string(x.cols) + " features into a matrix of " +
                              shape_text({gram.rows, gram.cols}));
    }
  }
  const int64_t tiles = (gram.cols + kTile - 1) / kTile;
  context.threads.parallel_for(tiles * (tiles + 1) / 2, [&](int64_t index) {
    int64_t down = 0;  // the index-th tile of the upper triangle, row by row
    while (index >= tiles - down) index -= tiles - down++;
    const int64_t across = down + index;
    const int64_t r = down * kTile, c = across * kTile;
    const int64_t rows = std::min(kTile, gram.rows - r), cols = std::min(kTile, gram.cols - c);
    const MatrixView tile = gram.rows_from(r, rows).cols_from(c, cols);
    for (const ConstMatrixView& x : inputs) {
      gemm(x.cols_from(r, rows), x.cols_from(c, cols), tile, {.a = Transpose::kYes, .beta = 1.0f});
    }
  });
}

void accumulate_cross_gram(std::span<const ConstMatrixView> a, std::span<const ConstMatrixView> b,
                           MatrixView product, Context& context) {
  if (a.size() != b.size()) throw Error("gram", "different numbers of samples");
  const int64_t across = (product.cols + kTile - 1) / kTile;
  const int64_t down = (product.rows + kTile - 1) / kTile;
  context.threads.parallel_for(down * across, [&](int64_t index) {
    const int64_t r = index / across * kTile, c = index % across * kTile;
    const int64_t rows = std::min(kTile, product.rows - r);
    const int64_t cols = std::min(kTile, product.cols - c);
    const MatrixView tile = product.rows_from(r, rows).cols_from(c, cols);
    for (size_t i = 0; i < a.size(); ++i) {
      gemm(a[i].cols_from(r, rows), b[i].cols_from(c, cols), tile,
           {.a = Transpose::kYes, .beta = 1.0f});
    }
  });
}

void complete_gram(MatrixView gram) {
  for (int64_t r = 1; r < gram.rows; ++r) {
    for (int64_t c = 0; c < r; ++c) gram(r, c) = gram(c, r);
  }
}

}  // namespace scant
