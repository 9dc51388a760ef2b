#include "checkpoint/imports/block_scaled.h"

#include <utility>

#include "formats/elements/float.h"

namespace scant {

BlockScaledFloat8::BlockScaledFloat8(const Checkpoint& folder, ImportedPart codes,
                                     ImportedPart scales, int64_t block_rows, int64_t block_cols)
    : codes_(std::move(codes)),
      scales_(std::move(scales)),
      storage_(scale_storage_of(scales_)),
      block_rows_(block_rows),
      block_cols_(block_cols) {
  const auto blocks = [](int64_t size, int64_t block) { return (size + block - 1) / block; };
  require_shape(folder, scales_,
                {blocks(codes_.shape[0], block_rows_), blocks(codes_.shape[1], block_cols_)});
}

void BlockScaledFloat8::read_rows(int64_t begin, MatrixView out) const {
  const FloatElement element;
  for (int64_t r = 0; r < out.rows; ++r) {
    const int64_t row = begin + r;
    const std::byte* codes = codes_.bytes.data() + row * out.cols;
    const int64_t first = row / block_rows_ * scales_.shape[1];
    for (int64_t c = 0; c < out.cols; ++c) {
      const float scale = read_scale(scales_.bytes, first + c / block_cols_, storage_);
      out(r, c) = element.code_value(std::to_integer<uint8_t>(codes[c])) * scale;
    }
  }
}

}  // namespace scant
