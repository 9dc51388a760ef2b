#pragma once

#include <span>
#include <string_view>

#include "methods/orders.h"

namespace scant {

/// A way to choose mask and codes together.
struct JointSolver {
  std::string_view name;
  std::string_view meaning;  ///< one clause, for help
  bool calibrated = false;   ///< reads Statistics::inputs
  bool matched = false;      ///< solves for InputStatistics::matched_target()
  /// `values` (of the weight's shape) receives what mask and codes evaluate to.
  MaskedCodes (*solve)(const CompressionProblem& problem, MatrixView values, Context& context);
};

/// Every joint solver, in the order of help and tables.
std::span<const JointSolver> all_joint_solvers();
/// Null if there is none of that name.
const JointSolver* find_joint_solver(std::string_view name);

/// Data-free: the mask by gain, scales and mask in turn.
JointSolver gain_mask_solver();
/// SparseGPT's sweep with rounding inside (arXiv 2301.00774, section 3.5).
JointSolver one_pass_solver();
/// The same with scales of the dense weight, and with columns by the norm of their input.
JointSolver one_pass_dense_scales_solver();
JointSolver one_pass_act_order_solver();
/// Wanda's mask, then errors made good by group: of pruned weights by kept ones, of the first half
/// of those when rounded by the second (OBR, arXiv 2509.11177); least squares of all rows together
/// instead of a factorisation per row.
JointSolver obr_solver();
/// Ours: the best of several solutions by one pass and by ALPS and GPTQ, then descent on the error
/// of the layer's output over codes, mask and scales (methods/descent.h).
JointSolver scant_solver();

}  // namespace scant
