#pragma once

// Included by ISA files: declarations only.
#include <cstdint>

namespace scant {

/// Causal attention of one sample. Head h of `q` and `out` lies at columns h * head_dim; it attends
/// with head h / (heads / kv_heads) of `k` and `v`. Strides are floats from token to token.
struct AttentionCall {
  const float* q;
  const float* k;
  const float* v;
  float* out;
  int64_t q_stride, k_stride, v_stride, out_stride;
  int64_t tokens, heads, kv_heads, head_dim;
  int64_t window;  ///< token t sees keys max(0, t - window + 1) ... t; 0 means all before it
  float scale;     ///< of q k before the softmax
  float* scratch;  ///< attention_scratch_size floats
};

struct AttentionRow {
  const char* name;
  void (*run)(const AttentionCall& call) noexcept;
};

/// Keys and head dimensions are padded to this many in scratch, at least what any row needs.
inline constexpr int64_t kAttentionPadding = 32;
/// Queries that a row takes at a time, at most.
inline constexpr int64_t kAttentionTile = 8;

extern const AttentionRow kAttentionReference;
extern const AttentionRow kAttentionAvx2;
extern const AttentionRow kAttentionAvx512;

}  // namespace scant
