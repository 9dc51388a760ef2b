#pragma once

#include <memory>

#include "compress/calibration.h"
#include "compress/recipe.h"
#include "models/model.h"

namespace scant {

/// The dense model that the recipe's transforms make of `model`: its tensors are computed when they
/// are read, everything downstream sees an ordinary model. Null if the recipe has none. Throws
/// Error with one sentence if a transform cannot be folded into this model, if the model carries
/// quantized or rotated inputs already, or if smooth has no `calibration` (null).
std::unique_ptr<Model> transform_model(const Model& model, const Recipe& recipe,
                                       const Calibration* calibration, Context& context);

}  // namespace scant
