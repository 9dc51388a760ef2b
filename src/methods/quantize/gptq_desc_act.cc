#include <algorithm>
#include <numeric>

#include "methods/orders.h"
#include "methods/quantize/quantizer.h"
#include "methods/sweep.h"
#include "ops/simulate/simulate.h"

namespace scant {
namespace {

Matrix gathered_columns(ConstMatrixView weight, std::span<const int64_t> order) {
  Matrix result(weight.rows, weight.cols);
  for (int64_t r = 0; r < weight.rows; ++r) {
    float* to = result.row(r);
    for (const int64_t column : order) *to++ = weight(r, column);
  }
  return result;
}

/// gptq on the columns in the order of its sweep, so that groups are runs of columns with inputs
/// alike. Formats without groups have nothing to gain: gptq takes them.
QuantizedMatrix sweep_in_order(ConstMatrixView weight, const NumberFormat& format,
                               const QuantizeOptions& options, const Statistics& statistics,
                               MatrixView values, Context& context) {
  const bool groups = format.granularity.kind == Granularity::Kind::kGroup;
  if (format.is_plain() || !groups) {
    return gptq_quantizer().quantize(weight, format, options, statistics, values, context);
  }
  const GramFactor& by_norm = statistics.inputs->factor_by_norm(context);
  const std::vector<int64_t>& order = by_norm.order;
  GramFactor factor{PaddedMatrix::copy_of(by_norm.upper.view()), by_norm.diagonal, order,
                    by_norm.damping};
  std::iota(factor.order.begin(), factor.order.end(), 0);
  Matrix swept = gathered_columns(weight, order);
  const QuantizedMatrix grid = quantize_matrix(swept.view(), format, options, context);
  run_sweep({.factor = factor, .grid = &grid}, swept.view(), swept.view(), context);
  QuantizedMatrix result = codes_on_grid(grid, nullptr, swept.view(), context);
  result.column_order.assign(order.begin(), order.end());
  for (int64_t r = 0; r < weight.rows; ++r) {
    for (int64_t place = 0; place < weight.cols; ++place) {
      values(r, order[static_cast<size_t>(place)]) = swept(r, place);
    }
  }
  return result;
}

}  // namespace

Quantizer gptq_desc_act_quantizer() {
  return {.name = "gptq-desc-act",
          .meaning = "gptq with groups of columns whose inputs are alike, largest first (desc_act)",
          .calibrated = true,
          .quantize = sweep_in_order,
          .column_order = true};
}

}  // namespace scant
