#include "cli/activation_options.h"

#include "cli/parse_option.h"
#include "core/error.h"

namespace scant {
void ActivationOptions::add_to(CLI::App& app) {
  app.add_option("--activations", format,
                 "Number format of the inputs of the compressed layers, such as int8");
  app.add_option("--activation-method", method,
                 "Where their scales come from: dynamic (default), static (one for all tokens, the "
                 "default for :tensor with --calibration), crossquant[:ALPHA]");
  app.add_option("--smooth", smooth,
                 "Move outliers of the inputs into the weights first (SmoothQuant): the inputs' "
                 "share, such as 0.5")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option(
      "--rotate", rotate,
      "Rotate the model first (QuaRot): residual, or residual+down for the inputs of the "
      "feed-forwards' last layers too, which scant alone runs");
}

bool ActivationOptions::any() const {
  return !format.empty() || !method.empty() || !rotate.empty() || smooth.has_value();
}

void ActivationOptions::apply(Recipe& recipe, bool calibrated) const {
  if (!rotate.empty()) {
    recipe.transforms.push_back(parse_option("--rotate", rotate, parse_rotation));
  }
  if (smooth) {
    recipe.transforms.push_back({.kind = TransformStep::Kind::kSmooth, .alpha = *smooth});
  }
  if (format.empty()) {
    if (!method.empty())
      throw Error("--activation-method", "has a meaning only with --activations");
    return;
  }
  const auto number = parse_option("--activations", format, [](const std::string& text) {
    return NumberFormat::parse(text, Role::kActivation);
  });
  ActivationMethod chosen;
  if (!method.empty()) {
    chosen = parse_option("--activation-method", method, ActivationMethod::parse);
    if (const auto sentence = chosen.refusal(number)) {
      throw Error("--activation-method", *sentence);
    }
  } else if (calibrated && number.granularity.kind == Granularity::Kind::kTensor) {
    chosen.kind = ActivationMethod::Kind::kStatic;
  }
  const std::string name = chosen == ActivationMethod{} ? "" : chosen.spelling();
  recipe.steps.push_back({StepKind::kActivations, std::nullopt, number, name, {}});
}

}  // namespace scant
