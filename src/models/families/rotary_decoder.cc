#include "models/families/rotary_decoder.h"

#include <fmt/format.h>

#include <cmath>

#include "models/blocks/decoder_block.h"
#include "models/blocks/embedding.h"
#include "models/blocks/rotary.h"

namespace scant {
namespace {

ModelFacts& read_facts(ModelBuilder& builder, const RotaryDecoderOptions& options) {
  const ConfigReader& config = builder.config();
  ModelFacts& facts = builder.facts();
  facts.layers = config.count("num_hidden_layers");
  facts.hidden = config.count("hidden_size");
  facts.heads = config.count("num_attention_heads");
  facts.kv_heads = config.count_or("num_key_value_heads", facts.heads);
  facts.feed_forward = config.count("intermediate_size");
  facts.vocabulary = config.count("vocab_size");
  facts.positions = config.count_or("max_position_embeddings", 0);
  if (facts.heads % facts.kv_heads != 0) {
    config.refuse("num_key_value_heads", fmt::format("is {}; expected a divisor of {} heads",
                                                     facts.kv_heads, facts.heads));
  }
  if (const auto head_dim = config.find_count("head_dim")) {
    facts.head_dim = *head_dim;
  } else if (options.head_dim != 0) {
    facts.head_dim = options.head_dim;
  } else if (facts.hidden % facts.heads == 0) {
    facts.head_dim = facts.hidden / facts.heads;
  } else {
    config.refuse("num_attention_heads", fmt::format("is {}; expected a divisor of hidden_size {}",
                                                     facts.heads, facts.hidden));
  }
  return facts;
}

std::shared_ptr<const Rotary> rotary_of(const ModelBuilder& builder, int64_t head_dim) {
  const std::string name = "rope_freqs.weight";  // only in GGUF
  std::vector<float> divisors;
  if (builder.has(name)) divisors = builder.values(builder.parameter(name, {head_dim / 2}));
  return std::make_shared<Rotary>(Rotary::frequencies(builder.config(), head_dim, divisors));
}

/// Names and sizes shared by all layers of one model.
struct Layers {
  const ModelBuilder& builder;
  const RotaryDecoderOptions& options;
  const ModelFacts& facts;
  std::string prefix;
  float epsilon;
  std::shared_ptr<const Rotary> rotary;

  NormSpec norm(const std::string& tensor, int64_t size) const {
    return {NormSpec::Kind::kRms, epsilon, builder.parameter(tensor, {size}), ""};
  }

  AttentionSpec attention(const std::string& name, int64_t layer) const {
    const int64_t q_width = facts.heads * facts.head_dim;
    const int64_t kv_width = facts.kv_heads * facts.head_dim;
    const LinearOptions qkv = {.bias = options.qkv_bias};
    AttentionSpec spec;
    spec.shape = {
        .heads = facts.heads,
        .kv_heads = facts.kv_heads,
        .head_dim = facts.head_dim,
        .window = options.windows.empty() ? 0 : options.windows[static_cast<size_t>(layer)],
        .scale = 1.0f / std::sqrt(static_cast<float>(facts.head_dim))};
    spec.projections = {builder.linear(name + ".q_proj", layer, q_width, facts.hidden, qkv),
                        builder.linear(name + ".k_proj", layer, kv_width, facts.hidden, qkv),
                        builder.linear(name + ".v_proj", layer, kv_width, facts.hidden, qkv)};
    spec.output = builder.linear(name + ".o_proj", layer, facts.hidden, q_width,
                                 {.bias = options.output_bias});
    if (options.head_norms) {
      spec.query_norm = norm(name + ".q_norm.weight", facts.head_dim);
      spec.key_norm = norm(name + ".k_norm.weight", facts.head_dim);
    }
    spec.rotary = rotary;
    return spec;
  }

  FeedForwardSpec feed_forward(const std::string& name, int64_t layer) const {
    const LinearOptions bias = {.bias = options.feed_forward_bias};
    return {
        .activation = activation_named(builder.config(), "hidden_act", "silu"),
        .gate = builder.linear(name + ".gate_proj", layer, facts.feed_forward, facts.hidden, bias),
        .up = builder.linear(name + ".up_proj", layer, facts.feed_forward, facts.hidden, bias),
        .down = builder.linear(name + ".down_proj", layer, facts.hidden, facts.feed_forward, bias)};
  }

  DecoderBlockSpec block(int64_t layer) const {
    const std::string name = fmt::format("{}layers.{}", prefix, layer);
    return {.index = layer,
            .norm_first = true,
            .attention_norm = norm(name + ".input_layernorm.weight", facts.hidden),
            .attention = attention(name + ".self_attn", layer),
            .feed_forward_norm = norm(name + ".post_attention_layernorm.weight", facts.hidden),
            .feed_forward = feed_forward(name + ".mlp", layer)};
  }
};

}  // namespace

void build_rotary_decoder(ModelBuilder& builder, const RotaryDecoderOptions& options) {
  const ModelFacts& facts = read_facts(builder, options);
  const std::string prefix = builder.prefix({"model.", ""}, "embed_tokens.weight");
  const Layers layers = {builder,
                         options,
                         facts,
                         prefix,
                         static_cast<float>(builder.config().number_or("rms_norm_eps", 1e-6)),
                         rotary_of(builder, facts.head_dim)};
  const std::string embedding =
      builder.parameter(prefix + "embed_tokens.weight", {facts.vocabulary, facts.hidden});
  builder.add_stage(std::make_unique<Embedding>(
      EmbeddingSpec{.tokens = embedding, .vocabulary = facts.vocabulary, .width = facts.hidden}));
  for (int64_t layer = 0; layer < facts.layers; ++layer) {
    builder.add_stage(std::make_unique<DecoderBlock>(layers.block(layer), builder.scratch()));
  }
  builder.add_stage(std::make_unique<FinalNorm>(
      FinalNormSpec{.norm = layers.norm(prefix + "norm.weight", facts.hidden)}));
  builder.set_head("lm_head.weight", embedding, facts.hidden, false);
}

std::vector<int64_t> qwen_windows(const ConfigReader& config) {
  if (!config.flag_or("use_sliding_window", false)) return {};
  const auto window = config.find_count("sliding_window");
  if (!window) return {};
  const auto layers = static_cast<size_t>(config.count("num_hidden_layers"));
  std::vector<int64_t> windows;
  const std::vector<std::string> types = config.texts("layer_types");
  if (types.empty()) {
    const auto first = static_cast<size_t>(config.number_or("max_window_layers", 28));
    for (size_t i = 0; i < layers; ++i) windows.push_back(i >= first ? *window : 0);
    return windows;
  }
  if (types.size() != layers) {
    config.refuse("layer_types", fmt::format("has {} entries; expected {}", types.size(), layers));
  }
  for (const std::string& type : types) {
    if (type != "full_attention" && type != "sliding_attention") {
      config.refuse("layer_types",
                    fmt::format("has {}; expected full_attention or sliding_attention", type));
    }
    windows.push_back(type == "sliding_attention" ? *window : 0);
  }
  return windows;
}

}  // namespace scant
