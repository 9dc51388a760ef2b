#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compress/calibration.h"
#include "formats/scale.h"
#include "models/model.h"

namespace scant {

/// What the values of one input of linear layers span on calibration windows.
struct InputRange {
  BlockStatistics values;            ///< of all of them
  std::vector<float> column_maxima;  ///< max |x_j| of every feature
  Matrix sample;  ///< tokens x features, evenly spaced; empty unless tokens were asked for
};
/// By layer name; layers that read the same input share one.
using InputRanges = std::map<std::string, std::shared_ptr<const InputRange>, std::less<>>;

/// Runs the calibration windows through `weights` and hands over the ranges of each stage when it
/// is done. `sample_tokens` is about how many tokens are kept of each input. Results do not depend
/// on the number of threads. Throws Error naming the layer whose inputs are not finite.
void measure_inputs(const Model& model, const WeightSource& weights, const Calibration& calibration,
                    int64_t sample_tokens, Context& context,
                    const std::function<void(const InputRanges&)>& stage_done);

}  // namespace scant
