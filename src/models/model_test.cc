#include "models/model.h"

#include <gmock/gmock.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <mutex>
#include <numeric>
#include <set>

#include "models/testing_checkpoint.h"

namespace scant {
namespace {

using testing::HasSubstr;

const std::vector<int32_t> kIds = {5, 17, 3, 60, 42, 8, 8, 21, 33, 9};

std::shared_ptr<MemoryCheckpoint> copy_of(const std::string& name) {
  return std::make_shared<MemoryCheckpoint>(fixture(name));
}

std::string refusal(const std::shared_ptr<const Checkpoint>& checkpoint) {
  return message_of([&] { Model::from_checkpoint(checkpoint); });
}

void expect_equal(const Matrix& a, const Matrix& b) {
  ASSERT_EQ(a.size(), b.size());
  for (int64_t i = 0; i < a.size(); ++i) ASSERT_EQ(a.data()[i], b.data()[i]) << i;
}

TEST(Model, ReportsFactsStagesAndLinearLayers) {
  const auto model = Model::open(fixture("llama_tied_bias"));
  const ModelFacts& facts = model->facts();
  EXPECT_EQ(facts.architecture, "LlamaForCausalLM");
  EXPECT_EQ(facts.layers, 2);
  EXPECT_EQ(facts.heads, 4);
  EXPECT_EQ(facts.kv_heads, 2);
  EXPECT_EQ(facts.head_dim, 12);
  EXPECT_EQ(facts.vocabulary, 67);
  EXPECT_TRUE(facts.tied_head);
  ASSERT_EQ(model->stages().size(), 4u);
  EXPECT_EQ(model->stages()[0]->name(), "embed");
  EXPECT_EQ(model->stages()[2]->name(), "block 1");
  EXPECT_EQ(model->stages()[3]->name(), "final norm");
  const std::vector<LinearInfo> linears = model->linears();
  ASSERT_EQ(linears.size(), 14u);
  EXPECT_EQ(linears[8].name, "model.layers.1.self_attn.k_proj");
  EXPECT_EQ(linears[8].tensor, "model.layers.1.self_attn.k_proj.weight");
  EXPECT_EQ(linears[8].kind, "k_proj");
  EXPECT_EQ(linears[8].block, 1);
  EXPECT_EQ(linears[8].outputs, 24);
  EXPECT_EQ(linears[8].inputs, 32);
  EXPECT_TRUE(linears[8].bias);
}

TEST(Model, Gpt2LinearLayersAreTransposedWithOutputsFirst) {
  const auto model = Model::open(fixture("gpt2"));
  const LinearInfo info = model->linears()[0];
  EXPECT_EQ(info.name, "transformer.h.0.attn.c_attn");
  EXPECT_TRUE(info.transposed);
  EXPECT_EQ(info.outputs, 96);
  EXPECT_EQ(info.inputs, 32);
  const LinearLayer layer = model->weights().linear(info);
  const Matrix stored = model->weights().parameter(info.tensor);
  const Matrix& weight = std::get<DenseTerm>(layer.terms[0]).weight;
  ASSERT_EQ(weight.rows(), 96);
  ASSERT_EQ(stored.rows(), 32);
  for (int64_t o = 0; o < 96; ++o) {
    for (int64_t i = 0; i < 32; ++i) ASSERT_EQ(weight(o, i), stored(i, o));
  }
}

TEST(Model, RefusesAnUnknownArchitectureAndListsTheKnownOnes) {
  const auto checkpoint = copy_of("llama");
  checkpoint->edit_config()["architectures"] = {"MambaForCausalLM"};
  const std::string text = refusal(checkpoint);
  EXPECT_THAT(text, HasSubstr("MambaForCausalLM"));
  for (const std::string& name : supported_architectures()) EXPECT_THAT(text, HasSubstr(name));
}

TEST(Model, TakesTheModelTypeWhereArchitecturesAreMissing) {
  const auto checkpoint = copy_of("qwen3");
  checkpoint->edit_config().erase("architectures");
  EXPECT_EQ(Model::from_checkpoint(checkpoint)->facts().architecture, "Qwen3ForCausalLM");
}

TEST(Model, NamesAMissingTensorWithTheShapeItShouldHave) {
  const auto checkpoint = copy_of("llama");
  checkpoint->rename("model.layers.1.mlp.up_proj.weight", "other");
  EXPECT_THAT(refusal(checkpoint), HasSubstr("tensor model.layers.1.mlp.up_proj.weight is missing; "
                                             "expected [44, 32]"));
}

TEST(Model, NamesAMissingBiasAndAMissingUntiedHead) {
  const auto bias = copy_of("qwen2");
  bias->rename("model.layers.0.self_attn.k_proj.bias", "other");
  EXPECT_THAT(refusal(bias), HasSubstr("model.layers.0.self_attn.k_proj.bias is missing"));
  const auto head = copy_of("llama");
  head->rename("lm_head.weight", "other");
  EXPECT_THAT(refusal(head), HasSubstr("tensor lm_head.weight is missing; expected [67, 32]"));
}

TEST(Model, NamesATensorOfWrongShapeWithBothShapes) {
  const auto checkpoint = copy_of("opt");
  checkpoint->edit_config()["ffn_dim"] = 48;
  EXPECT_THAT(refusal(checkpoint),
              HasSubstr("tensor model.decoder.layers.0.fc1.weight in model.safetensors has shape "
                        "[44, 32]; expected [48, 32]"));
}

TEST(Model, RefusesOptionsItDoesNotSupportInOneSentence) {
  const std::vector<std::tuple<std::string, nlohmann::json, std::string>> cases = {
      {"llama", {{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}}}}, "yarn"},
      {"llama", {{"rope_scaling", {{"type", "dynamic"}, {"factor", 4.0}}}}, "dynamic"},
      {"llama", {{"rope_scaling", {{"type", "linear"}}}}, "rope_scaling.factor is missing"},
      {"llama",
       {{"rope_parameters", {{"full_attention", {{"rope_type", "default"}}}}}},
       "differs between layers"},
      {"llama", {{"partial_rotary_factor", 0.5}}, "partial_rotary_factor"},
      {"llama", {{"hidden_act", "mish"}}, "hidden_act mish is not supported"},
      {"llama", {{"num_key_value_heads", 3}}, "num_key_value_heads is 3"},
      {"llama", {{"hidden_size", "big"}}, "hidden_size is \"big\"; expected a whole number"},
      {"llama", {{"hidden_size", 0}}, "hidden_size is 0"},
      {"llama", {{"hidden_size", 1e300}}, "hidden_size"},
      {"llama", {{"num_hidden_layers", nullptr}}, "num_hidden_layers is missing"},
      {"llama", {{"num_hidden_layers", 2000000000}}, "model.layers.2."},
      {"qwen3_window_bias", {{"layer_types", {"full_attention"}}}, "layer_types has 1 entries"},
      {"qwen3_window_bias", {{"layer_types", {"chunked", "chunked"}}}, "layer_types has chunked"},
      {"gpt2", {{"add_cross_attention", true}}, "add_cross_attention"},
      {"gpt2", {{"n_head", 5}}, "n_head is 5"},
  };
  for (const auto& [name, change, expected] : cases) {
    const auto checkpoint = copy_of(name);
    checkpoint->edit_config().update(change);
    EXPECT_THAT(refusal(checkpoint), HasSubstr(expected));
  }
}

TEST(Model, NamesTheTensorThatHoldsANan) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    const auto checkpoint = copy_of("llama");
    checkpoint->edit("model.layers.1.mlp.down_proj.weight")[70] = bad;
    const auto model = Model::from_checkpoint(checkpoint);
    EXPECT_THAT(
        message_of([&] { logits_of(*model, kIds); }),
        testing::AllOf(HasSubstr("tensor model.layers.1.mlp.down_proj.weight: the value at"),
                       HasSubstr(std::isnan(bad) ? "is NaN" : "is infinite")));
  }
}

TEST(Model, RefusesTokensOutsideTheVocabularyAndSamplesThatAreTooLong) {
  const auto model = Model::open(fixture("opt"));
  EXPECT_THAT(message_of([&] {
                logits_of(*model, {1, 67});
              }),
              HasSubstr("id 67 is not in the model's vocabulary of 67"));
  EXPECT_THROW(logits_of(*model, {-1}), Error);
  EXPECT_THAT(message_of([&] { logits_of(*model, std::vector<int32_t>(21, 1)); }),
              HasSubstr("21 positions are more than the model's 20"));
}

TEST(Model, GivesTheSameBitsForAnyNumberOfThreadsAndAnyBatch) {
  for (const char* name : {"llama", "opt_post_norm", "gpt2"}) {
    const auto model = Model::open(fixture(name));
    const Matrix one = logits_of(*model, kIds, 1);
    ThreadPool pool(3);
    Context context{.threads = pool};
    std::vector<State> batch(5);
    for (size_t i = 0; i < batch.size(); ++i) {
      batch[i].tokens.assign(kIds.begin(), kIds.begin() + 2 * static_cast<int64_t>(i + 1));
    }
    run_stages(*model, model->weights(), batch, nullptr, context);
    expect_equal(logits(*model, batch[4], context), one);
    for (size_t i = 0; i < batch.size(); ++i) {
      expect_equal(logits(*model, batch[i], context), logits_of(*model, batch[i].tokens));
    }
  }
}

TEST(Model, HeadSlicesMakeUpTheWholeHead) {
  const auto model = Model::open(fixture("qwen2"));
  const Matrix whole = model->head().load_slice(model->weights(), 0, model->head().vocabulary());
  const Matrix part = model->head().load_slice(model->weights(), 60, 7);
  for (int64_t i = 0; i < part.size(); ++i) EXPECT_EQ(part.data()[i], whole.row(60)[i]);
  EXPECT_LE(head_slice_rows(*model), model->head().vocabulary());
}

TEST(Model, ATiedHeadWithADifferentTensorOfItsOwnIsUntied) {
  const auto same = copy_of("qwen2");
  same->add("lm_head.weight", {67, 32}, same->edit("model.embed_tokens.weight"));
  EXPECT_TRUE(Model::from_checkpoint(same)->facts().tied_head);
  const auto different = copy_of("qwen2");
  different->add("lm_head.weight", {67, 32}, std::vector<float>(67 * 32, 0.5f));
  EXPECT_FALSE(Model::from_checkpoint(different)->facts().tied_head);
}

TEST(Model, TensorNamesMayLackTheNameOfTheInnerModel) {
  const Matrix expected = logits_of(*Model::open(fixture("llama")), kIds);
  const auto checkpoint = copy_of("llama");
  const std::vector<StoredTensor> tensors = checkpoint->tensors();
  for (const StoredTensor& tensor : tensors) {
    if (tensor.name.starts_with("model.")) checkpoint->rename(tensor.name, tensor.name.substr(6));
  }
  expect_equal(logits_of(*Model::from_checkpoint(checkpoint), kIds), expected);
}

TEST(Model, DividesFrequenciesByTheFactorsOfAGguf) {
  // Factors of one half make position p what 2p is without: compare with linear scaling.
  const auto linear = copy_of("llama");
  linear->edit_config()["rope_scaling"] = {{"type", "linear"}, {"factor", 0.5}};
  const auto factors = copy_of("llama");
  factors->edit_config()["rope_scaling"] = {{"rope_type", "gguf_factors"}};
  EXPECT_THAT(refusal(factors), HasSubstr("gguf_factors"));
  factors->add("rope_freqs.weight", {4}, std::vector<float>(4, 0.5f));
  expect_equal(logits_of(*Model::from_checkpoint(factors), kIds),
               logits_of(*Model::from_checkpoint(linear), kIds));
}

TEST(Model, AGgufGivesTheLogitsOfTheFolderItWasMadeFrom) {
  const std::string root = SCANT_SOURCE_DIR "/tests/goldens/gguf/";
  const auto gguf = Model::open(root + "llama_tiny.gguf");
  const auto folder = Model::open(root + "llama_tiny");
  const std::vector<int32_t> ids = {1, 2, 3, 4, 5, 6};
  const Matrix a = logits_of(*gguf, ids);
  const Matrix b = logits_of(*folder, ids);
  ASSERT_EQ(a.size(), b.size());
  for (int64_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a.data()[i], b.data()[i], 1e-5);
}

/// Sees the inputs of all linear layers.
class Recorder : public Tap {
 public:
  void linear_input(std::span<const LinearLayer> readers, ConstMatrixView input,
                    int64_t sample) override {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(sample, 0);
    for (const LinearLayer& layer : readers) {
      EXPECT_EQ(input.cols, layer.info.inputs);
      seen.push_back(layer.info.name);
    }
  }
  bool needs_output(const LinearInfo& layer) const override { return layer.name != unread; }
  std::vector<std::string> seen;
  std::string unread;

 private:
  std::mutex mutex_;
};

TEST(Model, ATapSeesTheInputOfEveryLinearLayerOnceInTheOrderOfTheirList) {
  for (const std::string& name : fixture_names()) {
    SCOPED_TRACE(name);
    const auto model = Model::open(fixture(name));
    ThreadPool pool(1);
    Context context{.threads = pool};
    std::vector<State> batch(1);
    batch[0].tokens = kIds;
    Recorder recorder;
    std::vector<size_t> stages;
    run_stages(*model, model->weights(), batch, &recorder, context,
               [&](size_t index) { stages.push_back(index); });
    std::vector<std::string> expected;
    for (const LinearInfo& info : model->linears()) expected.push_back(info.name);
    EXPECT_EQ(recorder.seen, expected);
    std::vector<size_t> all(model->stages().size());
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(stages, all);
  }
}

TEST(Model, LeavesOutALayerWhoseOutputATapDoesNotNeed) {
  const auto model = Model::open(fixture("llama"));
  const Stage& block = *model->stages()[1];
  const auto loaded = block.load(model->weights());
  const auto run = [&](const std::string& unread) {
    State state{.tokens = kIds, .hidden = Matrix(static_cast<int64_t>(kIds.size()), 32)};
    for (int64_t i = 0; i < state.hidden.size(); ++i) {
      state.hidden.data()[i] = 0.01f * static_cast<float>(i % 7);
    }
    Recorder recorder;
    recorder.unread = unread;
    loaded->run(state, 0, &recorder);
    EXPECT_EQ(recorder.seen.size(), block.linears().size());
    return std::move(state.hidden);
  };
  const Matrix whole = run(""), part = run(block.linears().back().name);
  EXPECT_FALSE(std::ranges::equal(whole.values(), part.values()));
}

TEST(Model, StopsWhenTheUserAsks) {
  const auto model = Model::open(fixture("llama"));
  ThreadPool pool(1);
  Context context{.threads = pool};
  context.cancelled = [] { return true; };
  std::vector<State> batch(1);
  batch[0].tokens = kIds;
  EXPECT_THROW(run_stages(*model, model->weights(), batch, nullptr, context), Error);
}

/// A copy of a fixture's folder with a scant.json.
std::string folder_with(const std::string& name, const std::string& scant_json) {
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / ("scant_models_test_" + name);
  std::filesystem::remove_all(path);
  std::filesystem::copy(fixture("llama"), path);
  std::ofstream(path / "scant.json") << scant_json;
  return path.string();
}

TEST(Model, QuantizesTheInputsOfTheLayersThatScantJsonNames) {
  const std::string layer = "model.layers.0.mlp.down_proj";
  const auto model =
      Model::open(folder_with("activations", R"({"activations": {")" + layer + R"(": "int4"}})"));
  for (const LinearInfo& info : model->linears()) {
    EXPECT_EQ(model->weights().linear(info).activation.has_value(), info.name == layer);
  }
  const Matrix plain = logits_of(*Model::open(fixture("llama")), kIds);
  const Matrix quantized = logits_of(*model, kIds);
  double difference = 0;
  for (int64_t i = 0; i < plain.size(); ++i) {
    difference +=
        std::abs(plain.data()[i] - quantized.data()[i]) / static_cast<double>(plain.size());
  }
  EXPECT_GT(difference, 1e-3);
  EXPECT_LT(difference, 0.5);
}

TEST(Model, RefusesAScantJsonThatDoesNotFit) {
  EXPECT_NO_THROW(Model::open(folder_with("none", R"({"order": "joint"})")));
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"activations": {"model.layers.9.mlp.up_proj": "int8"}})", "no such linear layer"},
      {R"({"activations": {"model.layers.0.mlp.up_proj": "int99"}})",
       "activations.model.layers.0.mlp.up_proj"},
      {R"({"activations": {"model.layers.0.mlp.up_proj": 8}})", "is not a text"},
      {R"({"activations": {"model.layers.0.mlp.up_proj": {"format": "int8"}}})", "no text method"},
      {R"({"activations": {"model.layers.0.mlp.up_proj": {"format": "int8", "method": "best"}}})",
       "expected dynamic, static or crossquant"},
      {R"({"activations": {"model.layers.0.mlp.up_proj":
           {"format": "int8", "method": "static", "scale": 1}}})",
       "no static scale"},
      {R"({"activations": {"model.layers.0.mlp.up_proj":
           {"format": "int8:tensor", "method": "static"}}})",
       "no number scale"},
      {R"({"activations": {"model.layers.0.mlp.up_proj":
           {"format": "int8:tensor", "method": "static", "scale": -1}}})",
       "negative or not finite"},
      {R"({"activations": {"model.layers.0.mlp.up_proj":
           {"format": "int4:asym:tensor", "method": "static", "scale": 1, "zero_point": 16}}})",
       "zero point 16"},
      {R"({"activations": {"model.layers.0.mlp.up_proj":
           {"format": "int8", "method": "crossquant"}}})",
       "scant.safetensors"},
      {R"({"format_version": 3})", "expected 1 to 2"},
      {R"({"rotations": {"model.layers.0.mlp.down_proj": 7}})", "expected size and seed"},
      {R"({"rotations": {"model.layers.0.mlp.down_proj": {"size": 0, "seed": 1}}})",
       "whole numbers"},
      {R"({"rotations": {"model.layers.0.mlp.down_proj": {"size": 7, "seed": 1}}})",
       "for 7 inputs"},
      {R"({"activations": ["int8"]})", "is not an object"},
      {R"({"activations": )", "scant.json"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_THAT(message_of([&] { Model::open(folder_with("bad", text)); }), HasSubstr(expected));
  }
}

}  // namespace
}  // namespace scant
