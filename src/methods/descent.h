#pragma once

#include "core/context.h"
#include "formats/pattern.h"
#include "methods/input_statistics.h"
#include "methods/orders.h"

namespace scant {

/// What descends: a compressed weight and what it is measured against.
struct DescentProblem {
  ConstMatrixView target;  ///< W, outputs x inputs
  const InputStatistics& inputs;
  const SparsityPattern* pattern = nullptr;  ///< null: nothing is pruned, or the mask stays
};

/// tr((W - What) H (W - What)^T) of before and after; zeros for formats without codes.
struct DescentResult {
  double before = 0, after = 0;
};

/// Lowers tr((W - What) H (W - What)^T) until nothing improves it any more, or a few passes are
/// done: codes by coordinate descent, kept against pruned positions (inside a group of N:M, inside
/// 128 columns of a row of unstructured patterns), scales of rows and groups in closed form, stored
/// exactly. `state` and its `values` (what it evaluates to) change together; the objective never
/// rises. Formats without codes keep their values. Deterministic for any number of threads.
DescentResult descend(const DescentProblem& problem, MaskedCodes& state, MatrixView values,
                      Context& context);

}  // namespace scant
