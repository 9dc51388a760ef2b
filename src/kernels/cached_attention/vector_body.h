#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/cached_attention/rows.h"
#include "kernels/simd/exp.h"

namespace scant {
namespace {

/// Up to kTile queries at a time: every key and every value is loaded (and widened) once for all of
/// them. Rows are whole vectors, so there are no tails.
template <typename S>
struct CachedAttentionBody {
  using V = typename S::V;
  static constexpr int64_t kLanes = S::kLanes;
  static constexpr int64_t kTile = 4;
  static_assert(kCachedPadding % kLanes == 0);

  /// scores[r][j - begin] = q_r k_j for kCount queries; returns each one's largest.
  template <typename T, int64_t kCount>
  static void score(const CachedAttentionCall& c, int64_t first) {
    const float* q = c.q + first * c.width;
    float* scores = c.scores + first * c.score_stride;
    for (int64_t j = c.begin; j < c.end; ++j) {
      const T* key = static_cast<const T*>(c.keys) + j * c.width;
      V dot[kCount];
#pragma GCC unroll 4
      for (int64_t r = 0; r < kCount; ++r) dot[r] = S::zero();
      for (int64_t i = 0; i < c.width; i += kLanes) {
        const V k = S::load_wide(key + i);
#pragma GCC unroll 4
        for (int64_t r = 0; r < kCount; ++r) {
          dot[r] = S::fma(S::load(q + r * c.width + i), k, dot[r]);
        }
      }
      const float scale = c.key_scales == nullptr ? 1.0f : c.key_scales[j];
#pragma GCC unroll 4
      for (int64_t r = 0; r < kCount; ++r) {
        scores[r * c.score_stride + j - c.begin] = scale * S::sum(dot[r]);
      }
    }
  }

  /// Turns a row of scores into e^(score - max), times the values' scales if there are any.
  static void exponentials(const CachedAttentionCall& c, int64_t r) {
    constexpr float kLowest = -__builtin_inff();
    float* x = c.scores + r * c.score_stride;
    const int64_t n = c.end - c.begin;
    V largest = S::set(kLowest);
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) largest = S::max(S::load(x + i), largest);
    if (i < n) largest = S::max(S::load_partial(x + i, n - i, kLowest), largest);
    c.max[r] = S::largest(largest);
    const V shift = S::set(c.max[r]);
    V sum = S::zero();
    for (i = 0; i + kLanes <= n; i += kLanes) {
      const V e = VectorMath<S>::exp(S::sub(S::load(x + i), shift));
      sum = S::add(sum, e);
      S::store(x + i, weighted(c, e, i, kLanes));
    }
    if (i < n) {
      const V e = VectorMath<S>::exp(S::sub(S::load_partial(x + i, n - i, kLowest), shift));
      sum = S::add(sum, e);
      S::store_partial(x + i, n - i, weighted(c, e, i, n - i));
    }
    c.sum[r] = S::sum(sum);
  }
  static V weighted(const CachedAttentionCall& c, V e, int64_t at, int64_t count) {
    if (c.value_scales == nullptr) return e;
    const float* scales = c.value_scales + c.begin + at;
    return S::mul(e, count == kLanes ? S::load(scales) : S::load_partial(scales, count, 0.0f));
  }

  /// Columns [column, column + kVectors * kLanes) of the sums over values.
  template <typename T, int64_t kCount, int64_t kVectors>
  static void add_values(const CachedAttentionCall& c, int64_t first, int64_t column) {
    const float* weights = c.scores + first * c.score_stride;
    V sum[kCount][kVectors];
#pragma GCC unroll 4
    for (int64_t r = 0; r < kCount; ++r) {
#pragma GCC unroll 2
      for (int64_t i = 0; i < kVectors; ++i) sum[r][i] = S::zero();
    }
    for (int64_t j = c.begin; j < c.end; ++j) {
      const T* value = static_cast<const T*>(c.values) + j * c.width + column;
      V v[kVectors];
#pragma GCC unroll 2
      for (int64_t i = 0; i < kVectors; ++i) v[i] = S::load_wide(value + i * kLanes);
#pragma GCC unroll 4
      for (int64_t r = 0; r < kCount; ++r) {
        const V w = S::set(weights[r * c.score_stride + j - c.begin]);
#pragma GCC unroll 2
        for (int64_t i = 0; i < kVectors; ++i) sum[r][i] = S::fma(w, v[i], sum[r][i]);
      }
    }
#pragma GCC unroll 4
    for (int64_t r = 0; r < kCount; ++r) {
      float* out = c.out + (first + r) * c.width + column;
#pragma GCC unroll 2
      for (int64_t i = 0; i < kVectors; ++i) S::store(out + i * kLanes, sum[r][i]);
    }
  }

  template <typename T, int64_t kCount>
  static void tile(const CachedAttentionCall& c, int64_t first) {
    score<T, kCount>(c, first);
    for (int64_t r = 0; r < kCount; ++r) exponentials(c, first + r);
    int64_t column = 0;
    for (; column + 2 * kLanes <= c.width; column += 2 * kLanes) {
      add_values<T, kCount, 2>(c, first, column);
    }
    if (column < c.width) add_values<T, kCount, 1>(c, first, column);
  }

  template <typename T>
  static void run(const CachedAttentionCall& c) noexcept {
    int64_t first = 0;
    for (; first + kTile <= c.queries; first += kTile) tile<T, kTile>(c, first);
    if (c.queries - first == 3) tile<T, 3>(c, first);
    if (c.queries - first == 2) tile<T, 2>(c, first);
    if (c.queries - first == 1) tile<T, 1>(c, first);
  }

  static constexpr CachedAttentionRow row(const char* name) {
    return {name, run<float>, run<uint16_t>, run<int8_t>};
  }
};

}  // namespace
}  // namespace scant
