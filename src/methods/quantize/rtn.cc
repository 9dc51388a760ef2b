#include "methods/quantize/quantizer.h"
#include "ops/simulate/simulate.h"

namespace scant {
namespace {

QuantizedMatrix round_to_nearest(ConstMatrixView weight, const NumberFormat& format,
                                 const QuantizeOptions& options, const Statistics&,
                                 MatrixView values, Context& context) {
  return quantize_matrix(weight, format, options, context, values);
}

}  // namespace

Quantizer rtn_quantizer() {
  return {"rtn", "rounds every weight to the nearest code", false, false, round_to_nearest};
}

}  // namespace scant
