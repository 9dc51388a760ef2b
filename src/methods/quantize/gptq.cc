#include "methods/orders.h"
#include "methods/quantize/quantizer.h"
#include "methods/sweep.h"
#include "ops/simulate/simulate.h"

namespace scant {
namespace {

/// Scales from the weights as they come (static groups), columns with the largest inputs first
/// (act-order), pruned weights stay 0.
QuantizedMatrix sweep_to_codes(ConstMatrixView weight, const NumberFormat& format,
                               const QuantizeOptions& options, const Statistics& statistics,
                               MatrixView values, Context& context) {
  const std::vector<float> importance = grid_importance(format, *statistics.inputs);
  QuantizeOptions for_grid = options;
  for_grid.importance = importance;
  const QuantizedMatrix grid = quantize_matrix(weight, format, for_grid, context);
  const Sweep sweep{
      .factor = statistics.inputs->factor_by_norm(context), .mask = options.mask, .grid = &grid};
  run_sweep(sweep, weight, values, context);
  return codes_on_grid(grid, options.mask, values, context);
}

}  // namespace

Quantizer gptq_quantizer() {
  return {"gptq", "rounds column by column, later columns make good for it", true, false,
          sweep_to_codes};
}

Quantizer gptaq_quantizer() {
  return {"gptaq", "gptq towards the dense model's outputs from the compressed inputs", true, true,
          sweep_to_codes};
}

}  // namespace scant
