#pragma once

#include <string>
#include <string_view>

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
  std::string spelling() const;

  /// Keeps the values with the largest scores that the pattern allows. On equal scores the lower
  /// index is pruned first. `scores` are non-negative for magnitudes (any sign is allowed: gains
  /// can be negative); block and structured patterns sum the scores of a unit.
  Mask select(ConstMatrixView scores, Context& context) const;

  /// True if `mask` keeps no more than the pattern allows anywhere.
  bool allows(const Mask& mask) const;
};

}  // namespace scant
