#include "compress/input_scales.h"

#include <algorithm>

#include "compress/input_ranges.h"
#include "core/error.h"
#include "formats/best_scale.h"

namespace scant {
namespace {

constexpr int64_t kSampleTokens = 2048;  // over which `:mse` searches

InputQuantization quantization_of(const LayerPlan& plan, const InputRange& range) {
  InputQuantization result = *plan.activation;
  if (plan.activation_method.kind == ActivationMethod::Kind::kStatic) {
    result.scale = choose_scale(*plan.activation, range.values, range.sample.view());
  } else {
    result.cross = std::make_shared<CrossScales>(plan.activation_method.alpha, range.column_maxima);
  }
  return result;
}

}  // namespace

InputQuantizations input_quantizations(const Model& model, const WeightSource& weights,
                                       const CompressionPlan& plan, const Calibration* calibration,
                                       Context& context) {
  InputQuantizations result;
  std::map<std::string, const LayerPlan*, std::less<>> measured;
  bool search = false;
  for (const PlannedLayer& layer : plan.layers) {
    if (!layer.plan.activation) continue;
    if (!layer.plan.activation_method.needs_calibration()) {
      result.emplace(layer.info.name, *layer.plan.activation);
      continue;
    }
    measured.emplace(layer.info.name, &layer.plan);
    search |= layer.plan.activation->mse;
  }
  if (measured.empty()) return result;
  if (calibration == nullptr) {
    throw Error("--calibration", "missing; expected a text file, which " +
                                     measured.begin()->second->activation_method.spelling() +
                                     " activations are measured on");
  }
  const auto add = [&](const InputRanges& ranges) {
    std::vector<std::pair<const LayerPlan*, const InputRange*>> work;
    std::vector<std::string> names;
    for (const auto& [name, range] : ranges) {
      const auto found = measured.find(name);
      if (found == measured.end()) continue;
      names.push_back(name);
      work.emplace_back(found->second, range.get());
    }
    std::vector<std::optional<InputQuantization>> made(work.size());
    context.threads.parallel_for(static_cast<int64_t>(work.size()), [&](int64_t i) {
      const auto& [layer, range] = work[static_cast<size_t>(i)];
      made[static_cast<size_t>(i)] = quantization_of(*layer, *range);
    });
    for (size_t i = 0; i < names.size(); ++i) result.emplace(names[i], std::move(*made[i]));
  };
  measure_inputs(model, weights, *calibration, search ? kSampleTokens : 0, context, add);
  return result;
}

}  // namespace scant
