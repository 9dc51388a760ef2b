#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/patterns/pattern_spelling.h"
#include "formats/patterns/scores.h"

namespace scant {

/// "P%": the floor(P/100 * rows * cols) smallest scores of the whole tensor are pruned.
/// "P%:row": the floor(P/100 * cols) smallest of every row.
struct UnstructuredPattern {
  Percent percent;
  bool per_row = false;

  static constexpr std::string_view kName = "unstructured";
  static constexpr std::string_view kSpellings = "50%, 50%:row";
  static std::vector<UnstructuredPattern> examples();

  static std::optional<UnstructuredPattern> parse(const PatternSpelling& spelling);
  std::string spelling() const;
  Mask select(const Scores& scores, Context& context) const;
  std::optional<Mask> select_columns(const Scores& scores, int64_t begin, int64_t total,
                                     Context& context) const;
  bool allows(const Mask& mask) const;
  int64_t most_kept(int64_t rows, int64_t cols) const;
  std::optional<GroupShape> ranking_group(int64_t rows, int64_t cols) const {
    return GroupShape{per_row ? 1 : rows, cols};
  }
  friend bool operator==(const UnstructuredPattern&, const UnstructuredPattern&) = default;

 private:
  /// Prunes `pruned` weights of the tensor or of every row.
  Mask select_count(const Scores& scores, int64_t pruned, Context& context) const;
};

}  // namespace scant
