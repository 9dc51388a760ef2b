#pragma once

#include "formats/layouts/stored_parts.h"

namespace scant {

/// The rows or columns that are kept as a smaller dense matrix, and one bit per row or column.
///
///   positions  bit i (low bit first) is 1 if row (column) i is kept, filled up to a byte
///   codes      the kept rows (columns) as in dense, each row filled up to a byte
///   scales     of the kept rows only, where every row has its own; where columns are pruned one
///              per block of the format, whose groups count the columns of the whole matrix.
///              Zero points in the same order, constants after them
struct StructuredLayout {
  static constexpr std::string_view kName = "structured";
  static constexpr std::string_view kMeaning = "the kept rows or columns, and one bit for each";

  static std::optional<std::string> refusal(const NumberFormat&, const SparsityPattern* pattern) {
    if (pattern != nullptr && std::holds_alternative<StructuredPattern>(pattern->pattern)) {
      return std::nullopt;
    }
    return "it is for whole rows or columns";
  }

  static StoredSize size(const StoredMatrix& matrix) {
    const auto& pattern = std::get<StructuredPattern>(matrix.pattern->pattern);
    const bool by_row = pattern.axis == StructuredPattern::Axis::kRows;
    const int64_t rows = by_row ? pattern.kept_units(matrix.rows) : matrix.rows;
    const int64_t cols = by_row ? matrix.cols : pattern.kept_units(matrix.cols);
    StoredMatrix packed = matrix;
    packed.kept = rows * cols;
    StoredSize size;
    size.positions = bytes_of(by_row ? matrix.rows : matrix.cols);
    add_codes(size, packed, rows * bytes_of(cols * matrix.format.code_bits()));
    add_scales(size, matrix, matrix.format.block_count(rows, matrix.cols));
    return size;
  }
};

}  // namespace scant
