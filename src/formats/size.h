#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "formats/number_format.h"
#include "formats/pattern.h"

namespace scant {

/// Bytes of one stored matrix, everything counted.
struct StoredSize {
  std::string layout;     ///< name of the layout that stores it: "dense", "n_of_m", "bitmask", ...
  int64_t weights = 0;    ///< rows x cols, pruned ones included
  int64_t codes = 0;      ///< bytes of the codes of kept values
  int64_t positions = 0;  ///< bytes that say where kept values stand
  int64_t scales = 0;
  int64_t zero_points = 0;
  int64_t constants = 0;       ///< per-tensor constants (NVFP4's float32, ...)
  int64_t column_factors = 0;  ///< float16 each, where a method stores them
  int64_t column_order = 0;    ///< int32 each, where a method stores them
  int64_t padding = 0;         ///< what fills rows or blocks up to whole bytes
  int64_t total() const {
    return codes + positions + scales + zero_points + constants + column_factors + column_order +
           padding;
  }
  double bits_per_weight() const {
    return 8.0 * static_cast<double>(total()) / static_cast<double>(weights);
  }
};

/// A matrix as a layout sees it: shape, number format, pattern (null: dense) and the number of kept
/// weights.
struct StoredMatrix {
  int64_t rows = 0;
  int64_t cols = 0;
  const NumberFormat& format;
  const SparsityPattern* pattern = nullptr;
  int64_t kept = 0;
};

/// The smallest layout that can hold this combination (all_layouts.h lists them), and its size.
/// `kept` is the number of kept weights: what the mask says, or pattern->most_kept(rows, cols)
/// before there is one; the total is the same (docs/formats/layouts.md).
/// Throws Error with the sentence that refuses if no layout can hold it.
StoredSize stored_size(int64_t rows, int64_t cols, const NumberFormat& format,
                       const std::optional<SparsityPattern>& pattern, int64_t kept);

/// The sentence that refuses, or nothing if some layout can hold the combination.
std::optional<std::string> layout_refusal(const NumberFormat& format,
                                          const std::optional<SparsityPattern>& pattern);

}  // namespace scant
