#include <algorithm>

#include "methods/descent.h"
#include "methods/joint/joint_solver.h"
#include "methods/joint/one_pass.h"

namespace scant {
namespace {

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

/// The better of two one-pass solutions, with scales as the format says and with scales of least
/// squared error, then descent.
MaskedCodes descend_from_best(const CompressionProblem& problem, MatrixView values,
                              Context& context) {
  Start best = one_pass(problem, problem.format, context);
  const bool is_searched = problem.format.mse || problem.format.super_block() != nullptr;
  if (!is_searched && !problem.format.is_plain()) {
    NumberFormat searched = problem.format;
    searched.mse = true;
    Start other = one_pass(problem, searched, context);
    if (other.error < best.error) best = std::move(other);
  }
  best.codes.quantized.format = problem.format;
  const Mask mask = best.codes.mask;
  const Matrix start = Matrix::copy_of(best.values.view());
  const std::vector<float> scales = best.codes.quantized.scales;
  const std::vector<SuperScale> super_scales = best.codes.quantized.super_scales;
  const DescentResult result =
      descend({problem.weight, *problem.statistics.inputs, &problem.pattern}, best.codes,
              best.values.view(), context);
  const bool falls = result.after < result.before;
  const ConstMatrixView chosen = falls ? best.values.view() : start.view();
  for (int64_t r = 0; r < values.rows; ++r) std::copy_n(chosen.row(r), values.cols, values.row(r));
  if (!falls) {
    best.codes.mask = mask;
    best.codes.quantized.scales = scales;
    best.codes.quantized.super_scales = super_scales;
    best.codes.quantized = codes_on_grid(best.codes.quantized, &best.codes.mask, values, context);
  }
  return std::move(best.codes);
}

}  // namespace

JointSolver scant_solver() {
  return {"scant", "one-pass, then codes, mask and scales in turn until nothing improves", true,
          false, descend_from_best};
}

}  // namespace scant
