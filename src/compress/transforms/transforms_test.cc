#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "compress/transforms/transform_model.h"
#include "core/error.h"
#include "models/structure.h"
#include "models/testing_checkpoint.h"

namespace scant {
namespace {

using testing::HasSubstr;

const std::vector<int32_t> kIds = {3, 17, 5, 29, 11, 2, 7, 23, 19, 13, 31, 1};

/// A fixture whose norms weigh features differently and whose stream has outliers, so that folding
/// has something to fold.
std::shared_ptr<MemoryCheckpoint> uneven(const std::string& name) {
  auto checkpoint = std::make_shared<MemoryCheckpoint>(fixture(name));
  for (const StoredTensor& tensor : std::vector<StoredTensor>(checkpoint->tensors())) {
    if (tensor.name.find("norm") == std::string::npos || !tensor.name.ends_with(".weight"))
      continue;
    std::vector<float>& values = checkpoint->edit(tensor.name);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] *= i % 7 == 3 ? 4.0f : 0.5f + 0.1f * static_cast<float>(i % 5);
  }
  return checkpoint;
}

TransformStep rotation(bool down) {
  return {.kind = TransformStep::Kind::kRotate, .rotate_down = down};
}
TransformStep smoothing(double alpha) {
  return {.kind = TransformStep::Kind::kSmooth, .alpha = alpha};
}

std::unique_ptr<Model> transformed(const Model& model, std::vector<TransformStep> steps,
                                   int threads = 1) {
  Recipe recipe;
  recipe.seed = 4;
  recipe.transforms = std::move(steps);
  Calibration calibration;
  for (int32_t w = 0; w < 3; ++w) {
    std::vector<int32_t> window = kIds;
    for (int32_t& id : window) id = (id + 3 * w) % 32;
    calibration.windows.push_back(window);
  }
  ThreadPool pool(threads);
  Context context{.threads = pool};
  return transform_model(model, recipe, &calibration, context);
}

/// Largest difference of logits over the largest logit.
double difference(const Model& a, const Model& b) {
  const Matrix x = logits_of(a, kIds), y = logits_of(b, kIds);
  double worst = 0, largest = 0;
  for (int64_t i = 0; i < x.size(); ++i) {
    worst = std::max<double>(worst, std::fabs(x.data()[i] - y.data()[i]));
    largest = std::max<double>(largest, std::fabs(x.data()[i]));
  }
  return worst / largest;
}

/// Largest change of a weight that the transform made: it did something.
double change_of_weights(const Model& a, const Model& b) {
  double largest = 0;
  for (const LinearInfo& info : a.linears()) {
    const LinearLayer before = a.weights().linear(info);
    const LinearLayer after = b.weights().linear(info);
    const auto& x = std::get<DenseTerm>(before.terms[0]).weight;
    const auto& y = std::get<DenseTerm>(after.terms[0]).weight;
    double sum = 0, norm = 0;
    for (int64_t i = 0; i < x.size(); ++i) {
      sum += std::pow(x.data()[i] - y.data()[i], 2);
      norm += std::pow(x.data()[i], 2);
    }
    largest = std::max(largest, std::sqrt(sum / norm));
  }
  return largest;
}

class RmsFamily : public testing::TestWithParam<const char*> {};

TEST_P(RmsFamily, ComputesTheSameWhateverItIsTransformedBy) {
  const auto model = Model::from_checkpoint(uneven(GetParam()), LinearInputs{});
  const std::vector<std::vector<TransformStep>> cases = {{rotation(false)},
                                                         {rotation(true)},
                                                         {smoothing(0.5)},
                                                         {smoothing(0.8)},
                                                         {rotation(false), smoothing(0.5)},
                                                         {rotation(true), smoothing(0.5)}};
  for (const auto& steps : cases) {
    const auto result = transformed(*model, steps);
    EXPECT_LT(difference(*model, *result), 2e-5);
    EXPECT_GT(change_of_weights(*model, *result), 0.1);
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, RmsFamily,
                         testing::Values("llama", "llama_tied_bias", "llama_linear", "mistral",
                                         "qwen2", "qwen3", "qwen3_window_bias"),
                         [](const auto& test) { return std::string(test.param); });

class LayerNormFamily : public testing::TestWithParam<const char*> {};

TEST_P(LayerNormFamily, IsSmoothedExactlyAndNotRotated) {
  const auto model = Model::from_checkpoint(uneven(GetParam()), LinearInputs{});
  const auto result = transformed(*model, {smoothing(0.5)});
  EXPECT_LT(difference(*model, *result), 2e-5);
  EXPECT_GT(change_of_weights(*model, *result), 0.1);
  EXPECT_THAT(message_of([&] { transformed(*model, {rotation(false)}); }),
              HasSubstr("has layer norms"));
}

INSTANTIATE_TEST_SUITE_P(Fixtures, LayerNormFamily,
                         testing::Values("gpt2", "gpt2_options", "opt", "opt_plain",
                                         "opt_post_norm", "opt_pre_norm_projected"),
                         [](const auto& test) { return std::string(test.param); });

TEST(Rotate, FoldsTheNormsAndUntiesTheHead) {
  const auto model = Model::from_checkpoint(uneven("llama_tied_bias"), LinearInputs{});
  ASSERT_TRUE(model->facts().tied_head);
  const auto result = transformed(*model, {rotation(false)});
  EXPECT_FALSE(result->facts().tied_head);
  const Checkpoint& checkpoint = result->checkpoint();
  EXPECT_NE(checkpoint.find("lm_head.weight"), nullptr);
  EXPECT_EQ(checkpoint.config()["tie_word_embeddings"], false);
  const ModelStructure structure = result->structure();
  for (const NormReaders& entry : structure.norms) {
    const Matrix weight = result->weights().parameter(entry.norm.weight);
    for (const float value : weight.values()) EXPECT_EQ(value, 1.0f);
  }
  for (const LinearInfo& info : result->linears()) EXPECT_EQ(info.input_rotation, nullptr);
  const auto online = transformed(*model, {rotation(true)});
  for (const LinearInfo& info : online->linears()) {
    EXPECT_EQ(info.input_rotation != nullptr, info.kind == "down_proj") << info.name;
  }
}

TEST(Rotate, SpreadsOutliersOfTheStream) {
  auto checkpoint = uneven("llama");
  std::vector<float>& embedding = checkpoint->edit("model.embed_tokens.weight");
  const auto hidden = static_cast<size_t>(checkpoint->config()["hidden_size"].get<int64_t>());
  for (size_t i = 5; i < embedding.size(); i += hidden) embedding[i] *= 50.0f;
  const auto model = Model::from_checkpoint(checkpoint, LinearInputs{});
  const auto result = transformed(*model, {rotation(false)});
  EXPECT_LT(difference(*model, *result), 5e-5);
  const auto peak = [&](const Model& of) {  // largest over root mean square
    const Matrix rows = of.weights().rows("model.embed_tokens.weight", 0, 16);
    double largest = 0, sum = 0;
    for (const float value : rows.values()) {
      largest = std::max<double>(largest, std::fabs(value));
      sum += static_cast<double>(value) * value;
    }
    return largest / std::sqrt(sum / static_cast<double>(rows.size()));
  };
  EXPECT_LT(peak(*result), 0.6 * peak(*model));
}

TEST(Transforms, DoNotDependOnThreads) {
  const auto model = Model::from_checkpoint(uneven("qwen3"), LinearInputs{});
  const auto one = transformed(*model, {rotation(true), smoothing(0.5)}, 1);
  const auto three = transformed(*model, {rotation(true), smoothing(0.5)}, 3);
  EXPECT_EQ(difference(*one, *three), 0.0);
}

TEST(Transforms, AreRefusedWhereTheyWouldNotHold) {
  const auto model = Model::from_checkpoint(uneven("llama"), LinearInputs{});
  EXPECT_THAT(message_of([&] {
                transformed(*model, {smoothing(0.5), rotation(false)});
              }),
              HasSubstr("expected rotate before smooth"));
  LinearInputs inputs;
  inputs.quantizations.emplace("model.layers.0.mlp.down_proj",
                               NumberFormat::parse("int8", Role::kActivation));
  const auto quantized = Model::from_checkpoint(uneven("llama"), inputs);
  EXPECT_THAT(message_of([&] { transformed(*quantized, {rotation(false)}); }),
              HasSubstr("expected a dense model"));
  Recipe recipe;
  recipe.transforms = {smoothing(0.5)};
  ThreadPool pool(1);
  Context context{.threads = pool};
  EXPECT_THAT(message_of([&] { transform_model(*model, recipe, nullptr, context); }),
              HasSubstr("--calibration"));
}

}  // namespace
}  // namespace scant
