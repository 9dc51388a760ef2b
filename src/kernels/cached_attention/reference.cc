#include <algorithm>
#include <cmath>

#include "core/dtype.h"
#include "kernels/cached_attention/rows.h"

namespace scant {
namespace {

float widened(float x) noexcept { return x; }
float widened(uint16_t x) noexcept { return bf16_to_f32(x); }
float widened(int8_t x) noexcept { return static_cast<float>(x); }

template <typename T>
void run(const CachedAttentionCall& c) noexcept {
  const auto* keys = static_cast<const T*>(c.keys);
  const auto* values = static_cast<const T*>(c.values);
  for (int64_t r = 0; r < c.queries; ++r) {
    const float* q = c.q + r * c.width;
    float* scores = c.scores + r * c.score_stride;
    float* out = c.out + r * c.width;
    float max = -INFINITY;
    for (int64_t j = c.begin; j < c.end; ++j) {
      float score = 0;
      for (int64_t i = 0; i < c.width; ++i) score += q[i] * widened(keys[j * c.width + i]);
      if (c.key_scales != nullptr) score *= c.key_scales[j];
      scores[j - c.begin] = score;
      max = std::max(max, score);
    }
    float sum = 0;
    for (int64_t i = 0; i < c.width; ++i) out[i] = 0;
    for (int64_t j = c.begin; j < c.end; ++j) {
      float weight = std::exp(scores[j - c.begin] - max);
      sum += weight;
      if (c.value_scales != nullptr) weight *= c.value_scales[j];
      for (int64_t i = 0; i < c.width; ++i) out[i] += weight * widened(values[j * c.width + i]);
    }
    c.max[r] = max;
    c.sum[r] = sum;
  }
}

}  // namespace

const CachedAttentionRow kCachedAttentionReference = {"attention_cached__reference", run<float>,
                                                      run<uint16_t>, run<int8_t>};

}  // namespace scant
