#include "checkpoint/gguf_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "checkpoint/testing_files.h"

namespace scant {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using Builder = GgufBuilder;

const std::string kGoldens = std::string(SCANT_SOURCE_DIR) + "/tests/goldens/gguf/";

/// The metadata of a Llama with 2 heads of 4 dimensions; `without` leaves one key out.
Builder llama_keys(std::string_view without = "") {
  Builder builder;
  builder.str("general.architecture", "llama");
  const auto add = [&](std::string_view key, uint32_t value) {
    if (key != without) builder.u32(key, value);
  };
  add("llama.embedding_length", 8);
  add("llama.block_count", 1);
  add("llama.feed_forward_length", 16);
  add("llama.context_length", 32);
  add("llama.attention.head_count", 2);
  if (without != "llama.attention.layer_norm_rms_epsilon") {
    builder.f32("llama.attention.layer_norm_rms_epsilon", 1e-6f);
  }
  return builder;
}

Builder& add_embedding(Builder& builder, uint64_t columns = 8) {
  return builder.floats("token_embd.weight", {columns, 3}, std::vector<float>(columns * 3));
}

/// Keeps the bytes that the checkpoint points into.
struct Opened {
  explicit Opened(const Builder& builder) : bytes(builder.bytes()) {
    model = open_gguf_bytes(std::as_bytes(std::span(bytes)), "m.gguf");
  }
  std::string bytes;
  std::unique_ptr<Checkpoint> model;
};

std::string refusal(const Builder& builder) {
  return error_of([&] { Opened{builder}; });
}

json scaling(Builder builder) {
  return Opened(add_embedding(builder)).model->config()["rope_scaling"];
}

TEST(GgufCheckpoint, ALlamaHasTheNamesRowsAndConfigurationOfItsHuggingFaceFolder) {
  const auto gguf = Checkpoint::open(kGoldens + "llama_tiny.gguf");
  const auto folder = Checkpoint::open(kGoldens + "llama_tiny");
  EXPECT_EQ(gguf->container(), "GGUF v3");
  EXPECT_EQ(gguf->config(), folder->config());
  ASSERT_EQ(gguf->tensors().size(), folder->tensors().size());
  for (const StoredTensor& expected : folder->tensors()) {
    const StoredTensor& tensor = gguf->require(expected.name);
    ASSERT_EQ(tensor.shape, expected.shape) << tensor.name;
    const auto size = static_cast<size_t>(element_count(tensor.shape));
    std::vector<float> values(size), expected_values(size);
    gguf->read_rows(tensor, 0, tensor.rows(), values);
    folder->read_rows(expected, 0, expected.rows(), expected_values);
    EXPECT_EQ(values, expected_values) << tensor.name;
    // One row from the middle, as a streaming reader asks for it.
    const auto row = static_cast<size_t>(tensor.row_size());
    std::vector<float> one(row);
    gguf->read_rows(tensor, 5, 1, one);
    EXPECT_TRUE(std::equal(one.begin(), one.end(), expected_values.begin() + 5 * row));
  }
}

TEST(GgufCheckpoint, OnlyPlainTensorsInTheSameRowOrderHaveRawBytes) {
  const auto gguf = Checkpoint::open(kGoldens + "llama_tiny.gguf");
  const auto has_bytes = [&](const char* name) {
    return gguf->raw(gguf->require(name)).data != nullptr;
  };
  EXPECT_TRUE(has_bytes("lm_head.weight"));
  EXPECT_FALSE(has_bytes("model.embed_tokens.weight"));
  EXPECT_FALSE(has_bytes("model.layers.0.self_attn.k_proj.weight"));
  EXPECT_EQ(gguf->require("model.layers.0.self_attn.k_proj.weight").dtype, DType::kBF16);
  EXPECT_FALSE(gguf->require("model.embed_tokens.weight").dtype.has_value());
  EXPECT_EQ(gguf->require("model.embed_tokens.weight").file, "llama_tiny.gguf");
}

TEST(GgufCheckpoint, TheVocabularyIsFilledAndAnIdOfNoTokenMeansNone) {
  const auto gguf = Checkpoint::open(kGoldens + "llama_tiny.gguf");
  const GgufVocabulary* vocabulary = gguf->gguf_vocabulary();
  ASSERT_NE(vocabulary, nullptr);
  EXPECT_EQ(vocabulary->model, "gpt2");
  EXPECT_EQ(vocabulary->pre, "llama-bpe");
  EXPECT_EQ(vocabulary->tokens.size(), 12u);
  EXPECT_THAT(vocabulary->merges, ElementsAre("a b", "b c"));
  EXPECT_EQ(vocabulary->bos, 1);
  EXPECT_FALSE(vocabulary->padding.has_value());
  EXPECT_FALSE(vocabulary->add_bos.has_value());
}

TEST(GgufCheckpoint, AVocabularyAloneOpensWhateverItsArchitecture) {
  const auto gguf = Checkpoint::open(kGoldens + "vocabulary.gguf");
  EXPECT_TRUE(gguf->tensors().empty());
  EXPECT_TRUE(gguf->config().is_null());
  const GgufVocabulary& vocabulary = *gguf->gguf_vocabulary();
  EXPECT_EQ(vocabulary.model, "llama");
  EXPECT_THAT(vocabulary.types, ElementsAre(2, 3, 3, 6, 1));
  EXPECT_EQ(vocabulary.scores.back(), -1.5f);
  EXPECT_EQ(vocabulary.add_bos, true);
  EXPECT_EQ(vocabulary.add_space_prefix, false);
  EXPECT_EQ(vocabulary.chat_template, "{{ messages }}");
}

TEST(GgufCheckpoint, AbsentKeysHaveTheFormatsDefaults) {
  Builder builder = llama_keys();
  const Opened opened(add_embedding(builder));
  const json& config = opened.model->config();
  EXPECT_EQ(config["num_key_value_heads"], 2);
  EXPECT_EQ(config["head_dim"], 4);
  EXPECT_EQ(config["rope_theta"], 10000.0);
  EXPECT_EQ(config["rms_norm_eps"], 1e-6);
  EXPECT_EQ(config["tie_word_embeddings"], true);
  EXPECT_EQ(config["vocab_size"], 3);
  EXPECT_TRUE(config["rope_scaling"].is_null());
  EXPECT_EQ(opened.model->gguf_vocabulary(), nullptr);
  EXPECT_FALSE(opened.model->tokenizer_files().has_value());
}

TEST(GgufCheckpoint, TheDtypeIsThatOfAllMatrices) {
  const auto dtype = [](uint32_t embedding, uint32_t output) {
    Builder builder = llama_keys();
    const auto size = [](uint32_t type) { return std::string(type == 0 ? 96 : 48, '\0'); };
    builder.tensor("token_embd.weight", {8, 3}, embedding, size(embedding));
    builder.tensor("output.weight", {8, 3}, output, size(output));
    return Opened(builder).model->config()["torch_dtype"].get<std::string>();
  };
  EXPECT_EQ(dtype(1, 1), "float16");
  EXPECT_EQ(dtype(30, 30), "bfloat16");
  EXPECT_EQ(dtype(0, 0), "float32");
  EXPECT_EQ(dtype(1, 30), "float32");
}

TEST(GgufCheckpoint, RopeScalingIsNoneLinearLlama3OrTheFactorsThemselves) {
  EXPECT_EQ(scaling(llama_keys().f32("llama.rope.scaling.factor", 4.0f)),
            json({{"rope_type", "linear"}, {"factor", 4.0}}));
  EXPECT_EQ(scaling(llama_keys().f32("llama.rope.scale_linear", 2.0f)),
            json({{"rope_type", "linear"}, {"factor", 2.0}}));
  EXPECT_TRUE(scaling(llama_keys().f32("llama.rope.scaling.factor", 1.0f)).is_null());
  EXPECT_TRUE(scaling(llama_keys()
                          .str("llama.rope.scaling.type", "none")
                          .f32("llama.rope.scaling.factor", 4.0f))
                  .is_null());

  Builder builder = llama_keys();
  builder.floats("rope_freqs.weight", {2}, {1, 3});
  const Opened opened(add_embedding(builder));
  EXPECT_EQ(opened.model->config()["rope_scaling"], json({{"rope_type", "gguf_factors"}}));
  std::vector<float> factors(2);
  opened.model->read_rows(opened.model->require("rope_freqs.weight"), 0, 2, factors);
  EXPECT_THAT(factors, ElementsAre(1, 3));
}

TEST(GgufCheckpoint, RopeScalingThatIsNotKnownIsRefused) {
  const auto refused = [](Builder builder) { return refusal(add_embedding(builder)); };
  EXPECT_THAT(refused(llama_keys().str("llama.rope.scaling.type", "yarn")),
              HasSubstr("rotary embedding by \"yarn\"; supported are none, linear"));
  EXPECT_THAT(refused(llama_keys().f32("llama.rope.scaling.factor", -2.0f)), HasSubstr("is -2"));
  EXPECT_THAT(refused(llama_keys().f32("llama.rope.scaling.factor", NAN)), HasSubstr("finite"));
  EXPECT_THAT(refused(llama_keys().floats("rope_freqs.weight", {3}, {1, 1, 1})),
              HasSubstr("rope_freqs.weight has shape [3]; expected [2]"));
  EXPECT_THAT(refused(llama_keys()
                          .f32("llama.rope.scaling.factor", 2.0f)
                          .floats("rope_freqs.weight", {2}, {1, 1})),
              HasSubstr("both rope_freqs.weight and"));
}

TEST(GgufCheckpoint, MetadataThatMakeNoLlamaAreRefusedByKey) {
  for (const char* key : {"llama.embedding_length", "llama.block_count",
                          "llama.feed_forward_length", "llama.context_length",
                          "llama.attention.head_count", "llama.attention.layer_norm_rms_epsilon"}) {
    Builder builder = llama_keys(key);
    EXPECT_THAT(refusal(add_embedding(builder)), HasSubstr(key));
  }
  const auto refused = [](Builder builder) { return refusal(add_embedding(builder)); };
  EXPECT_THAT(refused(Builder().str("general.architecture", "bert")),
              HasSubstr("architecture \"bert\"; supported in GGUF are llama, qwen2"));
  EXPECT_THAT(refused(Builder()), HasSubstr("of architecture none"));
  EXPECT_THAT(refused(llama_keys().u32("llama.expert_count", 8)), HasSubstr("mixture of experts"));
  EXPECT_THAT(refused(llama_keys().u32("llama.rope.dimension_count", 2)),
              HasSubstr("2 rotary dimensions"));
  EXPECT_THAT(refused(llama_keys().u32("llama.attention.key_length", 5)), HasSubstr("5 keys"));
  EXPECT_THAT(refused(llama_keys().u32("llama.attention.value_length", 2)), HasSubstr("2 values"));
  EXPECT_THAT(refused(llama_keys().u32("llama.attention.head_count_kv", 3)),
              HasSubstr("2 heads for 3 key heads"));
  EXPECT_THAT(refused(llama_keys().array("llama.attention.head_count_kv", 5, 2,
                                         Builder::number(1) + Builder::number(2))),
              HasSubstr("differs between layers"));
  EXPECT_THAT(refused(llama_keys().f32("llama.rope.freq_base", -1.0f)), HasSubstr("freq_base"));
}

TEST(GgufCheckpoint, HeadCountsByLayerAreReadIfTheyAreAllEqual) {
  Builder builder = llama_keys().array("llama.attention.head_count_kv", 5, 2,
                                       Builder::number(1) + Builder::number(1));
  EXPECT_EQ(Opened(add_embedding(builder)).model->config()["num_key_value_heads"], 1);
}

TEST(GgufCheckpoint, TensorsThatFitNoLlamaAreRefusedByName) {
  const auto with = [](const char* name, const std::vector<uint64_t>& extents) {
    Builder builder = llama_keys();
    uint64_t size = 1;
    for (const uint64_t extent : extents) size *= extent;
    return refusal(add_embedding(builder).floats(name, extents, std::vector<float>(size)));
  };
  for (const char* name :
       {"blk.1.attn_q.weight", "blk.x.attn_q.weight", "blk.00.attn_q.weight", "blk.0", "blk.-1.a.b",
        "blk.0.attn_q.scale", "blk.0.ffn_gate_inp.weight", "cls.weight", "noname"}) {
    EXPECT_THAT(with(name, {8, 8}), HasSubstr("is not part of a llama model of 1 layers")) << name;
  }
  EXPECT_THAT(with("blk.0.attn_q.weight", {8, 4}), HasSubstr("has shape [4, 8]; expected 8 rows"));
  EXPECT_THAT(with("blk.0.attn_k.bias", {4}), HasSubstr("has shape [4]; expected 8 rows"));
  EXPECT_THAT(refusal(llama_keys().floats("output.weight", {1}, {1})),
              HasSubstr("token_embd.weight is missing"));
  Builder builder = llama_keys();
  EXPECT_THAT(refusal(add_embedding(builder, 4)), HasSubstr("has shape [3, 4]; expected"));
}

TEST(GgufCheckpoint, VocabulariesOfTheWrongShapeAreRefusedByKey) {
  const auto vocabulary = [] {
    return Builder()
        .str("tokenizer.ggml.model", "llama")
        .array("tokenizer.ggml.tokens", 8, 1, Builder::text("a"));
  };
  EXPECT_NO_THROW(Opened{vocabulary()});
  EXPECT_THAT(refusal(Builder()), HasSubstr("neither tensors nor a vocabulary"));
  EXPECT_THAT(refusal(Builder().str("tokenizer.ggml.model", "llama")), HasSubstr("no tokens"));
  EXPECT_THAT(refusal(vocabulary().array("tokenizer.ggml.scores", 6, 0, "")),
              HasSubstr("tokenizer.ggml.scores has 0 items; expected one for each of 1"));
  EXPECT_THAT(refusal(vocabulary().array("tokenizer.ggml.token_type", 6, 1, "1234")),
              HasSubstr("tokenizer.ggml.token_type is not an array of int32"));
  EXPECT_THAT(refusal(vocabulary().str("tokenizer.ggml.bos_token_id", "a")),
              HasSubstr("tokenizer.ggml.bos_token_id is not an integer"));
  Builder negative = vocabulary().key("tokenizer.ggml.bos_token_id", 5, Builder::number(-1));
  EXPECT_FALSE(Opened(negative).model->gguf_vocabulary()->bos.has_value());
}

TEST(GgufCheckpoint, PartsOfASplitFileAreRefused) {
  Builder builder = llama_keys().u32("split.no", 1).u32("split.count", 3);
  EXPECT_THAT(refusal(add_embedding(builder)), HasSubstr("is part 2 of 3 of a split GGUF"));
}

}  // namespace
}  // namespace scant
