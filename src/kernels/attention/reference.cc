#include <algorithm>
#include <cmath>

#include "kernels/attention/rows.h"

namespace scant {
namespace {

float dot(const float* a, const float* b, int64_t n) noexcept {
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// One query against the keys `first` ... `last`; `scores` holds as many.
void attend(const AttentionCall& c, const float* q, const float* k, const float* v, int64_t first,
            int64_t last, float* scores, float* out) noexcept {
  float max = -INFINITY;
  for (int64_t j = first; j <= last; ++j) {
    scores[j - first] = c.scale * dot(q, k + j * c.k_stride, c.head_dim);
    max = std::max(max, scores[j - first]);
  }
  float sum = 0;
  for (int64_t j = first; j <= last; ++j) {
    scores[j - first] = std::exp(scores[j - first] - max);
    sum += scores[j - first];
  }
  for (int64_t i = 0; i < c.head_dim; ++i) out[i] = 0;
  for (int64_t j = first; j <= last; ++j) {
    const float* row = v + j * c.v_stride;
    for (int64_t i = 0; i < c.head_dim; ++i) out[i] += scores[j - first] / sum * row[i];
  }
}

void run(const AttentionCall& c) noexcept {
  const int64_t group = c.heads / c.kv_heads;
  for (int64_t h = 0; h < c.heads; ++h) {
    const int64_t column = h * c.head_dim;
    const int64_t kv_column = h / group * c.head_dim;
    for (int64_t t = 0; t < c.tokens; ++t) {
      const int64_t first = c.window > 0 ? std::max<int64_t>(0, t - c.window + 1) : 0;
      attend(c, c.q + t * c.q_stride + column, c.k + kv_column, c.v + kv_column, first, t,
             c.scratch, c.out + t * c.out_stride + column);
    }
  }
}

}  // namespace

const AttentionRow kAttentionReference = {"attention_f32_causal__reference", run};

}  // namespace scant
