#include "compress/export/gguf_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "checkpoint/gguf_checkpoint.h"
#include "core/error.h"
#include "models/blocks/rotary.h"
#include "models/chat/chat_template.h"
#include "models/config_reader.h"
#include "models/tokenizer/to_gguf.h"
#include "models/tokenizer/tokenizer_json.h"

namespace scant {
namespace {

using nlohmann::json;
namespace keys = gguf_keys;

[[noreturn]] void refuse(const Model& model, const std::string& problem) {
  throw Error(model.checkpoint().path(), problem);
}

const GgufArchitecture& architecture_of(const Model& model) {
  const GgufArchitecture* found = gguf_architecture_of_class(model.facts().architecture);
  if (found == nullptr) {
    refuse(model, fmt::format("is a {}, for which llama.cpp has no architecture; the nearest: "
                              "models of {}, or this one with --to compressed-tensors or dense",
                              model.facts().architecture, gguf_architecture_names()));
  }
  return *found;
}

/// Options of the configuration that Model takes and llama.cpp does not.
void refuse_options(const Model& model, const GgufArchitecture& kind, const ConfigReader& config) {
  const auto only = [&](std::string_view key, std::string_view value, std::string_view fallback) {
    const std::string said = config.text_or(key, fallback);
    if (said != value) {
      config.refuse(key,
                    fmt::format("is {}, but {} in llama.cpp is always {}", said, kind.name, value));
    }
  };
  const auto never = [&](std::string_view key, bool fallback, bool refused) {
    if (config.flag_or(key, fallback) == refused) {
      config.refuse(key, fmt::format("is {}, which {} in llama.cpp has not; expected {}", refused,
                                     kind.name, !refused));
    }
  };
  if (model.facts().positions == 0) {
    refuse(model, fmt::format("says no {}, which GGUF needs", kind.positions));
  }
  if (!kind.rotary) {
    only("activation_function", "gelu_new", "gelu_new");
    never("scale_attn_weights", true, false);
    never("scale_attn_by_inverse_layer_idx", false, true);
    return;
  }
  only("hidden_act", "silu", "silu");
  if (kind.name == "qwen3") never("attention_bias", false, true);
  if (kind.name != "llama") never("use_sliding_window", false, true);
}

void add_sizes(const Model& model, const ConfigReader& config, GgufMetadata& out) {
  const GgufArchitecture& kind = *out.architecture;
  const ModelFacts& facts = model.facts();
  const auto u32 = [&](std::string_view key, int64_t value) {
    out.keys.u32(gguf_key(kind, key), static_cast<uint64_t>(value));
  };
  u32(keys::kVocabulary, facts.vocabulary);
  u32(keys::kPositions, facts.positions);
  u32(keys::kHidden, facts.hidden);
  u32(keys::kLayers, facts.layers);
  u32(keys::kFeedForward, facts.feed_forward);
  u32(keys::kHeads, facts.heads);
  const double usual = kind.rotary ? 1e-6 : 1e-5;  // transformers' defaults
  out.keys.f32(gguf_key(kind, kind.epsilon), config.number_or(kind.epsilon_in_config, usual));
  if (!kind.rotary) return;
  u32(keys::kKeyHeads, facts.kv_heads);
  u32(keys::kKeyLength, facts.head_dim);
  u32(keys::kValueLength, facts.head_dim);
  u32(keys::kRotary, facts.head_dim);
}

/// Divisors of the frequencies: plain ones over those of the model.
std::vector<float> divisors(const Model& model, const ConfigReader& config, double theta) {
  const int64_t size = model.facts().head_dim;
  std::vector<float> factors(static_cast<size_t>(size / 2));
  const Checkpoint& checkpoint = model.checkpoint();
  if (const StoredTensor* stored = checkpoint.find(kRopeFactors)) {  // a GGUF's own
    checkpoint.read_rows(*stored, 0, size / 2, factors);
    return factors;
  }
  const std::vector<float> scaled = Rotary::frequencies(config, size);
  for (size_t i = 0; i < factors.size(); ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(size);
    factors[i] = static_cast<float>(1.0 / std::pow(theta, exponent)) / scaled[i];
  }
  return factors;
}

void add_rotary(const Model& model, const ConfigReader& config, GgufMetadata& out) {
  const GgufArchitecture& kind = *out.architecture;
  const RotaryOptions rotary = Rotary::options(config);
  out.keys.f32(gguf_key(kind, keys::kTheta), rotary.theta);
  if (rotary.type == "default") return;
  if (rotary.type == "linear") {
    out.keys.text(gguf_key(kind, keys::kScalingType), "linear");
    out.keys.f32(gguf_key(kind, keys::kScalingFactor), rotary.factor);
    return;
  }
  if (!kind.rope_factors) {
    config.refuse("rope_scaling",
                  fmt::format("is {}, which {} in llama.cpp has not; the nearest: linear",
                              rotary.type, kind.name));
  }
  out.rope_factors = divisors(model, config, rotary.theta);
}

void add_window(const Model& model, const ConfigReader& config, GgufMetadata& out) {
  if (model.facts().architecture != "MistralForCausalLM" || config.is_null("sliding_window")) {
    return;
  }
  constexpr int64_t kDefaultWindow = 4096;  // transformers'
  const int64_t window = config.count_or("sliding_window", kDefaultWindow);
  out.keys.u32(gguf_key(*out.architecture, keys::kWindow), static_cast<uint64_t>(window));
  if (window < model.facts().positions) {
    out.notes.push_back(fmt::format(
        "Attention reaches back {} tokens in this model; llama.cpp reads the key but attends to "
        "everything: longer texts give other results there.",
        window));
  }
}

/// Those of a GGUF file as they are.
bool copy_vocabulary(const Checkpoint& checkpoint, GgufKeys& out) {
  if (const GgufFile* file = checkpoint.gguf_file()) {
    for (const auto& [key, value] : file->stored_values()) {
      if (key.starts_with("tokenizer.")) out.copy(key, value);
    }
  } else if (const GgufVocabulary* vocabulary = checkpoint.gguf_vocabulary()) {
    write_gguf_vocabulary(*vocabulary, out);
  } else {
    return false;
  }
  return true;
}

void add_tokenizer(const Model& model, GgufMetadata& out) {
  const Checkpoint& checkpoint = model.checkpoint();
  if (copy_vocabulary(checkpoint, out.keys)) return;
  const auto files = checkpoint.tokenizer_files();
  if (!files || files->tokenizer_json.empty()) {
    out.keys.text("tokenizer.ggml.model", "none");
    out.notes.emplace_back(
        "The model has no tokenizer.json: the file has no tokenizer, and readers take token ids "
        "only.");
    return;
  }
  json config = json::object();
  if (!files->tokenizer_config_json.empty()) {
    config = json::parse(files->tokenizer_config_json, nullptr, false);
    if (!config.is_object()) throw Error("tokenizer_config.json", "not JSON; expected an object");
  }
  GgufTokenizer made = to_gguf(read_tokenizer_json(files->tokenizer_json, files->source), config,
                               checkpoint.config(), model.facts().vocabulary);
  made.vocabulary.chat_template = chat_template_text(checkpoint, config);
  write_gguf_vocabulary(made.vocabulary, out.keys);
  std::ranges::move(made.notes, std::back_inserter(out.notes));
}

/// What people wrote about a model in its GGUF file.
void copy_general(const Checkpoint& checkpoint, GgufKeys& out) {
  const GgufFile* file = checkpoint.gguf_file();
  if (file == nullptr) return;
  constexpr std::array<std::string_view, 3> kOwn = {"general.alignment", "general.file_type",
                                                    "general.quantization_version"};
  for (const auto& [key, value] : file->stored_values()) {
    const bool own = std::ranges::find(kOwn, key) != kOwn.end();
    if (key.starts_with("general.") && !own && !out.has(key)) out.copy(key, value);
  }
}

}  // namespace

GgufMetadata gguf_metadata(const Model& model) {
  GgufMetadata out;
  out.architecture = &architecture_of(model);
  const Checkpoint& checkpoint = model.checkpoint();
  const ConfigReader config(checkpoint.config(), checkpoint.path());
  refuse_options(model, *out.architecture, config);
  out.keys.text("general.architecture", out.architecture->name);
  out.keys.text("general.type", "model");
  copy_general(checkpoint, out.keys);
  add_sizes(model, config, out);
  if (out.architecture->rotary) {
    add_rotary(model, config, out);
    add_window(model, config, out);
  }
  add_tokenizer(model, out);
  return out;
}

std::string size_label(int64_t parameters) {
  const auto count = static_cast<double>(parameters);
  if (count < 1e6) return fmt::format("{:.0f}K", count / 1e3);
  if (count < 1e9) return fmt::format("{:.0f}M", count / 1e6);
  return fmt::format("{:.1f}B", count / 1e9);
}

}  // namespace scant
