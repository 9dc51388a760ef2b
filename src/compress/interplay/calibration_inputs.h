#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/context.h"
#include "evaluate/sample_source.h"
#include "models/model.h"

namespace scant {

/// Inputs X of the linear layers of the dense model on calibration text: the same tokens for every
/// layer, spread evenly over the text and over positions.
struct CalibrationInputs {
  int64_t tokens = 0;  ///< rows of every X
  /// tokens x inputs, by layer name; layers that read the same input share it.
  std::map<std::string, std::shared_ptr<const Matrix>, std::less<>> by_layer;
};

/// Tokens for which all inputs together fit the memory that is set aside for them: at most 512, at
/// least 16.
int64_t calibration_tokens(const Model& model, const TextWindows& text);

/// Runs the dense model over the windows that the tokens come from.
CalibrationInputs collect_inputs(const Model& model, const TextWindows& text, Context& context);

}  // namespace scant
