#include "checkpoint/gguf_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <optional>

#include "checkpoint/tensor_table.h"
#include "core/error.h"

namespace scant {
using nlohmann::json;
namespace {

const GgufTensor* find_tensor(const GgufFile& file, std::string_view name) {
  const auto found = std::ranges::find(file.tensors(), name, &GgufTensor::name);
  return found == file.tensors().end() ? nullptr : &*found;
}

int64_t positive(const GgufFile& file, const std::string& key) {
  const auto value = file.integer(key);
  if (!value || *value == 0) {
    throw Error(file.where(), fmt::format("key {} is {}; expected a positive number", key,
                                          value ? "0" : "missing"));
  }
  return *value;
}

int64_t positive_or(const GgufFile& file, const std::string& key, int64_t fallback) {
  return file.find(key) == nullptr ? fallback : positive(file, key);
}

/// head_count_kv may be a list with one number per layer; only equal numbers are read.
int64_t key_value_heads(const GgufFile& file, const GgufArchitecture& kind, int64_t heads) {
  const std::string key = gguf_key(kind, gguf_keys::kKeyHeads);
  const GgufValue* value = file.find(key);
  if (value == nullptr || !std::holds_alternative<GgufArray>(*value)) {
    return positive_or(file, key, heads);
  }
  const std::vector<int32_t> counts = *file.integers(key);
  if (counts.empty() || counts.front() <= 0 ||
      std::ranges::adjacent_find(counts, std::ranges::not_equal_to()) != counts.end()) {
    throw Error(file.where(), fmt::format("key {} differs between layers; expected one number of "
                                          "key heads for all",
                                          key));
  }
  return counts.front();
}

struct Heads {
  int64_t count, key_value, size;
};

Heads read_heads(const GgufFile& file, const GgufArchitecture& kind, int64_t hidden) {
  const auto key = [&](std::string_view name) { return gguf_key(kind, name); };
  Heads heads{};
  heads.count = positive(file, key(gguf_keys::kHeads));
  heads.key_value = key_value_heads(file, kind, heads.count);
  if (heads.count % heads.key_value != 0) {
    throw Error(file.where(), fmt::format("has {} heads for {} key heads; expected a multiple",
                                          heads.count, heads.key_value));
  }
  heads.size = positive_or(file, key(gguf_keys::kKeyLength), hidden / heads.count);
  const int64_t values = positive_or(file, key(gguf_keys::kValueLength), heads.size);
  const int64_t rotary = positive_or(file, key(gguf_keys::kRotary), heads.size);
  if (heads.size == 0 || heads.size % 2 != 0 || values != heads.size || rotary != heads.size) {
    throw Error(file.where(), fmt::format("has heads of {} keys, {} values and {} rotary "
                                          "dimensions; expected one even number for all",
                                          heads.size, values, rotary));
  }
  return heads;
}

/// The divisors of the rotary frequencies by Llama 3's rule ("Llama 3.1 rope scaling", transformers
/// modeling_rope_utils, _compute_llama3_parameters) with its published constants.
constexpr double kLowFactor = 1.0, kHighFactor = 4.0, kOriginalLength = 8192.0;
double llama3_divisor(double frequency, double factor) {
  const double wavelength = 2.0 * std::numbers::pi / frequency;
  if (wavelength < kOriginalLength / kHighFactor) return 1.0;
  if (wavelength > kOriginalLength / kLowFactor) return factor;
  const double smooth = (kOriginalLength / wavelength - kLowFactor) / (kHighFactor - kLowFactor);
  return 1.0 / ((1.0 - smooth) / factor + smooth);
}

json scaling_from_factors(const GgufFile& file, const GgufTensor& tensor, int64_t head_size,
                          double theta) {
  if (tensor.shape != Shape{head_size / 2}) {
    throw Error(file.where(), fmt::format("tensor {} has shape {}; expected [{}]", kRopeFactors,
                                          shape_text(tensor.shape), head_size / 2));
  }
  std::vector<float> divisors(static_cast<size_t>(head_size / 2));
  read_gguf_values(*tensor.type, tensor.data, 0, divisors);
  // Divisors are float32, and so were the computations behind them.
  constexpr double kTolerance = 1e-5;
  const double factor = divisors.back();
  bool is_llama3 = std::isfinite(factor) && factor >= 1.0;
  for (size_t i = 0; is_llama3 && i < divisors.size(); ++i) {
    const double frequency =
        std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_size));
    const double expected = llama3_divisor(frequency, factor);
    is_llama3 = std::abs(divisors[i] - expected) <= kTolerance * expected;
  }
  if (!is_llama3) return {{"rope_type", "gguf_factors"}};
  return {{"rope_type", "llama3"},
          {"factor", factor},
          {"low_freq_factor", kLowFactor},
          {"high_freq_factor", kHighFactor},
          {"original_max_position_embeddings", static_cast<int64_t>(kOriginalLength)}};
}

json rope_scaling(const GgufFile& file, const GgufArchitecture& kind, int64_t head_size,
                  double theta) {
  const std::string type(file.text(gguf_key(kind, gguf_keys::kScalingType)).value_or("linear"));
  const std::string factor_key = gguf_key(kind, gguf_keys::kScalingFactor);
  const double factor =
      file.number(factor_key)
          .value_or(file.number(gguf_key(kind, "rope.scale_linear")).value_or(1.0));
  if (type != "none" && type != "linear") {
    throw Error(file.where(), fmt::format("scales its rotary embedding by {}; supported are none, "
                                          "linear and rope_freqs.weight",
                                          quoted_name(type)));
  }
  const bool is_scaled = type == "linear" && factor != 0.0 && factor != 1.0;
  if (is_scaled && factor < 0.0) {
    throw Error(file.where(), fmt::format("key {} is {}", factor_key, factor));
  }
  if (const GgufTensor* factors = find_tensor(file, kRopeFactors)) {
    if (is_scaled) throw Error(file.where(), "has both rope_freqs.weight and a linear rope scale");
    return scaling_from_factors(file, *factors, head_size, theta);
  }
  if (!is_scaled) return nullptr;
  return {{"rope_type", "linear"}, {"factor", factor}};
}

/// The plain type that all matrices have, else float32.
std::string torch_dtype(const GgufFile& file) {
  std::optional<DType> common;
  for (const GgufTensor& tensor : file.tensors()) {
    if (tensor.shape.size() < 2) continue;
    if (!tensor.type->dtype || (common && *common != *tensor.type->dtype)) return "float32";
    common = tensor.type->dtype;
  }
  if (common == DType::kBF16) return "bfloat16";
  return common == DType::kF16 ? "float16" : "float32";
}

/// What models with rotary positions say besides.
void add_rotary(const GgufFile& file, const GgufArchitecture& kind, int64_t hidden, json& config) {
  const Heads heads = read_heads(file, kind, hidden);
  const double theta = file.number(gguf_key(kind, gguf_keys::kTheta)).value_or(10000.0);
  if (!(theta > 0.0)) {
    throw Error(file.where(), fmt::format("has no positive {}", gguf_key(kind, gguf_keys::kTheta)));
  }
  config["hidden_act"] = "silu";
  config["num_key_value_heads"] = heads.key_value;
  config["head_dim"] = heads.size;
  config["rope_theta"] = theta;
  config["rope_scaling"] = rope_scaling(file, kind, heads.size, theta);
  config["attention_bias"] = find_tensor(file, "blk.0.attn_q.bias") != nullptr;
  config["mlp_bias"] = find_tensor(file, "blk.0.ffn_gate.bias") != nullptr;
}

/// "attn_q" of "blk.3.attn_q", with its layer.
struct LayerPart {
  int64_t layer = 0;
  std::string_view part;
};
std::optional<LayerPart> split_layer(std::string_view stem, int64_t layers) {
  constexpr std::string_view kPrefix = "blk.";
  if (!stem.starts_with(kPrefix)) return std::nullopt;
  LayerPart result;
  const char* begin = stem.data() + kPrefix.size();
  const char* end = stem.data() + stem.size();
  const auto [after, error] = std::from_chars(begin, end, result.layer);
  const bool leading_zero = *begin == '0' && after - begin > 1;
  if (error != std::errc() || after == end || *after != '.' || leading_zero || result.layer < 0 ||
      result.layer >= layers) {
    return std::nullopt;
  }
  result.part = stem.substr(static_cast<size_t>(after + 1 - stem.data()));
  return result;
}

}  // namespace

const GgufArchitecture& gguf_architecture(const GgufFile& file) {
  const auto name = file.text("general.architecture");
  const GgufArchitecture* kind = name ? find_gguf_architecture(*name) : nullptr;
  if (kind == nullptr) {
    throw Error(file.where(),
                fmt::format("is of architecture {}; supported in GGUF are {}",
                            name ? quoted_name(*name) : "none", gguf_architecture_names()));
  }
  return *kind;
}

json gguf_config(const GgufFile& file, const GgufVocabulary* vocabulary) {
  const GgufArchitecture& kind = gguf_architecture(file);
  const auto key = [&](std::string_view name) { return gguf_key(kind, name); };
  if (file.integer(key("expert_count")).value_or(0) > 0) {
    throw Error(file.where(), "is a mixture of experts; expected a dense model");
  }
  const int64_t hidden = positive(file, key(gguf_keys::kHidden));
  const GgufTensor* embedding = find_tensor(file, "token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2 || embedding->shape[1] != hidden) {
    throw Error(file.where(),
                fmt::format("tensor token_embd.weight {}; expected [vocabulary, {}]",
                            embedding == nullptr ? std::string("is missing")
                                                 : "has shape " + shape_text(embedding->shape),
                            hidden));
  }
  const auto epsilon = file.number(key(kind.epsilon));
  if (!epsilon || !(*epsilon > 0.0)) {
    throw Error(file.where(), fmt::format("has no positive {}", key(kind.epsilon)));
  }
  json config = {
      {"architectures", {std::string(kind.model_class)}},
      {"model_type", std::string(kind.model_type)},
      {"vocab_size", embedding->shape[0]},
      {"tie_word_embeddings", find_tensor(file, "output.weight") == nullptr},
      {"torch_dtype", torch_dtype(file)},
  };
  config[std::string(kind.hidden)] = hidden;
  config[std::string(kind.feed_forward)] = positive(file, key(gguf_keys::kFeedForward));
  config[std::string(kind.layer_count)] = positive(file, key(gguf_keys::kLayers));
  config[std::string(kind.heads)] = positive(file, key(gguf_keys::kHeads));
  config[std::string(kind.positions)] = positive(file, key(gguf_keys::kPositions));
  config[std::string(kind.epsilon_in_config)] = *epsilon;
  if (kind.rotary) {
    add_rotary(file, kind, hidden, config);
  } else {
    config["activation_function"] = "gelu_new";
  }
  if (vocabulary != nullptr) {
    if (vocabulary->bos) config["bos_token_id"] = *vocabulary->bos;
    if (vocabulary->eos) config["eos_token_id"] = *vocabulary->eos;
    if (vocabulary->padding) config["pad_token_id"] = *vocabulary->padding;
  }
  return config;
}

GgufTensorName gguf_tensor_name(const GgufFile& file, const GgufTensor& tensor,
                                const json& config) {
  const GgufArchitecture& kind = gguf_architecture(file);
  if (tensor.name == kRopeFactors && kind.rotary) {
    return {config.at("rope_scaling").at("rope_type") == "gguf_factors" ? std::string(kRopeFactors)
                                                                        : std::string()};
  }
  const size_t dot = tensor.name.rfind('.');
  const std::string_view stem = tensor.name.substr(0, dot);
  const std::string_view suffix = dot == std::string_view::npos ? "" : tensor.name.substr(dot + 1);
  const auto layers = config.at(std::string(kind.layer_count)).get<int64_t>();
  const auto layer = split_layer(stem, layers);
  const auto names = layer ? kind.layer_names : kind.model_names;
  const auto found = std::ranges::find(names, layer ? layer->part : stem, &GgufName::gguf);
  if (found == names.end() || (suffix != "weight" && suffix != "bias")) {
    throw Error(file.where(), fmt::format("tensor {} is not part of a {} model of {} layers",
                                          quoted_name(tensor.name), kind.name, layers));
  }
  GgufTensorName result;
  result.name =
      layer ? fmt::format("{}{}.{}.{}", kind.layers, layer->layer, found->huggingface, suffix)
            : fmt::format("{}.{}", found->huggingface, suffix);
  result.transposed = found->transposed && suffix == "weight";
  if (result.transposed && tensor.shape.size() != 2) {
    throw Error(file.where(), fmt::format("tensor {} has shape {}; expected a matrix",
                                          quoted_name(tensor.name), shape_text(tensor.shape)));
  }
  if (found->rows == GgufRows::kSame) return result;
  const char* heads =
      found->rows == GgufRows::kQueryHeads ? "num_attention_heads" : "num_key_value_heads";
  const auto head_size = config.at("head_dim").get<int64_t>();
  const int64_t rows = config.at(heads).get<int64_t>() * head_size;
  if (tensor.shape.empty() || tensor.shape[0] != rows) {
    throw Error(file.where(),
                fmt::format("tensor {} has shape {}; expected {} rows", quoted_name(tensor.name),
                            shape_text(tensor.shape), rows));
  }
  result.interleaved_rows = head_size;
  return result;
}

}  // namespace scant
