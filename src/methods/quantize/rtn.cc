#include "methods/quantize/quantizer.h"

namespace scant {
namespace {

QuantizedMatrix round_to_nearest(ConstMatrixView weight, const NumberFormat& format,
                                 const QuantizeOptions& options, const Statistics&,
                                 Context& context) {
  return quantize(weight, format, options, context);
}

}  // namespace

Quantizer rtn_quantizer() {
  return {"rtn", "rounds every weight to the nearest code", round_to_nearest};
}

}  // namespace scant
