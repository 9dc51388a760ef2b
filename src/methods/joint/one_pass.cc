#include "methods/joint/one_pass.h"

#include "methods/joint/joint_solver.h"
#include "methods/sweep.h"
#include "ops/simulate/simulate.h"

namespace scant {

MaskedCodes solve_one_pass(const CompressionProblem& problem, const OnePassForm& form,
                           MatrixView values, Context& context, double* squared_error) {
  const InputStatistics& inputs = *problem.statistics.inputs;
  QuantizeOptions options = problem.options();
  const Mask likely = likely_mask(problem.weight, problem.pattern, inputs.factor(context), context);
  if (!form.dense_scales) options.mask = &likely;
  const std::vector<float> importance = grid_importance(problem.format, inputs);
  options.importance = importance;
  const QuantizedMatrix grid = quantize_matrix(problem.weight, problem.format, options, context);
  const GramFactor& factor =
      form.act_order ? inputs.factor_by_norm(context) : inputs.factor(context);
  Sweep sweep{.factor = factor, .grid = &grid, .squared_error = squared_error};
  if (form.act_order) {
    sweep.mask = &likely;
  } else {
    sweep.pattern = &problem.pattern;
  }
  MaskedCodes result;
  result.mask = run_sweep(sweep, problem.weight, values, context);
  result.quantized = codes_on_grid(grid, &result.mask, values, context);
  return result;
}

namespace {

template <OnePassForm kForm>
MaskedCodes sweep_both(const CompressionProblem& problem, MatrixView values, Context& context) {
  return solve_one_pass(problem, kForm, values, context, nullptr);
}

}  // namespace

JointSolver one_pass_solver() {
  return {"one-pass", "prunes and rounds column by column in one sweep with compensation", true,
          false, sweep_both<OnePassForm{}>};
}

JointSolver one_pass_dense_scales_solver() {
  return {"one-pass-dense-scales", "one-pass with scales chosen before anything is pruned", true,
          false, sweep_both<OnePassForm{.dense_scales = true}>};
}

JointSolver one_pass_act_order_solver() {
  return {"one-pass-act-order",
          "one-pass with the largest inputs first, which needs the mask beforehand", true, false,
          sweep_both<OnePassForm{.act_order = true}>};
}

}  // namespace scant
