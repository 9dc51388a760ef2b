#include "models/model_builder.h"

#include <fmt/format.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "models/blocks/head.h"
#include "models/checkpoint_weights.h"

namespace scant {
namespace {

std::string config_file(const Checkpoint& checkpoint) {
  std::error_code error;
  if (!std::filesystem::is_directory(checkpoint.path(), error)) return checkpoint.path();
  return (std::filesystem::path(checkpoint.path()) / "config.json").string();
}

// A checkpoint that holds two different tensors for a tied head has an untied one (transformers 5
// reads it so).
bool differ(const Checkpoint& checkpoint, const std::string& a, const std::string& b) {
  const StoredTensor* first = checkpoint.find(a);
  const StoredTensor* second = checkpoint.find(b);
  if (first == nullptr || second == nullptr) return false;
  const TensorView x = checkpoint.raw(*first);
  const TensorView y = checkpoint.raw(*second);
  if (x.data == nullptr || y.data == nullptr || x.dtype != y.dtype || x.shape != y.shape) {
    return false;
  }
  return std::memcmp(x.data, y.data, x.bytes()) != 0;
}

}  // namespace

ModelBuilder::ModelBuilder(std::shared_ptr<const Checkpoint> checkpoint, std::string architecture,
                           LinearInputs inputs)
    : checkpoint_(std::move(checkpoint)),
      model_(std::make_unique<Model>()),
      config_(checkpoint_->config(), config_file(*checkpoint_)),
      inputs_(std::move(inputs)) {
  model_->checkpoint_ = checkpoint_;
  model_->facts_.architecture = std::move(architecture);
}

std::string ModelBuilder::prefix(std::initializer_list<std::string_view> candidates,
                                 std::string_view tensor) const {
  for (const std::string_view candidate : candidates) {
    if (has(fmt::format("{}{}", candidate, tensor))) return std::string(candidate);
  }
  return std::string(*candidates.begin());
}

bool ModelBuilder::has(const std::string& tensor) const {
  return checkpoint_->find(tensor) != nullptr;
}

std::string ModelBuilder::parameter(const std::string& tensor, const Shape& shape) const {
  const StoredTensor* stored = checkpoint_->find(tensor);
  const std::string& architecture = model_->facts_.architecture;
  if (stored == nullptr) {
    throw Error(checkpoint_->path(), fmt::format("tensor {} is missing; expected {} for {}", tensor,
                                                 shape_text(shape), architecture));
  }
  if (stored->shape != shape) {
    throw Error(checkpoint_->path(), fmt::format("tensor {} in {} has shape {}; expected {} for {}",
                                                 tensor, stored->file, shape_text(stored->shape),
                                                 shape_text(shape), architecture));
  }
  return tensor;
}

std::vector<float> ModelBuilder::values(const std::string& tensor) const {
  const Matrix values = CheckpointWeights(checkpoint_).parameter(tensor);
  return {values.values().begin(), values.values().end()};
}

LinearInfo ModelBuilder::linear(const std::string& name, int64_t block, int64_t outputs,
                                int64_t inputs, LinearOptions options) const {
  LinearInfo info;
  info.name = name;
  info.kind = name.substr(name.rfind('.') + 1);
  info.block = block;
  info.outputs = outputs;
  info.inputs = inputs;
  info.transposed = options.transposed;
  info.bias = options.bias;
  info.tensor = parameter(name + ".weight",
                          options.transposed ? Shape{inputs, outputs} : Shape{outputs, inputs});
  if (options.bias) parameter(name + ".bias", {outputs});
  const auto rotation = inputs_.rotations.find(name);
  if (rotation != inputs_.rotations.end()) info.input_rotation = rotation->second;
  return info;
}

void ModelBuilder::add_stage(std::unique_ptr<Stage> stage) {
  model_->stages_.push_back(std::move(stage));
}

void ModelBuilder::set_head(const std::string& head, const std::string& embedding, int64_t features,
                            bool tied_by_default) {
  ModelFacts& facts = model_->facts_;
  facts.tied_head = config_.flag_or("tie_word_embeddings", tied_by_default || !has(head)) &&
                    !differ(*checkpoint_, head, embedding);
  const std::string& tensor = facts.tied_head ? embedding : head;
  model_->head_ = std::make_unique<VocabularyHead>(parameter(tensor, {facts.vocabulary, features}),
                                                   head, facts.vocabulary, features);
}

// Every layer that scant.json names is there and has inputs of that size.
void ModelBuilder::check_inputs() const {
  std::map<std::string, int64_t> widths;
  for (const LinearInfo& info : model_->linears()) widths.emplace(info.name, info.inputs);
  const auto check = [&](const char* what, const std::string& module, int64_t width) {
    const auto found = widths.find(module);
    if (found == widths.end()) {
      throw Error(checkpoint_->path(), fmt::format("scant.json names {} of {}, but the model has "
                                                   "no such linear layer",
                                                   what, module));
    }
    if (width != found->second) {
      throw Error(checkpoint_->path(), fmt::format("scant.json has {} of {} for {} inputs; "
                                                   "expected {}",
                                                   what, module, width, found->second));
    }
  };
  for (const auto& [module, quantization] : inputs_.quantizations) {
    const auto& cross = quantization.cross;
    check("activations", module,
          cross                     ? static_cast<int64_t>(cross->column_maxima().size())
          : widths.contains(module) ? widths.at(module)
                                    : 0);
  }
  for (const auto& [module, rotation] : inputs_.rotations) {
    check("rotations", module, rotation->size());
  }
}

std::unique_ptr<Model> ModelBuilder::finish() {
  check_inputs();
  model_->weights_ =
      std::make_unique<CheckpointWeights>(checkpoint_, std::move(inputs_.quantizations));
  return std::move(model_);
}

}  // namespace scant
