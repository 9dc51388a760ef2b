#include "compress/recipe.h"

#include <utility>

#include "core/error.h"
#include "core/random.h"

namespace scant {
namespace {

/// A step with the overrides for one layer applied; nothing if an override says "none".
struct EffectiveStep {
  std::optional<SparsityPattern> pattern;
  std::optional<NumberFormat> format;
  std::string method;
};

std::optional<EffectiveStep> effective(const RecipeStep& step, std::string_view layer) {
  EffectiveStep result{step.pattern, step.format, step.method};
  bool none = false;
  for (const StepOverride& entry : step.overrides) {
    if (!entry.match.matches(layer)) continue;
    none = entry.none;
    if (entry.pattern) result.pattern = entry.pattern;
    if (entry.format) result.format = entry.format;
    if (entry.method) result.method = *entry.method;
  }
  if (none) return std::nullopt;
  return result;
}

class Planner {
 public:
  explicit Planner(std::string_view layer) : layer_(layer) {}

  void apply(StepKind kind, EffectiveStep step) {
    CompressionSpec& spec = plan_.weights;
    switch (kind) {
      case StepKind::kSparsify:
        if (spec.pattern) refuse("two steps sparsify it");
        if (spec.format) spec.order = Order::kQuantizeFirst;
        spec.pattern = std::move(step.pattern);
        spec.pruner = std::move(step.method);
        break;
      case StepKind::kQuantize:
        if (spec.format) refuse("two steps quantize it");
        if (spec.pattern) spec.order = Order::kSparsifyFirst;
        spec.format = std::move(step.format);
        spec.quantizer = std::move(step.method);
        break;
      case StepKind::kJoint:
        if (spec.pattern || spec.format) refuse("a joint step stands beside another step");
        spec.pattern = std::move(step.pattern);
        spec.format = std::move(step.format);
        spec.joint = std::move(step.method);
        spec.order = Order::kJoint;
        break;
      case StepKind::kActivations:
        if (plan_.activation) refuse("two steps quantize its activations");
        plan_.activation = std::move(step.format);
        if (!step.method.empty()) plan_.activation_method = ActivationMethod::parse(step.method);
        break;
    }
  }

  LayerPlan finish(uint64_t seed) {
    plan_.weights.seed = seed;
    plan_.weights.stream = hash_text(layer_.data(), layer_.size());
    if (plan_.changes_weights()) {
      if (const auto sentence = refusal(plan_.weights)) refuse(*sentence);
    }
    if (plan_.activation) {
      if (const auto sentence = plan_.activation_method.refusal(*plan_.activation)) {
        refuse(*sentence);
      }
    }
    return std::move(plan_);
  }

 private:
  [[noreturn]] void refuse(const std::string& sentence) const {
    throw Error("recipe: layer " + std::string(layer_), sentence);
  }

  std::string_view layer_;
  LayerPlan plan_;
};

}  // namespace

TransformStep parse_rotation(std::string_view where) {
  if (where != "residual" && where != "residual+down") {
    throw Error(
        "", "unknown rotation \"" + std::string(where) + "\"; expected residual or residual+down");
  }
  return {.kind = TransformStep::Kind::kRotate, .rotate_down = where == "residual+down"};
}

std::optional<std::string> refusal(const std::vector<TransformStep>& transforms) {
  for (size_t i = 1; i < transforms.size(); ++i) {
    if (transforms[i - 1].kind == transforms[i].kind || transforms.size() > 2) {
      return "a transform stands twice; expected each at most once";
    }
    if (transforms[i].kind == TransformStep::Kind::kRotate) {
      return "rotate folds the norms into the layers and would undo smooth; expected rotate before "
             "smooth";
    }
  }
  return std::nullopt;
}

std::vector<RecipeStep> steps_for(const std::optional<SparsityPattern>& pattern,
                                  const std::optional<NumberFormat>& format, Order order,
                                  const std::optional<NumberFormat>& activations,
                                  const StepMethods& methods) {
  std::vector<RecipeStep> steps;
  if (pattern && format && order == Order::kJoint) {
    steps.push_back({StepKind::kJoint, pattern, format, methods.joint, {}});
  } else {
    if (pattern) steps.push_back({StepKind::kSparsify, pattern, std::nullopt, methods.pruner, {}});
    if (format) steps.push_back({StepKind::kQuantize, std::nullopt, format, methods.quantizer, {}});
    if (order == Order::kQuantizeFirst) std::swap(steps.front(), steps.back());
  }
  if (activations) steps.push_back({StepKind::kActivations, std::nullopt, activations, "", {}});
  return steps;
}

LayerPlan plan_layer(const Recipe& recipe, std::string_view layer) {
  Planner planner(layer);
  for (const RecipeStep& step : recipe.steps) {
    if (auto result = effective(step, layer)) planner.apply(step.kind, std::move(*result));
  }
  return planner.finish(recipe.seed);
}

}  // namespace scant
