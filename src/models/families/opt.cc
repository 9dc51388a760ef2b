#include <fmt/format.h>

#include <cmath>

#include "models/blocks/decoder_block.h"
#include "models/blocks/embedding.h"
#include "models/families/all_families.h"

namespace scant {
namespace {

constexpr int64_t kPositionOffset = 2;  // the table starts with two rows that no position uses
constexpr float kEpsilon = 1e-5f;       // torch.nn.LayerNorm's

/// Names and sizes shared by all layers of one model.
struct Layers {
  const ModelBuilder& builder;
  const ModelFacts& facts;
  std::string prefix;
  bool bias;
  bool affine;
  bool norm_first;

  NormSpec norm(const std::string& name) const {
    NormSpec spec{NormSpec::Kind::kLayer, kEpsilon, "", ""};
    if (affine) {
      spec.weight = builder.parameter(name + ".weight", {facts.hidden});
      spec.bias = builder.parameter(name + ".bias", {facts.hidden});
    }
    return spec;
  }

  AttentionSpec attention(const std::string& name, int64_t layer) const {
    const auto projection = [&](const char* kind) {
      return builder.linear(name + kind, layer, facts.hidden, facts.hidden, {.bias = bias});
    };
    AttentionSpec spec;
    spec.shape = {.heads = facts.heads,
                  .kv_heads = facts.heads,
                  .head_dim = facts.head_dim,
                  .scale = 1.0f / std::sqrt(static_cast<float>(facts.head_dim))};
    spec.projections = {projection(".q_proj"), projection(".k_proj"), projection(".v_proj")};
    spec.output = projection(".out_proj");
    return spec;
  }

  DecoderBlockSpec block(int64_t layer) const {
    const std::string name = fmt::format("{}layers.{}", prefix, layer);
    return {.index = layer,
            .norm_first = norm_first,
            .attention_norm = norm(name + ".self_attn_layer_norm"),
            .attention = attention(name + ".self_attn", layer),
            .feed_forward_norm = norm(name + ".final_layer_norm"),
            .feed_forward = {
                .activation = activation_named(builder.config(), "activation_function", "relu"),
                .up = builder.linear(name + ".fc1", layer, facts.feed_forward, facts.hidden,
                                     {.bias = bias}),
                .down = builder.linear(name + ".fc2", layer, facts.hidden, facts.feed_forward,
                                       {.bias = bias})}};
  }
};

const ModelFacts& read_facts(ModelBuilder& builder) {
  const ConfigReader& config = builder.config();
  ModelFacts& facts = builder.facts();
  facts.layers = config.count("num_hidden_layers");
  facts.hidden = config.count("hidden_size");
  facts.heads = config.count("num_attention_heads");
  facts.kv_heads = facts.heads;
  facts.feed_forward = config.count("ffn_dim");
  facts.vocabulary = config.count("vocab_size");
  facts.positions = config.count("max_position_embeddings");
  if (facts.hidden % facts.heads != 0) {
    config.refuse("num_attention_heads", fmt::format("is {}; expected a divisor of hidden_size {}",
                                                     facts.heads, facts.hidden));
  }
  facts.head_dim = facts.hidden / facts.heads;
  return facts;
}

void build(ModelBuilder& builder) {
  const ConfigReader& config = builder.config();
  const ModelFacts& facts = read_facts(builder);
  const int64_t width = config.count_or("word_embed_proj_dim", facts.hidden);
  const std::string prefix = builder.prefix({"model.decoder.", "decoder."}, "embed_tokens.weight");
  const Layers layers = {builder,
                         facts,
                         prefix,
                         config.flag_or("enable_bias", true),
                         config.flag_or("layer_norm_elementwise_affine", true),
                         config.flag_or("do_layer_norm_before", true)};

  EmbeddingSpec embedding;
  embedding.tokens = builder.parameter(prefix + "embed_tokens.weight", {facts.vocabulary, width});
  embedding.vocabulary = facts.vocabulary;
  embedding.width = width;
  embedding.position_offset = kPositionOffset;
  embedding.position_rows = facts.positions + kPositionOffset;
  embedding.positions =
      builder.parameter(prefix + "embed_positions.weight", {embedding.position_rows, facts.hidden});
  FinalNormSpec last;
  if (width != facts.hidden) {
    embedding.projection = builder.linear(prefix + "project_in", -1, facts.hidden, width);
    last.projection = builder.linear(prefix + "project_out", -1, width, facts.hidden);
  }
  if (layers.norm_first && !config.flag_or("_remove_final_layer_norm", false)) {
    last.norm = layers.norm(prefix + "final_layer_norm");
  }
  const std::string tokens = embedding.tokens;
  builder.add_stage(std::make_unique<Embedding>(std::move(embedding)));
  for (int64_t layer = 0; layer < facts.layers; ++layer) {
    builder.add_stage(std::make_unique<DecoderBlock>(layers.block(layer), builder.scratch()));
  }
  builder.add_stage(std::make_unique<FinalNorm>(std::move(last)));
  builder.set_head("lm_head.weight", tokens, width, true);
}

}  // namespace

extern const Family kOpt;
const Family kOpt = {"OPTForCausalLM", "opt", build};

}  // namespace scant
