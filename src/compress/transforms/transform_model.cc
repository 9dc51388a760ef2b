#include "compress/transforms/transform_model.h"

#include <algorithm>

#include "compress/transforms/rotate.h"
#include "compress/transforms/smooth.h"
#include "core/error.h"

namespace scant {
namespace {

std::unique_ptr<Model> apply(const Model& model, const TransformStep& step, uint64_t seed,
                             const Calibration* calibration, Context& context) {
  if (step.kind == TransformStep::Kind::kRotate) {
    return rotate_model(model, step.rotate_down, seed);
  }
  if (calibration == nullptr) {
    throw Error("--calibration",
                "missing; expected a text file, which smooth measures the inputs of layers on");
  }
  return smooth_model(model, step.alpha, *calibration, context);
}

}  // namespace

std::unique_ptr<Model> transform_model(const Model& model, const Recipe& recipe,
                                       const Calibration* calibration, Context& context) {
  if (recipe.transforms.empty()) return nullptr;
  if (const auto sentence = refusal(recipe.transforms)) throw Error("recipe", *sentence);
  const std::vector<LinearInfo> linears = model.linears();
  if (!model.activations().empty() || std::ranges::any_of(linears, [](const LinearInfo& info) {
        return info.input_rotation != nullptr;
      })) {
    throw Error(model.checkpoint().path(),
                "carries quantized or rotated inputs in scant.json, which a transform would not "
                "fit; expected a dense model");
  }
  std::unique_ptr<Model> result;
  for (const TransformStep& step : recipe.transforms) {
    result = apply(result ? *result : model, step, recipe.seed, calibration, context);
  }
  return result;
}

}  // namespace scant
