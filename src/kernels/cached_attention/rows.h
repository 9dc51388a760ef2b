#pragma once

// Included by ISA files: declarations only.
#include <cstdint>

namespace scant {

/// Rows of cached keys and values, and of queries, are padded with zeros to a multiple of this.
inline constexpr int64_t kCachedPadding = 16;

/// Queries that share a head of keys and values against positions [begin, end) of one page, begin <
/// end. Row r of `out` becomes sum_j e^(s_rj - m_r) v_j, max[r] = m_r = max_j s_rj and sum[r] =
/// sum_j e^(s_rj - m_r), where s_rj = q_r k_j.
struct CachedAttentionCall {
  const float* q;  ///< queries x width, scaled
  int64_t queries, width;
  const void* keys;           ///< positions x width of float, bf16 or int8
  const void* values;         ///< the same
  const float* key_scales;    ///< of int8: one per position
  const float* value_scales;  ///< of int8: one per position
  int64_t begin, end;
  float* scores;  ///< queries x score_stride
  int64_t score_stride;
  float* out;  ///< queries x width
  float* max;
  float* sum;
};

struct CachedAttentionRow {
  const char* name;
  void (*f32)(const CachedAttentionCall& call) noexcept;
  void (*bf16)(const CachedAttentionCall& call) noexcept;
  void (*int8)(const CachedAttentionCall& call) noexcept;
};

extern const CachedAttentionRow kCachedAttentionReference;
extern const CachedAttentionRow kCachedAttentionAvx2;
extern const CachedAttentionRow kCachedAttentionAvx512;

}  // namespace scant
