#pragma once

#include "methods/orders.h"

namespace scant {

struct OnePassForm {
  /// Scales from the dense weight; otherwise from what would be kept if every weight were pruned
  /// alone.
  bool dense_scales = false;
  /// Columns with the largest inputs first; the mask is then what would be kept if every weight
  /// were pruned alone, because groups of N:M are not reached as a whole.
  bool act_order = false;
};

/// Prunes and rounds in one sweep; scales are chosen before it. `squared_error` (may be null)
/// receives that of the layer's output, tr(E H E^T).
MaskedCodes solve_one_pass(const CompressionProblem& problem, const OnePassForm& form,
                           MatrixView values, Context& context, double* squared_error);

}  // namespace scant
