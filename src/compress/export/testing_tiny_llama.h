#pragma once

// A model that tests of export compress in milliseconds.

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "checkpoint/folder_writer.h"
#include "compress/tensor_output.h"
#include "core/random.h"

namespace scant {

/// Writes a Llama of one block: hidden 64, feed-forward 96, so that groups of 32 fill every row;
/// its head has a tensor of its own unless it is tied.
inline void write_tiny_llama(const std::string& path, bool tied = false) {
  constexpr int64_t kVocabulary = 48, kHidden = 64, kFeedForward = 96;
  const std::string block = "model.layers.0.";
  std::vector<PlannedTensor> tensors = {
      {"model.embed_tokens.weight", {kVocabulary, kHidden}},
      {block + "input_layernorm.weight", {kHidden}},
      {block + "self_attn.q_proj.weight", {kHidden, kHidden}},
      {block + "self_attn.k_proj.weight", {kHidden / 2, kHidden}},
      {block + "self_attn.v_proj.weight", {kHidden / 2, kHidden}},
      {block + "self_attn.o_proj.weight", {kHidden, kHidden}},
      {block + "post_attention_layernorm.weight", {kHidden}},
      {block + "mlp.gate_proj.weight", {kFeedForward, kHidden}},
      {block + "mlp.up_proj.weight", {kFeedForward, kHidden}},
      {block + "mlp.down_proj.weight", {kHidden, kFeedForward}},
      {"model.norm.weight", {kHidden}},
      {"lm_head.weight", {kVocabulary, kHidden}},
  };
  if (tied) tensors.pop_back();
  AtomicFolder folder(path, true);
  FolderWriter writer(folder, {{"model.safetensors", tensors}});
  uint64_t stream = 0;
  for (const PlannedTensor& tensor : tensors) {
    const CounterRandom random(7, stream++);
    std::vector<float> values(static_cast<size_t>(element_count(tensor.shape)));
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = tensor.shape.size() == 1 ? 1.0f : 0.2f * random.normal(i);
    }
    writer.begin_tensor(tensor.name, DType::kBF16);
    append_values(writer, values, DType::kBF16);
  }
  writer.close();
  const nlohmann::json config = {{"architectures", {"LlamaForCausalLM"}},
                                 {"model_type", "llama"},
                                 {"hidden_size", kHidden},
                                 {"intermediate_size", kFeedForward},
                                 {"num_hidden_layers", 1},
                                 {"num_attention_heads", 4},
                                 {"num_key_value_heads", 2},
                                 {"max_position_embeddings", 64},
                                 {"vocab_size", kVocabulary},
                                 {"rms_norm_eps", 1e-5},
                                 {"hidden_act", "silu"},
                                 {"tie_word_embeddings", tied},
                                 {"torch_dtype", "bfloat16"}};
  OutputFile file(folder.file("config.json"));
  file.write(config.dump());
  file.close();
  folder.commit();
}

/// A folder for one test, empty.
inline std::string export_scratch(const std::string& name) {
  const auto path = std::filesystem::path(testing::TempDir()) / ("scant_export_test_" + name);
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path.string();
}

}  // namespace scant
