#pragma once

#include "formats/layouts/stored_parts.h"

namespace scant {

/// One bit per weight and the codes of the kept ones. Holds every pattern.
///
///   positions  row 0: bit c of the row (low bit first) is 1 if weight (0, c) is kept, filled up to
///              a byte; row 1: ...
///   codes      the kept codes of all rows in one stream, filled up to a byte at its end; a reader
///              finds the start of a row by counting bits
///   scales     one per block of the format, row by row; zero points and constants after them
struct BitmaskLayout {
  static constexpr std::string_view kName = "bitmask";
  static constexpr std::string_view kMeaning = "one bit per weight, the codes of the kept ones";

  static std::optional<std::string> refusal(const NumberFormat&, const SparsityPattern* pattern) {
    if (pattern != nullptr) return std::nullopt;
    return "a bitmask is for a sparsity pattern";
  }

  static StoredSize size(const StoredMatrix& matrix) {
    StoredSize size;
    size.positions = bytes_of(matrix.rows * matrix.cols);
    size.padding = matrix.rows * bytes_of(matrix.cols) - size.positions;
    add_codes(size, matrix, bytes_of(matrix.kept * matrix.format.code_bits()));
    add_scales(size, matrix, all_scales(matrix));
    return size;
  }
};

}  // namespace scant
