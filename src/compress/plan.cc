#include "compress/plan.h"

#include <algorithm>

#include "core/error.h"

namespace scant {
namespace {

std::string module_name(const std::string& tensor) {
  constexpr std::string_view kSuffix = ".weight";
  return tensor.ends_with(kSuffix) ? tensor.substr(0, tensor.size() - kSuffix.size()) : tensor;
}

/// Any stored parameter as a matrix of outputs x inputs; a vector is one row.
LinearInfo parameter_info(const StoredTensor& tensor) {
  LinearInfo info;
  info.name = module_name(tensor.name);
  info.tensor = tensor.name;
  info.kind = info.name.substr(info.name.rfind('.') + 1);
  info.block = -1;
  info.outputs = tensor.shape.size() < 2 ? 1 : tensor.shape[0];
  info.inputs = element_count(tensor.shape) / std::max<int64_t>(info.outputs, 1);
  return info;
}

/// Name patterns that remember whether they ever matched.
class Selection {
 public:
  Selection(const std::vector<NamePattern>& patterns, const char* option)
      : patterns_(patterns), matched_(patterns.size(), false), option_(option) {}

  bool matches(std::string_view name) {
    bool any = false;
    for (size_t i = 0; i < patterns_.size(); ++i) {
      if (!patterns_[i].matches(name)) continue;
      matched_[i] = true;
      any = true;
    }
    return any;
  }

  void require_all_matched(const std::string& example) const {
    for (size_t i = 0; i < patterns_.size(); ++i) {
      if (matched_[i]) continue;
      throw Error(option_, "\"" + patterns_[i].text() +
                               "\" matches no layer; a layer's name is, for example, " + example);
    }
  }

 private:
  const std::vector<NamePattern>& patterns_;
  std::vector<bool> matched_;
  const char* option_;
};

std::vector<LinearInfo> select_layers(const Model& model, const Recipe& recipe) {
  Selection only(recipe.only, "--only");
  Selection skip(recipe.skip, "--skip");
  Selection include(recipe.include, "include");
  std::vector<LinearInfo> selected;
  const std::vector<LinearInfo> linears = model.linears();
  for (const LinearInfo& info : linears) {
    const bool wanted = only.matches(info.name) || recipe.only.empty();
    const bool unwanted = skip.matches(info.name);
    if (wanted && !unwanted) selected.push_back(info);
  }
  if (!recipe.include.empty()) {
    for (const StoredTensor& tensor : model.checkpoint().tensors()) {
      const LinearInfo info = parameter_info(tensor);
      const bool linear = std::any_of(linears.begin(), linears.end(), [&](const LinearInfo& other) {
        return other.tensor == info.tensor;
      });
      if (!linear && include.matches(info.name) && !skip.matches(info.name))
        selected.push_back(info);
    }
  }
  const std::string example = linears.empty() ? "model.layers.0.mlp.up_proj" : linears.front().name;
  only.require_all_matched(example);
  skip.require_all_matched(example);
  include.require_all_matched("lm_head");
  return selected;
}

int64_t kept_weights(const LinearInfo& info, const CompressionSpec& spec) {
  if (!spec.pattern) return info.outputs * info.inputs;
  return spec.pattern->most_kept(info.outputs, info.inputs);
}

}  // namespace

NumberFormat plain_format_of(const StoredTensor& tensor) {
  const DType dtype = tensor.dtype.value_or(DType::kF32);
  const char* spelling = dtype == DType::kBF16 ? "bf16" : dtype == DType::kF16 ? "fp16" : "fp32";
  return NumberFormat::parse(spelling, Role::kWeight);
}

double CompressionPlan::bits_per_weight() const {
  return weights == 0 ? 0.0
                      : 8.0 * static_cast<double>(compressed_bytes) / static_cast<double>(weights);
}

CompressionPlan make_plan(const Model& model, const Recipe& recipe) {
  CompressionPlan plan;
  for (LinearInfo& info : select_layers(model, recipe)) {
    PlannedLayer layer{std::move(info), {}, {}};
    layer.plan = plan_layer(recipe, layer.info.name);
    if (layer.info.block < 0 && layer.plan.activation) layer.plan.activation.reset();
    if (!layer.plan.changes_weights() && !layer.plan.activation) continue;
    plan.layers.push_back(std::move(layer));
  }
  if (plan.layers.empty() && recipe.transforms.empty())
    throw Error("recipe", "changes no layer of this model");
  int64_t replaced = 0;
  for (PlannedLayer& layer : plan.layers) {
    if (!layer.plan.changes_weights()) continue;
    const LinearInfo& info = layer.info;
    const CompressionSpec& spec = layer.plan.weights;
    const StoredTensor& stored = model.checkpoint().require(info.tensor);
    // Without a format, kept values stay in the type that they have.
    layer.size = compressed_size(info.outputs, info.inputs, spec, plain_format_of(stored),
                                 kept_weights(info, spec));
    plan.compressed_bytes += layer.size.total();
    plan.weights += info.outputs * info.inputs;
    plan.largest_layer = std::max(plan.largest_layer, info.outputs * info.inputs);
    replaced += stored.bytes;
  }
  plan.source_bytes = replaced;
  for (const StoredTensor& tensor : model.checkpoint().tensors()) plan.other_bytes += tensor.bytes;
  plan.other_bytes -= replaced;
  plan.refit_epochs = recipe.refit_epochs;
  plan.source_other_bytes = plan.other_bytes;
  return plan;
}

void count_source(CompressionPlan& plan, const Model& source) {
  plan.source_bytes = 0;
  plan.source_other_bytes = 0;
  for (const PlannedLayer& layer : plan.layers) {
    const StoredTensor* stored = source.checkpoint().find(layer.info.tensor);
    if (stored != nullptr && layer.plan.changes_weights()) plan.source_bytes += stored->bytes;
  }
  for (const StoredTensor& tensor : source.checkpoint().tensors()) {
    plan.source_other_bytes += tensor.bytes;
  }
  plan.source_other_bytes -= plan.source_bytes;
}

}  // namespace scant
