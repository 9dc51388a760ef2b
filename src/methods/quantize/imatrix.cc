#include "methods/quantize/quantizer.h"
#include "ops/simulate/simulate.h"

namespace scant {
namespace {

/// A group whose inputs are all 0 keeps the scale of its largest weight.
QuantizedMatrix search_scales(ConstMatrixView weight, const NumberFormat& format,
                              const QuantizeOptions& options, const Statistics& statistics,
                              MatrixView values, Context& context) {
  const std::vector<float> importance = statistics.inputs->squared_norms();
  QuantizeOptions weighted = options;
  weighted.importance = importance;
  return quantize_matrix(weight, format, weighted, context, values);
}

}  // namespace

Quantizer imatrix_quantizer() {
  return {"imatrix", "scales of least squared error, each weight's counted by its input", true,
          false, search_scales};
}

}  // namespace scant
