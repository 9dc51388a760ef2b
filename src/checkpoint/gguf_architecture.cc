#include "checkpoint/gguf_architecture.h"

#include <algorithm>
#include <array>

namespace scant {
namespace {

constexpr std::array kDecoderModel = {
    GgufName{"token_embd", "model.embed_tokens"},
    GgufName{"output_norm", "model.norm"},
    GgufName{"output", "lm_head"},
};
constexpr std::array kLlamaLayer = {
    GgufName{"attn_norm", "input_layernorm"},
    GgufName{"attn_q", "self_attn.q_proj", GgufRows::kQueryHeads},
    GgufName{"attn_k", "self_attn.k_proj", GgufRows::kKeyHeads},
    GgufName{"attn_v", "self_attn.v_proj"},
    GgufName{"attn_output", "self_attn.o_proj"},
    GgufName{"ffn_norm", "post_attention_layernorm"},
    GgufName{"ffn_gate", "mlp.gate_proj"},
    GgufName{"ffn_up", "mlp.up_proj"},
    GgufName{"ffn_down", "mlp.down_proj"},
};
constexpr std::array kQwen2Layer = {
    GgufName{"attn_norm", "input_layernorm"},    GgufName{"attn_q", "self_attn.q_proj"},
    GgufName{"attn_k", "self_attn.k_proj"},      GgufName{"attn_v", "self_attn.v_proj"},
    GgufName{"attn_output", "self_attn.o_proj"}, GgufName{"ffn_norm", "post_attention_layernorm"},
    GgufName{"ffn_gate", "mlp.gate_proj"},       GgufName{"ffn_up", "mlp.up_proj"},
    GgufName{"ffn_down", "mlp.down_proj"},
};
constexpr std::array kQwen3Layer = {
    GgufName{"attn_norm", "input_layernorm"},    GgufName{"attn_q", "self_attn.q_proj"},
    GgufName{"attn_q_norm", "self_attn.q_norm"}, GgufName{"attn_k", "self_attn.k_proj"},
    GgufName{"attn_k_norm", "self_attn.k_norm"}, GgufName{"attn_v", "self_attn.v_proj"},
    GgufName{"attn_output", "self_attn.o_proj"}, GgufName{"ffn_norm", "post_attention_layernorm"},
    GgufName{"ffn_gate", "mlp.gate_proj"},       GgufName{"ffn_up", "mlp.up_proj"},
    GgufName{"ffn_down", "mlp.down_proj"},
};
constexpr std::array kGpt2Model = {
    GgufName{"token_embd", "transformer.wte"},
    GgufName{"position_embd", "transformer.wpe"},
    GgufName{"output_norm", "transformer.ln_f"},
    GgufName{"output", "lm_head"},
};
constexpr std::array kGpt2Layer = {
    GgufName{"attn_norm", "ln_1"},
    GgufName{"attn_qkv", "attn.c_attn", GgufRows::kSame, true},
    GgufName{"attn_output", "attn.c_proj", GgufRows::kSame, true},
    GgufName{"ffn_norm", "ln_2"},
    GgufName{"ffn_up", "mlp.c_fc", GgufRows::kSame, true},
    GgufName{"ffn_down", "mlp.c_proj", GgufRows::kSame, true},
};
constexpr std::array<std::string_view, 1> kWrittenAsLlama = {"MistralForCausalLM"};

/// What architectures with RMS norms and rotary positions share.
constexpr GgufArchitecture rotary(std::string_view name, std::string_view model_class,
                                  std::span<const GgufName> layer) {
  return {.name = name,
          .model_class = model_class,
          .other_classes = {},
          .model_type = name,
          .prefix = "model.",
          .layers = "model.layers.",
          .epsilon = "attention.layer_norm_rms_epsilon",
          .epsilon_in_config = "rms_norm_eps",
          .hidden = "hidden_size",
          .layer_count = "num_hidden_layers",
          .feed_forward = "intermediate_size",
          .heads = "num_attention_heads",
          .positions = "max_position_embeddings",
          .model_names = kDecoderModel,
          .layer_names = layer};
}

constexpr GgufArchitecture llama() {
  GgufArchitecture result = rotary("llama", "LlamaForCausalLM", kLlamaLayer);
  result.other_classes = kWrittenAsLlama;
  result.rope_factors = true;
  return result;
}

constexpr std::array kArchitectures = {
    llama(),
    rotary("qwen2", "Qwen2ForCausalLM", kQwen2Layer),
    rotary("qwen3", "Qwen3ForCausalLM", kQwen3Layer),
    GgufArchitecture{.name = "gpt2",
                     .model_class = "GPT2LMHeadModel",
                     .other_classes = {},
                     .model_type = "gpt2",
                     .rotary = false,
                     .prefix = "transformer.",
                     .layers = "transformer.h.",
                     .epsilon = "attention.layer_norm_epsilon",
                     .epsilon_in_config = "layer_norm_epsilon",
                     .hidden = "n_embd",
                     .layer_count = "n_layer",
                     .feed_forward = "n_inner",
                     .heads = "n_head",
                     .positions = "n_positions",
                     .model_names = kGpt2Model,
                     .layer_names = kGpt2Layer},
};

}  // namespace

int64_t gguf_row(int64_t row, int64_t head) {
  const int64_t within = row % head;
  const int64_t half = head / 2;
  return row - within + within % half * 2 + within / half;
}

int64_t huggingface_row(int64_t row, int64_t head) {
  const int64_t within = row % head;
  return row - within + within % 2 * (head / 2) + within / 2;
}

std::span<const GgufArchitecture> all_gguf_architectures() { return kArchitectures; }

const GgufArchitecture* find_gguf_architecture(std::string_view name) {
  const auto found = std::ranges::find(kArchitectures, name, &GgufArchitecture::name);
  return found == kArchitectures.end() ? nullptr : &*found;
}

const GgufArchitecture* gguf_architecture_of_class(std::string_view model_class) {
  const auto found = std::ranges::find_if(kArchitectures, [&](const GgufArchitecture& one) {
    return one.model_class == model_class ||
           std::ranges::find(one.other_classes, model_class) != one.other_classes.end();
  });
  return found == kArchitectures.end() ? nullptr : &*found;
}

std::string gguf_architecture_names() {
  std::string names;
  for (const GgufArchitecture& one : kArchitectures) {
    names.append(names.empty() ? "" : ", ").append(one.name);
  }
  return names;
}

std::string gguf_key(const GgufArchitecture& architecture, std::string_view key) {
  return std::string(architecture.name).append(".").append(key);
}

}  // namespace scant
