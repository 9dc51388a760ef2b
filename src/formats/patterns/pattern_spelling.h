#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace scant {

/// The parts of a pattern's spelling, split at the first colon: "50%:block=1x16" has the head
/// "50%" and the option "block=1x16".
struct PatternSpelling {
  std::string_view text;
  std::string_view head;
  std::optional<std::string_view> option;

  static PatternSpelling split(std::string_view text);
  bool is_percentage() const { return head.ends_with('%'); }
  /// Throws Error: sparsity "50%:rows=3": "rows=3" ...
  [[noreturn]] void refuse(std::string_view part, std::string_view expected) const;
};

/// A share of pruned weights, kept exactly as written: up to six decimals.
struct Percent {
  int64_t millionths = 0;  ///< of one percent

  /// Reads the head of `spelling`. Throws Error unless it is more than 0% and less than 100%.
  static Percent parse(const PatternSpelling& spelling);
  /// The shortest text: "50%", "62.5%".
  std::string text() const;
  /// This share of `count`, rounded down.
  int64_t of(int64_t count) const;
  friend bool operator==(const Percent&, const Percent&) = default;
};

}  // namespace scant
