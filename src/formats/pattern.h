#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/context.h"
#include "core/tensor.h"
#include "formats/all_patterns.h"
#include "formats/mask.h"

namespace scant {

/// A sparsity pattern: where zeros may stand in a matrix (outputs x reduction). Spelled "50%",
/// "50%:row", "2:4", "50%:block=1x16", "50%:rows", "50%:cols" (docs/formats/patterns.md).
struct SparsityPattern {
  Pattern pattern;

  /// Throws Error naming the part that is wrong and what is allowed.
  static SparsityPattern parse(std::string_view spelling);
  /// The shortest spelling that parses to this pattern.
  std::string spelling() const;
  /// The family's name: "unstructured", "n_of_m", "block", "structured".
  std::string_view family() const;

  /// Keeps the largest scores that the pattern allows; block and structured patterns rank units
  /// (`Scores` says how a unit is scored). On equal scores the lower index is pruned first.
  /// Deterministic for any number of threads.
  Mask select(const Scores& scores, Context& context) const;
  /// The mask of columns [begin, begin + scores.values.cols) of a matrix of `total` columns, chosen
  /// from their scores alone, for solvers that go through the columns range by range: the counts of
  /// ranges that follow each other add up to that of the matrix. Nothing where units of the pattern
  /// reach across ranges.
  std::optional<Mask> select_columns(const Scores& scores, int64_t begin, int64_t total,
                                     Context& context) const;
  /// select() by magnitude.
  Mask select_magnitude(ConstMatrixView values, Context& context) const {
    return select({values, Scores::Kind::kMagnitude}, context);
  }

  /// True if `mask` keeps no more than the pattern allows anywhere.
  bool allows(const Mask& mask) const;
  /// The number of weights that select() keeps of rows x cols; for blocks with ragged edges the
  /// largest possible one.
  int64_t most_kept(int64_t rows, int64_t cols) const;
  /// The tiles whose weights are ranked against each other; nothing where units are ranked.
  std::optional<GroupShape> ranking_group(int64_t rows, int64_t cols) const;

  /// Members of every family, for tests, benchmarks and tables.
  static std::vector<SparsityPattern> examples();
  friend bool operator==(const SparsityPattern&, const SparsityPattern&) = default;
};

}  // namespace scant
