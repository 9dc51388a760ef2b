#pragma once

#include <cstdint>
#include <vector>

#include "models/model_builder.h"

namespace scant {

/// What tells the descendants of Llama apart: RMS norms first, rotary positions, grouped heads and
/// a gated feed-forward are common to all.
struct RotaryDecoderOptions {
  int64_t head_dim = 0;  ///< if the configuration has none; 0: hidden_size / heads
  bool qkv_bias = false;
  bool output_bias = false;
  bool feed_forward_bias = false;
  bool head_norms = false;       ///< RMS norm of each query and key head
  std::vector<int64_t> windows;  ///< sliding window per layer, 0 = none; empty: none at all
};

/// Composes the model from Hugging Face's Llama names: model.layers.N.self_attn.q_proj, ...
void build_rotary_decoder(ModelBuilder& builder, const RotaryDecoderOptions& options);

/// Sliding windows as Qwen2 and Qwen3 configure them: `layer_types`, or `use_sliding_window` with
/// `sliding_window` from layer `max_window_layers` on.
std::vector<int64_t> qwen_windows(const ConfigReader& config);

}  // namespace scant
