#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/patterns/pattern_spelling.h"
#include "formats/patterns/scores.h"

namespace scant {

/// "N:M": of every M consecutive values of a row, starting at column 0, the N largest scores are
/// kept; of a tail of r values min(N, r). 1 <= N < M <= kLargestGroup.
struct NOfMPattern {
  int64_t n = 0;
  int64_t m = 0;

  static constexpr int64_t kLargestGroup = 1024;
  static constexpr std::string_view kName = "n_of_m";
  static constexpr std::string_view kSpellings = "2:4 (N:M)";
  static std::vector<NOfMPattern> examples();

  static std::optional<NOfMPattern> parse(const PatternSpelling& spelling);
  std::string spelling() const;
  Mask select(const Scores& scores, Context& context) const;
  std::optional<Mask> select_columns(const Scores& scores, int64_t begin, int64_t total,
                                     Context& context) const;
  bool allows(const Mask& mask) const;
  int64_t most_kept(int64_t rows, int64_t cols) const;
  std::optional<GroupShape> ranking_group(int64_t, int64_t) const { return GroupShape{1, m}; }
  friend bool operator==(const NOfMPattern&, const NOfMPattern&) = default;
};

/// The selection within one group of `count` <= kLargestGroup values: keep[i] = 1 for the n largest
/// keys (Scores::key), 0 for the others; on equal keys the lower index is pruned first.
void keep_largest(const uint32_t* keys, int64_t count, int64_t n, uint8_t* keep);

}  // namespace scant
