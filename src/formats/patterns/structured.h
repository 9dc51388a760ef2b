#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/patterns/pattern_spelling.h"
#include "formats/patterns/scores.h"

namespace scant {

/// "P%:rows": the floor(P/100 * rows) output channels with the smallest scores are pruned whole;
/// "P%:cols" the same of the input channels.
struct StructuredPattern {
  enum class Axis : uint8_t { kRows, kCols };
  Percent percent;
  Axis axis = Axis::kRows;

  static constexpr std::string_view kName = "structured";
  static constexpr std::string_view kSpellings = "50%:rows, 50%:cols";
  static std::vector<StructuredPattern> examples();

  static std::optional<StructuredPattern> parse(const PatternSpelling& spelling);
  std::string spelling() const;
  Mask select(const Scores& scores, Context& context) const;
  /// Units are ranked across the whole matrix.
  std::optional<Mask> select_columns(const Scores&, int64_t, int64_t, Context&) const {
    return std::nullopt;
  }
  bool allows(const Mask& mask) const;
  int64_t most_kept(int64_t rows, int64_t cols) const;
  std::optional<GroupShape> ranking_group(int64_t, int64_t) const { return std::nullopt; }

  /// Rows or columns that stay of `count`.
  int64_t kept_units(int64_t count) const { return count - percent.of(count); }
  friend bool operator==(const StructuredPattern&, const StructuredPattern&) = default;
};

}  // namespace scant
