#include "methods/orders.h"

#include <algorithm>
#include <numeric>
#include <variant>

#include "methods/scaled_columns.h"
#include "ops/simulate/simulate.h"

namespace scant {

MaskedCodes sparsify_first(const CompressionProblem& problem, MatrixView values, Context& context) {
  PrunedMatrix pruned =
      problem.pruner.prune(problem.weight, {problem.pattern, problem.statistics}, context);
  const ConstMatrixView kept = pruned.values.size() > 0 ? pruned.values.view() : problem.weight;
  MaskedCodes result;
  result.mask = std::move(pruned.mask);
  QuantizeOptions options = problem.options();
  options.mask = &result.mask;
  result.quantized = problem.quantizer.quantize(kept, problem.format, options, problem.statistics,
                                                values, context);
  if (!problem.format.rules().has_zero) prune_values(values, result.mask, context);
  return result;
}

MaskedCodes quantize_first(const CompressionProblem& problem, MatrixView values, Context& context) {
  MaskedCodes result;
  result.quantized = problem.quantizer.quantize(problem.weight, problem.format, problem.options(),
                                                problem.statistics, values, context);
  PrunedMatrix pruned = problem.pruner.prune(
      values, {problem.pattern, problem.statistics, &result.quantized}, context);
  result.mask = std::move(pruned.mask);
  if (pruned.values.size() > 0) {
    copy_rows(pruned.values.view(), values);
    result.quantized = codes_on_grid(result.quantized, &result.mask, values, context);
  } else {
    prune_codes(result.quantized, result.mask, context);
    prune_values(values, result.mask, context);
  }
  return result;
}

QuantizedMatrix codes_on_grid(const QuantizedMatrix& grid, const Mask* mask, MatrixView values,
                              Context& context) {
  const bool is_scaled = !grid.column_factors.empty();
  if (is_scaled) scale_columns(values, inverses(grid.column_factors), values, context);
  QuantizeOptions options;
  options.mask = mask;
  options.scales_from = &grid;
  NumberFormat nearest = grid.format;
  nearest.stochastic = false;  // there is nothing left to round
  QuantizedMatrix result = quantize_matrix(values, nearest, options, context, values);
  result.format = grid.format;
  result.column_factors = grid.column_factors;
  if (is_scaled) scale_columns(values, grid.column_factors, values, context);
  if (mask != nullptr && !grid.format.rules().has_zero) prune_values(values, *mask, context);
  return result;
}

void prune_codes(QuantizedMatrix& quantized, const Mask& mask, Context& context) {
  if (quantized.format.is_plain()) {
    prune_values(quantized.plain.view(), mask, context);
    return;
  }
  if (!quantized.format.rules().has_zero) return;
  const RowPieces pieces(quantized.rows, quantized.cols);
  const Granularity& granularity = quantized.format.granularity;
  const int64_t step =
      granularity.kind == Granularity::Kind::kGroup ? granularity.size : quantized.cols;
  std::visit(
      [&]<typename T>(const T& element) {
        if constexpr (CodedElement<T>) {
          context.threads.parallel_for(pieces.count(), [&](int64_t piece) {
            for (int64_t r = pieces.begin(piece); r < pieces.end(piece); ++r) {
              uint8_t* codes = quantized.codes.data() + r * quantized.cols;
              for (int64_t begin = 0; begin < quantized.cols; begin += step) {
                const int64_t end = std::min(quantized.cols, begin + step);
                const BlockScale scale = quantized.block_scale(r, quantized.block_of(r, begin));
                const uint8_t zero = element.nearest(0.0f, scale.zero_point);
                for (int64_t c = begin; c < end; ++c) codes[c] = mask(r, c) != 0 ? codes[c] : zero;
              }
            }
          });
        }
      },
      quantized.format.element);
}

void prune_values(MatrixView values, const Mask& mask, Context& context) {
  const RowPieces pieces(values.rows, values.cols);
  context.threads.parallel_for(pieces.count(), [&](int64_t piece) {
    for (int64_t r = pieces.begin(piece); r < pieces.end(piece); ++r) {
      const uint8_t* keep = mask.row(r);
      float* row = values.row(r);
      for (int64_t c = 0; c < values.cols; ++c) row[c] = keep[c] != 0 ? row[c] : 0.0f;
    }
  });
}

double squared_error(ConstMatrixView weight, ConstMatrixView values,
                     std::span<const float> importance, Context& context) {
  const RowPieces pieces(weight.rows, weight.cols);
  std::vector<double> sums(static_cast<size_t>(pieces.count()), 0.0);
  context.threads.parallel_for(pieces.count(), [&](int64_t piece) {
    double sum = 0;
    for (int64_t r = pieces.begin(piece); r < pieces.end(piece); ++r) {
      const float* w = weight.row(r);
      const float* v = values.row(r);
      for (int64_t c = 0; c < weight.cols; ++c) {
        const double error = static_cast<double>(v[c]) - w[c];
        const double squared = error * error;
        sum += importance.empty() ? squared : squared * importance[static_cast<size_t>(c)];
      }
    }
    sums[static_cast<size_t>(piece)] = sum;
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

}  // namespace scant
