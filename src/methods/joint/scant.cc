#include <optional>
#include <vector>

#include "methods/descent.h"
#include "methods/joint/joint_solver.h"
#include "methods/joint/one_pass.h"
#include "methods/prune/pruner.h"
#include "methods/quantize/quantizer.h"

namespace scant {
namespace {

// Inputs of the widest layers whose mask is searched for: beyond, the eigenvectors alone take
// longer than everything else.
constexpr int64_t kWidestSearch = 2048;

struct Start {
  MaskedCodes codes;
  Matrix values;
  double error = 0;
};

Start one_pass(const CompressionProblem& problem, const NumberFormat& format, Context& context) {
  const CompressionProblem variant{problem.weight, problem.pattern,   format,
                                   problem.pruner, problem.quantizer, problem.statistics,
                                   problem.seed,   problem.stream};
  Start start;
  start.values = Matrix(problem.weight.rows, problem.weight.cols);
  start.codes = solve_one_pass(variant, {}, start.values.view(), context, &start.error);
  return start;
}

/// The least-squares weights on a mask, rounded by GPTQ. They make good for what was pruned left
/// and right of them, as a sweep cannot.
Start rounded(const CompressionProblem& problem, const PrunedMatrix& pruned,
              const NumberFormat& format, Context& context) {
  Start start{{{}, pruned.mask}, Matrix::copy_of(pruned.values.view()), 0};
  QuantizeOptions options = problem.options();
  options.mask = &pruned.mask;
  start.codes.quantized = gptq_quantizer().quantize(
      pruned.values.view(), format, options, problem.statistics, start.values.view(), context);
  start.error = output_squared_error(problem.weight, start.values.view(),
                                     *problem.statistics.inputs, context);
  return start;
}

/// The best of one pass and of ALPS's mask and weights, with scales as the format says and with
/// scales of least squared error.
Start best_start(const CompressionProblem& problem, Context& context) {
  std::vector<NumberFormat> formats = {problem.format};
  if (!problem.format.is_plain() && problem.format.super_block() == nullptr &&
      !problem.format.mse) {
    formats.push_back(problem.format);
    formats.back().mse = true;
  }
  std::optional<PrunedMatrix> searched;
  if (problem.weight.cols <= kWidestSearch) {
    searched = alps_pruner().prune(problem.weight, {problem.pattern, problem.statistics}, context);
  }
  std::optional<Start> best;
  const auto take_better = [&](Start start) {
    if (!best || start.error < best->error) best = std::move(start);
  };
  for (const NumberFormat& format : formats) {
    take_better(one_pass(problem, format, context));
    if (searched) take_better(rounded(problem, *searched, format, context));
  }
  best->codes.quantized.format = problem.format;
  return std::move(*best);
}

/// The best start, then descent.
MaskedCodes descend_from_best(const CompressionProblem& problem, MatrixView values,
                              Context& context) {
  Start best = best_start(problem, context);
  copy_rows(best.values.view(), values);
  const Mask mask = best.codes.mask;
  const std::vector<float> scales = best.codes.quantized.scales;
  const std::vector<SuperScale> super_scales = best.codes.quantized.super_scales;
  const DescentResult result = descend(
      {problem.weight, *problem.statistics.inputs, &problem.pattern}, best.codes, values, context);
  if (result.after >= result.before) {
    copy_rows(best.values.view(), values);
    best.codes.mask = mask;
    best.codes.quantized.scales = scales;
    best.codes.quantized.super_scales = super_scales;
    best.codes.quantized = codes_on_grid(best.codes.quantized, &best.codes.mask, values, context);
  }
  return std::move(best.codes);
}

}  // namespace

JointSolver scant_solver() {
  return {
      "scant",
      "the best of one-pass and alps, then codes, mask and scales in turn until nothing improves",
      true, false, descend_from_best};
}

}  // namespace scant
