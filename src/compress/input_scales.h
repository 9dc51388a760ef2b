#pragma once

#include "compress/calibration.h"
#include "compress/plan.h"

namespace scant {

/// How each planned layer quantizes its inputs. Scales that are static are measured on the windows,
/// with `weights`, inputs not quantized: the scale of the largest magnitude, for `:mse` formats
/// that of least squared error over some 2048 tokens. Throws Error if a method needs `calibration`
/// and there is none (null).
InputQuantizations input_quantizations(const Model& model, const WeightSource& weights,
                                       const CompressionPlan& plan, const Calibration* calibration,
                                       Context& context);

}  // namespace scant
