#pragma once

#include "formats/layouts/stored_parts.h"

namespace scant {

/// Every weight's code, kept or not; a pruned weight is the code of zero.
///
///   codes   row 0: c(0,0) c(0,1) ... c(0,cols-1), filled up to a byte; row 1: ...
///   scales  one per block of the format, row by row; zero points and constants after them
///
/// Codes are packed from the low bit of a byte upwards; a code may straddle bytes.
struct DenseLayout {
  static constexpr std::string_view kName = "dense";
  static constexpr std::string_view kMeaning = "the code of every weight, zero where pruned";

  static std::optional<std::string> refusal(const NumberFormat& format,
                                            const SparsityPattern* pattern) {
    if (pattern == nullptr || format.rules().has_zero) return std::nullopt;
    return "it has no code for zero, so a layout that stores no mask cannot prune";
  }

  static StoredSize size(const StoredMatrix& matrix) {
    StoredSize size;
    StoredMatrix every = matrix;
    every.kept = matrix.rows * matrix.cols;
    add_codes(size, every, matrix.rows * bytes_of(matrix.cols * matrix.format.code_bits()));
    add_scales(size, matrix, all_scales(matrix));
    return size;
  }
};

}  // namespace scant
