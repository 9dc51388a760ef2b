#include "formats/layouts/stored_parts.h"

namespace scant {

void add_codes(StoredSize& size, const StoredMatrix& matrix, int64_t stored) {
  size.codes = bytes_of(matrix.kept * matrix.format.code_bits());
  size.padding += stored - size.codes;
}

void add_scales(StoredSize& size, const StoredMatrix& matrix, int64_t scale_count) {
  size.scales = scale_count * bytes_of(matrix.format.scale_bits());
  size.zero_points = bytes_of(scale_count * matrix.format.zero_point_bits());
  size.constants =
      matrix.format.tensor_scale_count(matrix.rows) * static_cast<int64_t>(sizeof(float));
}

int64_t all_scales(const StoredMatrix& matrix) {
  return matrix.format.block_count(matrix.rows, matrix.cols);
}

}  // namespace scant
