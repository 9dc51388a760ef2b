#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/tensor.h"

namespace scant {

struct AttentionShape {
  int64_t heads = 1;
  int64_t kv_heads = 1;  ///< divides heads; query heads share keys in runs of heads / kv_heads
  int64_t head_dim = 1;
  int64_t window = 0;  ///< a token sees this many keys, its own included; 0 means all
  float scale = 1.0f;  ///< of the scores before the softmax
};

/// out = softmax(scale * q k^T, causal) v, head by head. q, out: tokens x heads * head_dim; k, v:
/// tokens x kv_heads * head_dim; all may be strided. Exact softmax, single-threaded. `scratch`
/// holds at least attention_scratch_size floats. `out` may be `q`.
void attention(const AttentionShape& shape, ConstMatrixView q, ConstMatrixView k, ConstMatrixView v,
               MatrixView out, std::span<float> scratch);

int64_t attention_scratch_size(int64_t tokens, int64_t head_dim);

/// The row of the kernel table that runs now, for messages and tests.
std::string_view attention_kernel();

}  // namespace scant
