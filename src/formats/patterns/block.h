#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/patterns/pattern_spelling.h"
#include "formats/patterns/scores.h"

namespace scant {

/// "P%:block=RxC": blocks of R rows by C columns, counted row by row from the upper left; those at
/// the right and lower edge may be smaller. The floor(P/100 * blocks) of the whole tensor with the
/// smallest scores are pruned.
struct BlockPattern {
  Percent percent;
  int64_t rows = 0;  ///< R
  int64_t cols = 0;  ///< C

  static constexpr int64_t kLargestSide = 65536;
  static constexpr std::string_view kName = "block";
  static constexpr std::string_view kSpellings = "50%:block=1x16 (rows x columns)";
  static std::vector<BlockPattern> examples();

  static std::optional<BlockPattern> parse(const PatternSpelling& spelling);
  std::string spelling() const;
  Mask select(const Scores& scores, Context& context) const;
  /// Units are ranked across the whole matrix.
  std::optional<Mask> select_columns(const Scores&, int64_t, int64_t, Context&) const {
    return std::nullopt;
  }
  bool allows(const Mask& mask) const;
  /// Reached if no smaller edge block is kept in place of a whole one.
  int64_t most_kept(int64_t matrix_rows, int64_t matrix_cols) const;
  std::optional<GroupShape> ranking_group(int64_t, int64_t) const { return std::nullopt; }

  int64_t block_rows(int64_t matrix_rows) const { return (matrix_rows + rows - 1) / rows; }
  int64_t block_cols(int64_t matrix_cols) const { return (matrix_cols + cols - 1) / cols; }
  int64_t kept_blocks(int64_t matrix_rows, int64_t matrix_cols) const;
  friend bool operator==(const BlockPattern&, const BlockPattern&) = default;
};

}  // namespace scant
