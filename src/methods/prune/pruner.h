#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "methods/compressed_matrix.h"

namespace scant {

/// What a pruner is to do besides the weights themselves.
struct PruneTask {
  const SparsityPattern& pattern;
  const Statistics& statistics;
  /// Set when pruning comes second: weights that change must stay on this grid.
  const QuantizedMatrix* grid = nullptr;
};

struct PrunedMatrix {
  Mask mask;
  Matrix values;  ///< kept weights, changed to make good what was pruned; empty: none changed
};

/// A way to choose what is pruned.
struct Pruner {
  std::string_view name;
  std::string_view meaning;  ///< one clause, for help
  bool calibrated = false;   ///< reads Statistics::inputs
  /// `weight`: the weight itself, or its dequantized values when pruning comes second.
  PrunedMatrix (*prune)(ConstMatrixView weight, const PruneTask& task, Context& context);
  /// One factor h_c >= 0 per column: the squared error that the scores stand for is
  /// sum h_c (what - w)^2. Empty: all 1.
  std::vector<float> (*importance)(const Statistics& statistics);
};

/// Pruner::importance of the calibrated pruners: the squared norm of every input.
std::vector<float> importance_of_inputs(const Statistics& statistics);

/// Every pruner, in the order of help and tables.
std::span<const Pruner> all_pruners();
/// Null if there is none of that name.
const Pruner* find_pruner(std::string_view name);

/// Keeps the largest |w|; of blocks, rows and columns those with the largest sum of squares.
Pruner magnitude_pruner();
/// |w| ||x||, with ||x|| the norm of the weight's input (Wanda, arXiv 2306.11695).
Pruner wanda_pruner();
/// (|w| / sum of |w| over the row + the same over the column) sqrt(||x||) (RIA, arXiv 2310.15929,
/// published as "Plug-and-Play", equation 5 with a = 1/2).
Pruner ria_pruner();
/// One sweep with compensation (SparseGPT, arXiv 2301.00774).
Pruner sparsegpt_pruner();
/// The mask by ADMM, the kept weights by conjugate gradients (ALPS, arXiv 2406.07831); what one
/// sweep finds if that is better.
Pruner alps_pruner();

}  // namespace scant
