#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "methods/compressed_matrix.h"

namespace scant {

/// A way to choose what is pruned.
struct Pruner {
  std::string_view name;
  std::string_view meaning;  ///< one clause, for help
  /// The mask of `values`: the weight itself, or its dequantized values when pruning comes second.
  Mask (*select)(ConstMatrixView values, const SparsityPattern& pattern,
                 const Statistics& statistics, Context& context);
  /// One factor h_c >= 0 per column: the squared error that the scores stand for is
  /// sum h_c (what - w)^2. Empty: all 1.
  std::vector<float> (*importance)(const Statistics& statistics);
};

/// Every pruner, in the order of help and tables.
std::span<const Pruner> all_pruners();
/// Null if there is none of that name.
const Pruner* find_pruner(std::string_view name);

/// Keeps the largest |w|; of blocks, rows and columns those with the largest sum of squares.
Pruner magnitude_pruner();

}  // namespace scant
