#include "checkpoint/huggingface_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "checkpoint/testing_files.h"

namespace scant {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

/// One F32 tensor [2, 2] of this name.
std::string one_tensor(const std::string& name) {
  return safetensors_bytes(
      R"({")" + name + R"(":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}})",
      float_bytes({1, 2, 3, 4}));
}

/// Two shards with tensors "x" and "y".
std::string sharded_folder(const std::string& name) {
  const std::string folder = fresh_folder(name);
  put(folder + "/config.json", R"({"model_type":"llama"})");
  put(folder + "/model-00001-of-00002.safetensors", one_tensor("x"));
  put(folder + "/model-00002-of-00002.safetensors", one_tensor("y"));
  put(folder + "/model.safetensors.index.json", R"({"metadata":{"total_size":32},"weight_map":{
      "x":"model-00001-of-00002.safetensors","y":"model-00002-of-00002.safetensors"}})");
  return folder;
}

std::string refusal(const std::string& folder) {
  return error_of([&] { Checkpoint::open(folder); });
}

TEST(HuggingFaceFolder, TheEmbeddedModelOpensAndItsRowsWiden) {
  const auto model = Checkpoint::open(std::string(SCANT_SOURCE_DIR) + "/assets/quill-llama-5m");
  EXPECT_EQ(model->container(), "safetensors");
  EXPECT_EQ(model->config().at("hidden_size"), 256);
  const StoredTensor& embedding = model->require("model.embed_tokens.weight");
  EXPECT_EQ(embedding.shape, (Shape{4096, 256}));
  EXPECT_EQ(embedding.type, "BF16");
  EXPECT_EQ(embedding.file, "model.safetensors");
  EXPECT_EQ(&model->tensors().at(embedding.index), &embedding);

  std::vector<float> rows(3 * 256);
  model->read_rows(embedding, 17, 3, rows);
  const TensorView raw = model->raw(embedding);
  for (size_t i = 0; i < rows.size(); ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, raw.data + (17 * 256 + i) * 2, 2);
    EXPECT_EQ(rows[i], bf16_to_f32(bits));
  }
  ASSERT_TRUE(model->tokenizer_files().has_value());
  EXPECT_THAT(model->tokenizer_files()->tokenizer_json, HasSubstr("\"merges\""));
  EXPECT_THAT(model->companion_files(),
              ElementsAre("generation_config.json", "tokenizer.json", "tokenizer_config.json"));
  EXPECT_EQ(model->find("nothing"), nullptr);
  EXPECT_THAT(error_of([&] { model->require("no\nthing"); }), HasSubstr("has no tensor \"no\\x0a"));
}

TEST(HuggingFaceFolder, ShardsAreReadThroughTheirIndex) {
  const auto model = Checkpoint::open(sharded_folder("sharded"));
  ASSERT_EQ(model->tensors().size(), 2u);
  EXPECT_EQ(model->require("y").file, "model-00002-of-00002.safetensors");
  std::vector<float> row(2);
  model->read_rows(model->require("y"), 1, 1, row);
  EXPECT_THAT(row, ElementsAre(3, 4));
}

TEST(HuggingFaceFolder, ATokenizerAloneOpensWithoutTensors) {
  const std::string folder = fresh_folder("tokenizer");
  put(folder + "/tokenizer.json", "{}");
  const auto model = Checkpoint::open(folder);
  EXPECT_TRUE(model->tensors().empty());
  EXPECT_TRUE(model->config().is_null());
  EXPECT_EQ(model->tokenizer_files()->tokenizer_json, "{}");
  EXPECT_EQ(model->tokenizer_files()->source, folder + "/tokenizer.json");
}

TEST(HuggingFaceFolder, WhatIsNoModelIsRefusedWithWhatWasExpected) {
  EXPECT_THAT(refusal("/nonexistent"), HasSubstr("/nonexistent: no such file or folder"));
  EXPECT_THAT(refusal("/dev/null"), HasSubstr("not a model; expected a folder"));
  const std::string folder = fresh_folder("nothing");
  EXPECT_THAT(refusal(folder), HasSubstr("neither config.json nor tokenizer.json"));
  put(folder + "/config.json", "{}");
  EXPECT_THAT(refusal(folder), HasSubstr("neither model.safetensors nor"));
  put(folder + "/pytorch_model.bin", "x");
  EXPECT_THAT(refusal(folder), HasSubstr("only as pytorch_model.bin; expected safetensors"));
}

TEST(HuggingFaceFolder, WeightsWithoutConfigOrIndexAreRefused) {
  const std::string folder = fresh_folder("no_config");
  put(folder + "/model.safetensors", one_tensor("x"));
  EXPECT_THAT(refusal(folder), HasSubstr("no config.json"));
  fs::rename(folder + "/model.safetensors", folder + "/model-00001-of-00001.safetensors");
  EXPECT_THAT(refusal(folder), HasSubstr("but neither model.safetensors nor"));
}

TEST(HuggingFaceFolder, ABrokenConfigIsRefused) {
  const std::string folder = fresh_folder("config");
  put(folder + "/model.safetensors", one_tensor("x"));
  const auto with = [&](const std::string& config) {
    put(folder + "/config.json", config);
    return refusal(folder);
  };
  EXPECT_THAT(with(""), HasSubstr("config.json: is empty"));
  EXPECT_THAT(with("\xef\xbb\xbf{}"), HasSubstr("is not plain JSON text"));
  EXPECT_THAT(with("{\"a\":"), HasSubstr("is not valid JSON at byte 6"));
  EXPECT_THAT(with("{\"a\":1e999}"), HasSubstr("a number is out of range"));
  EXPECT_THAT(with("[1]"), HasSubstr("holds a JSON array"));
  EXPECT_THAT(with(R"({"a":)" + std::string(100000, '[')), HasSubstr("deeper than 64"));
}

TEST(HuggingFaceFolder, FaultsOfTheShardIndexNameFileAndTensor) {
  const std::string folder = sharded_folder("index_faults");
  const auto with = [&](const std::string& index) {
    put(folder + "/model.safetensors.index.json", index);
    return refusal(folder);
  };
  EXPECT_THAT(with("{}"), HasSubstr("index.json: has no weight_map"));
  EXPECT_THAT(with(R"({"weight_map":{}})"), HasSubstr("has no weight_map"));
  EXPECT_THAT(with(R"({"weight_map":{"x":7}})"), HasSubstr("places tensor \"x\" in number"));
  EXPECT_THAT(with(R"({"weight_map":{"x":"../../etc/a.safetensors"}})"),
              HasSubstr("expected the name of a .safetensors file in this folder"));
  EXPECT_THAT(with(R"({"weight_map":{"x":"model-3.safetensors"}})"),
              HasSubstr("lacks the shard \"model-3.safetensors\" that"));
  EXPECT_THAT(with(R"({"weight_map":{"x":"model-00001-of-00002.safetensors",
                                     "z":"model-00001-of-00002.safetensors"}})"),
              HasSubstr("model-00001-of-00002.safetensors: lacks tensor \"z\""));
  EXPECT_THAT(with(R"({"weight_map":{"x":"model-00002-of-00002.safetensors",
                                     "y":"model-00001-of-00002.safetensors"}})"),
              HasSubstr("lacks tensor \"x\""));
}

TEST(HuggingFaceFolder, ATensorInTwoShardsIsRefused) {
  const std::string folder = sharded_folder("twice");
  put(folder + "/model-00002-of-00002.safetensors", one_tensor("x"));
  EXPECT_THAT(refusal(folder), HasSubstr("tensor \"x\" is there twice: in model-00001-of-00002"));
}

TEST(HuggingFaceFolder, AQuantizedFolderIsRefusedUnlessItsWeightsArePlain) {
  const std::string folder = fresh_folder("quantized");
  put(folder + "/model.safetensors", one_tensor("x"));
  put(folder + "/config.json", R"({"quantization_config":{"quant_method":"aqlm","bits":4}})");
  EXPECT_THAT(refusal(folder), HasSubstr("is quantized by \"aqlm\" (quantization_config)"));
  put(folder + "/config.json", R"({"quantization_config":{"quant_method":"of-tomorrow"}})");
  EXPECT_NO_THROW(Checkpoint::open(folder));
  put(folder + "/model.safetensors",
      safetensors_bytes(R"({"x":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}})", "x"));
  EXPECT_THAT(refusal(folder), HasSubstr("\"of-tomorrow\""));
  put(folder + "/config.json", R"({"quantization_config":null})");
  EXPECT_NO_THROW(Checkpoint::open(folder));
}

TEST(HuggingFaceFolder, RowsOutsideTheTensorAndOtherTypesAreNotRead) {
  const std::string folder = sharded_folder("rows");
  put(folder + "/model-00001-of-00002.safetensors",
      safetensors_bytes(R"({"x":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}})", "x"));
  const auto model = Checkpoint::open(folder);
  std::vector<float> out(2);
  const auto read = [&](const std::string& name, int64_t begin, int64_t count) {
    return error_of([&] { model->read_rows(model->require(name), begin, count, out); });
  };
  EXPECT_THAT(read("y", 2, 1), HasSubstr("tensor \"y\" of shape [2, 2] has no rows 2 to 3"));
  EXPECT_THAT(read("y", -1, 1), HasSubstr("has no rows"));
  EXPECT_THAT(read("y", 0, 2), HasSubstr("for 2 values"));
  out.resize(1);
  EXPECT_THAT(read("x", 0, 1), HasSubstr("has dtype I8; expected F32, F16 or BF16"));
  EXPECT_EQ(model->raw(model->require("x")).dtype, DType::kI8);
}

}  // namespace
}  // namespace scant
