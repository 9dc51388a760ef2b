#include "methods/scaled_columns.h"

#include "formats/patterns/scores.h"

namespace scant {

Matrix scaled_columns(ConstMatrixView values, std::span<const float> factors, Context& context) {
  Matrix scaled(values.rows, values.cols);
  scale_columns(values, factors, scaled.view(), context);
  return scaled;
}

void scale_columns(ConstMatrixView values, std::span<const float> factors, MatrixView out,
                   Context& context) {
  const RowPieces pieces(values.rows, values.cols);
  context.threads.parallel_for(pieces.count(), [&](int64_t piece) {
    for (int64_t r = pieces.begin(piece); r < pieces.end(piece); ++r) {
      for (int64_t c = 0; c < values.cols; ++c) {
        out(r, c) = values(r, c) * factors[static_cast<size_t>(c)];
      }
    }
  });
}

std::vector<float> inverses(std::span<const float> factors) {
  std::vector<float> result(factors.begin(), factors.end());
  for (float& factor : result) factor = 1.0f / factor;
  return result;
}

}  // namespace scant
