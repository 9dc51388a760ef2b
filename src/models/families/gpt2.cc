#include <fmt/format.h>

#include <cmath>

#include "models/blocks/decoder_block.h"
#include "models/blocks/embedding.h"
#include "models/families/all_families.h"

namespace scant {
namespace {

/// Names and sizes shared by all layers of one model.
struct Layers {
  const ModelBuilder& builder;
  const ModelFacts& facts;
  std::string prefix;
  float epsilon;

  NormSpec norm(const std::string& name) const {
    return {NormSpec::Kind::kLayer, epsilon, builder.parameter(name + ".weight", {facts.hidden}),
            builder.parameter(name + ".bias", {facts.hidden})};
  }

  // Conv1D keeps its weight inputs x outputs.
  LinearInfo linear(const std::string& name, int64_t layer, int64_t outputs, int64_t inputs) const {
    return builder.linear(name, layer, outputs, inputs, {.bias = true, .transposed = true});
  }

  float scale(int64_t layer) const {
    const ConfigReader& config = builder.config();
    float result = 1.0f;
    if (config.flag_or("scale_attn_weights", true)) {
      result /= std::sqrt(static_cast<float>(facts.head_dim));
    }
    if (config.flag_or("scale_attn_by_inverse_layer_idx", false)) {
      result /= static_cast<float>(layer + 1);
    }
    return result;
  }

  DecoderBlockSpec block(int64_t layer) const {
    const std::string name = fmt::format("{}h.{}", prefix, layer);
    AttentionSpec attention;
    attention.shape = {.heads = facts.heads,
                       .kv_heads = facts.heads,
                       .head_dim = facts.head_dim,
                       .scale = scale(layer)};
    attention.projections = {linear(name + ".attn.c_attn", layer, 3 * facts.hidden, facts.hidden)};
    attention.output = linear(name + ".attn.c_proj", layer, facts.hidden, facts.hidden);
    return {.index = layer,
            .norm_first = true,
            .attention_norm = norm(name + ".ln_1"),
            .attention = std::move(attention),
            .feed_forward_norm = norm(name + ".ln_2"),
            .feed_forward = {
                .activation = activation_named(builder.config(), "activation_function", "gelu_new"),
                .up = linear(name + ".mlp.c_fc", layer, facts.feed_forward, facts.hidden),
                .down = linear(name + ".mlp.c_proj", layer, facts.hidden, facts.feed_forward)}};
  }
};

const ModelFacts& read_facts(ModelBuilder& builder) {
  const ConfigReader& config = builder.config();
  ModelFacts& facts = builder.facts();
  facts.layers = config.count("n_layer");
  facts.hidden = config.count("n_embd");
  facts.heads = config.count("n_head");
  facts.kv_heads = facts.heads;
  facts.feed_forward = config.count_or("n_inner", 4 * facts.hidden);
  facts.vocabulary = config.count("vocab_size");
  facts.positions = config.count("n_positions");
  if (facts.hidden % facts.heads != 0) {
    config.refuse("n_head",
                  fmt::format("is {}; expected a divisor of n_embd {}", facts.heads, facts.hidden));
  }
  if (config.flag_or("add_cross_attention", false)) {
    config.refuse("add_cross_attention", "is not supported; expected false");
  }
  facts.head_dim = facts.hidden / facts.heads;
  return facts;
}

void build(ModelBuilder& builder) {
  const ModelFacts& facts = read_facts(builder);
  const std::string prefix = builder.prefix({"transformer.", ""}, "wte.weight");
  const Layers layers = {
      builder, facts, prefix,
      static_cast<float>(builder.config().number_or("layer_norm_epsilon", 1e-5))};
  EmbeddingSpec embedding;
  embedding.tokens = builder.parameter(prefix + "wte.weight", {facts.vocabulary, facts.hidden});
  embedding.vocabulary = facts.vocabulary;
  embedding.width = facts.hidden;
  embedding.positions = builder.parameter(prefix + "wpe.weight", {facts.positions, facts.hidden});
  embedding.position_rows = facts.positions;
  const std::string tokens = embedding.tokens;
  builder.add_stage(std::make_unique<Embedding>(std::move(embedding)));
  for (int64_t layer = 0; layer < facts.layers; ++layer) {
    builder.add_stage(std::make_unique<DecoderBlock>(layers.block(layer), builder.scratch()));
  }
  builder.add_stage(
      std::make_unique<FinalNorm>(FinalNormSpec{.norm = layers.norm(prefix + "ln_f")}));
  builder.set_head("lm_head.weight", tokens, facts.hidden, true);
}

}  // namespace

extern const Family kGpt2;
const Family kGpt2 = {"GPT2LMHeadModel", "gpt2", build};

}  // namespace scant
