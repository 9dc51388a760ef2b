#include <algorithm>

#include "methods/joint/joint_solver.h"
#include "methods/sweep.h"
#include "ops/simulate/simulate.h"

namespace scant {

MaskedCodes solve_one_pass(const CompressionProblem& problem, MatrixView values, Context& context,
                           double* squared_error) {
  const GramFactor& factor = problem.statistics.inputs->factor();
  QuantizeOptions options = problem.options();
  const Mask likely = likely_mask(problem.weight, problem.pattern, factor, context);
  options.mask = &likely;
  const QuantizedMatrix grid = quantize_matrix(problem.weight, problem.format, options, context);
  for (int64_t r = 0; r < values.rows; ++r) {
    std::copy_n(problem.weight.row(r), values.cols, values.row(r));
  }
  MaskedCodes result;
  result.mask = run_sweep({.factor = factor,
                           .pattern = &problem.pattern,
                           .grid = &grid,
                           .squared_error = squared_error},
                          values, context);
  result.quantized = codes_on_grid(grid, &result.mask, values, context);
  return result;
}

namespace {

MaskedCodes sweep_both(const CompressionProblem& problem, MatrixView values, Context& context) {
  return solve_one_pass(problem, values, context, nullptr);
}

}  // namespace

JointSolver one_pass_solver() {
  return {"one-pass", "prunes and rounds column by column in one sweep with compensation", true,
          false, sweep_both};
}

}  // namespace scant
