#include "methods/joint/joint_solver.h"
#include "methods/support_least_squares.h"
#include "methods/sweep.h"
#include "ops/simulate/simulate.h"

namespace scant {
namespace {

constexpr SupportEffort kEffort = {.iterations = 100, .tolerance = 1e-4};

/// 1 at the second half of each row's kept weights. The first half is the paper's alpha = 50%.
Mask later_half(const Mask& kept) {
  Mask later = kept;
  for (int64_t r = 0; r < kept.rows; ++r) {
    uint8_t* row = later.row(r);
    int64_t first = std::count(row, row + kept.cols, uint8_t{1}) / 2;
    for (int64_t c = 0; first > 0; ++c) {
      first -= row[c];
      row[c] = 0;
    }
  }
  return later;
}

/// Each least squares is solved towards the weight itself: at the minimum of the one before, that
/// is the compensation of the new errors alone.
MaskedCodes restore(const CompressionProblem& problem, MatrixView values, Context& context) {
  const InputStatistics& inputs = *problem.statistics.inputs;
  const GramFactor& factor = inputs.factor(context);
  MaskedCodes result;
  result.mask =
      wanda_pruner().prune(problem.weight, {problem.pattern, problem.statistics}, context).mask;
  copy_rows(problem.weight, values);
  // Pruned to kept.
  prune_values(values, result.mask, context);
  solve_on_support({problem.weight, inputs.gram(), factor.damping, result.mask}, values, kEffort,
                   context);
  // Rounded to not yet rounded.
  QuantizeOptions options = problem.options();
  options.mask = &result.mask;
  Matrix rounded(values.rows, values.cols);
  const QuantizedMatrix grid =
      quantize_matrix(values, problem.format, options, context, rounded.view());
  const Mask later = later_half(result.mask);
  for (int64_t r = 0; r < values.rows; ++r) {
    for (int64_t c = 0; c < values.cols; ++c) {
      if (result.mask(r, c) != 0 && later(r, c) == 0) values(r, c) = rounded(r, c);
    }
  }
  solve_on_support({problem.weight, inputs.gram(), factor.damping, later}, values, kEffort,
                   context);
  // The rest column by column; what is on the grid already stays there.
  run_sweep({.factor = factor, .mask = &result.mask, .grid = &grid}, values, values, context);
  result.quantized = codes_on_grid(grid, &result.mask, values, context);
  return result;
}

}  // namespace

JointSolver obr_solver() {
  return {"obr", "wanda's mask; what is pruned, then half rounded, is made good by what is left",
          true, false, restore};
}

}  // namespace scant
