#include "models/model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "models/config_reader.h"
#include "models/families/all_families.h"
#include "models/model_builder.h"
#include "models/structure.h"
#include "ops/gemm.h"

namespace scant {

std::unique_ptr<DifferentiableStage> Stage::differentiable(const WeightSource&) const {
  return nullptr;
}
namespace {

const Family& family_of(const ConfigReader& config) {
  const std::vector<std::string> names = config.texts("architectures");
  const std::string type = config.text_or("model_type", "");
  for (const Family& family : all_families()) {
    const bool same = names.empty() ? family.model_type == type : family.architecture == names[0];
    if (same) return family;
  }
  const std::string given = names.empty() ? fmt::format("model_type {}", type) : names[0];
  throw Error(config.where(),
              fmt::format("architecture {} is not supported; expected one of {}",
                          given.substr(0, 80), fmt::join(supported_architectures(), ", ")));
}

}  // namespace

std::vector<std::string> supported_architectures() {
  std::vector<std::string> names;
  for (const Family& family : all_families()) names.emplace_back(family.architecture);
  return names;
}

std::unique_ptr<Model> Model::open(const std::string& path) {
  return from_checkpoint(Checkpoint::open(path));
}

std::unique_ptr<Model> Model::from_checkpoint(std::shared_ptr<const Checkpoint> checkpoint) {
  LinearInputs inputs = read_linear_inputs(*checkpoint);
  return from_checkpoint(std::move(checkpoint), std::move(inputs));
}

std::unique_ptr<Model> Model::from_checkpoint(std::shared_ptr<const Checkpoint> checkpoint,
                                              LinearInputs inputs) {
  if (checkpoint->config().is_null() || checkpoint->tensors().empty()) {
    throw Error(checkpoint->path(), "holds no weights; expected a model");
  }
  const ConfigReader config(checkpoint->config(), checkpoint->path());
  const Family& family = family_of(config);
  ModelBuilder builder(std::move(checkpoint), std::string(family.architecture), std::move(inputs));
  family.build(builder);
  return builder.finish();
}

std::vector<LinearInfo> Model::linears() const {
  std::vector<LinearInfo> all;
  for (const auto& stage : stages_) {
    all.insert(all.end(), stage->linears().begin(), stage->linears().end());
  }
  return all;
}

ModelStructure Model::structure() const {
  ModelStructure structure;
  for (const auto& stage : stages_) stage->describe(structure);
  head_->describe(structure);
  return structure;
}

void run_stages(const Model& model, const WeightSource& weights, std::span<State> batch, Tap* tap,
                Context& context, const std::function<void(size_t)>& after_stage) {
  for (size_t index = 0; index < model.stages().size(); ++index) {
    const auto stage = model.stages()[index]->load(weights);
    context.threads.parallel_for(static_cast<int64_t>(batch.size()), [&](int64_t sample) {
      if (context.cancelled()) throw Error("", "stopped");
      stage->run(batch[static_cast<size_t>(sample)], sample, tap);
    });
    if (after_stage) after_stage(index);
  }
}

int64_t head_slice_rows(const Model& model) {
  constexpr int64_t kSliceValues = int64_t{8} << 20;  // 32 MiB
  constexpr int64_t kLargest = 4096;                  // beyond it products do not get faster
  const int64_t features = std::max<int64_t>(1, model.facts().hidden);
  const int64_t rows = std::clamp<int64_t>(kSliceValues / features, 64, kLargest);
  return std::min(rows, model.head().vocabulary());
}

void head_logits(ConstMatrixView hidden, ConstMatrixView slice, MatrixView logits) {
  gemm(hidden, slice, logits, {.b = Transpose::kYes});
}

Matrix logits(const Model& model, const State& state, Context& context) {
  const int64_t vocabulary = model.head().vocabulary();
  const int64_t step = head_slice_rows(model);
  Matrix result(state.hidden.rows(), vocabulary);
  context.threads.parallel_for((vocabulary + step - 1) / step, [&](int64_t piece) {
    const int64_t begin = piece * step;
    const int64_t count = std::min(step, vocabulary - begin);
    const Matrix slice = model.head().load_slice(model.weights(), begin, count);
    head_logits(state.hidden.view(), slice.view(), result.view().cols_from(begin, count));
  });
  return result;
}

}  // namespace scant
