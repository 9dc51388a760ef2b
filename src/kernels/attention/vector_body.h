#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/attention/rows.h"
#include "kernels/simd/exp.h"

namespace scant {
namespace {

/// Tiles of kTile queries against all keys they see: scores by a register-blocked product, exact
/// softmax, and the same product with the values. Keys and values of a head are packed once into
/// panels of kPanel columns, [panel][depth][kPanel], so that the inner loop reads them in order.
template <typename S>
struct AttentionBody {
  using V = typename S::V;
  static constexpr int64_t kLanes = S::kLanes;
  static constexpr int64_t kTile = 6;  // 6 x 2 accumulators leave 4 of AVX2's 16 registers
  static constexpr int64_t kPanel = 2 * kLanes;
  static_assert(kTile <= kAttentionTile && kAttentionPadding % kPanel == 0);

  static constexpr int64_t panels(int64_t n) { return (n + kPanel - 1) / kPanel; }

  /// out[r][0, columns) = scale[r] * sum_p a[r][p] * panel[p][0, columns)
  static void product(const float* const (&a)[kTile], int64_t depth, const float* panel,
                      const float (&scale)[kTile], float* const (&out)[kTile], int64_t columns) {
    V low[kTile];
    V high[kTile];
#pragma GCC unroll 6
    for (int64_t r = 0; r < kTile; ++r) low[r] = high[r] = S::zero();
    for (int64_t p = 0; p < depth; ++p, panel += kPanel) {
      const V b0 = S::load(panel);
      const V b1 = S::load(panel + kLanes);
#pragma GCC unroll 6
      for (int64_t r = 0; r < kTile; ++r) {
        const V x = S::set(a[r][p]);
        low[r] = S::fma(x, b0, low[r]);
        high[r] = S::fma(x, b1, high[r]);
      }
    }
#pragma GCC unroll 6
    for (int64_t r = 0; r < kTile; ++r) {
      store(out[r], columns, S::mul(low[r], S::set(scale[r])));
      store(out[r] + kLanes, columns - kLanes, S::mul(high[r], S::set(scale[r])));
    }
  }
  static void store(float* p, int64_t count, V x) {
    if (count >= kLanes) {
      S::store(p, x);
    } else if (count > 0) {
      S::store_partial(p, count, x);
    }
  }

  /// Keys become columns: packed[panel][i][key].
  static void pack_keys(const float* k, int64_t stride, int64_t tokens, int64_t head_dim,
                        float* packed) {
    for (int64_t first = 0; first < tokens; first += kPanel, packed += kPanel * head_dim) {
      for (int64_t j = 0; j < kPanel; ++j) {
        const float* key = k + (first + j) * stride;
        for (int64_t i = 0; i < head_dim; ++i) {
          packed[i * kPanel + j] = first + j < tokens ? key[i] : 0.0f;
        }
      }
    }
  }

  /// packed[panel][token][i]
  static void pack_values(const float* v, int64_t stride, int64_t tokens, int64_t head_dim,
                          float* packed) {
    for (int64_t first = 0; first < head_dim; first += kPanel) {
      for (int64_t t = 0; t < tokens; ++t, packed += kPanel) {
        const float* row = v + t * stride + first;
        for (int64_t i = 0; i < kPanel; ++i) packed[i] = first + i < head_dim ? row[i] : 0.0f;
      }
    }
  }

  /// Turns scores [first, last] of a row into e^(score - max) and returns their sum.
  static float exponentials(float* row, int64_t first, int64_t last) {
    constexpr float kLowest = -__builtin_inff();
    float* x = row + first;
    const int64_t n = last - first + 1;
    V largest = S::set(kLowest);
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) largest = S::max(S::load(x + i), largest);
    if (i < n) largest = S::max(S::load_partial(x + i, n - i, kLowest), largest);
    const V shift = S::set(S::largest(largest));
    V sum = S::zero();
    for (i = 0; i + kLanes <= n; i += kLanes) {
      const V e = VectorMath<S>::exp(S::sub(S::load(x + i), shift));
      S::store(x + i, e);
      sum = S::add(sum, e);
    }
    if (i < n) {
      const V e = VectorMath<S>::exp(S::sub(S::load_partial(x + i, n - i, kLowest), shift));
      S::store_partial(x + i, n - i, e);
      sum = S::add(sum, e);
    }
    return S::sum(sum);
  }

  struct Packed {
    const float* keys;
    const float* values;
    float* scores;  ///< kTile rows of `score_stride`
    int64_t score_stride;
    float* unused;  ///< where rows past the last token go
  };

  static int64_t first_key(const AttentionCall& c, int64_t t) {
    return c.window > 0 && t >= c.window ? t - c.window + 1 : 0;
  }

  /// Queries [begin, begin + kTile) of the head at column `column`.
  static void tile(const AttentionCall& c, const Packed& packed, int64_t column, int64_t begin) {
    const int64_t count = c.tokens - begin < kTile ? c.tokens - begin : kTile;
    const int64_t last = begin + count - 1;
    const int64_t first = first_key(c, begin);
    const float* q[kTile];
    float* scores[kTile];
    float scale[kTile];
    for (int64_t r = 0; r < kTile; ++r) {
      const int64_t t = begin + (r < count ? r : count - 1);
      q[r] = c.q + t * c.q_stride + column;
      scale[r] = c.scale;
    }
    for (int64_t panel = first / kPanel; panel <= last / kPanel; ++panel) {
      for (int64_t r = 0; r < kTile; ++r) {
        scores[r] = packed.scores + r * packed.score_stride + panel * kPanel;
      }
      product(q, c.head_dim, packed.keys + panel * kPanel * c.head_dim, scale, scores, kPanel);
    }
    const float* weights[kTile];
    for (int64_t r = 0; r < kTile; ++r) {
      float* row = packed.scores + r * packed.score_stride;
      const int64_t t = begin + (r < count ? r : count - 1);
      const int64_t from = first_key(c, t);
      scale[r] = 1.0f / exponentials(row, from, t);
      for (int64_t j = first; j < from; ++j) row[j] = 0;
      for (int64_t j = t + 1; j <= last; ++j) row[j] = 0;
      weights[r] = row + first;
    }
    for (int64_t panel = 0; panel < panels(c.head_dim); ++panel) {
      const int64_t left = c.head_dim - panel * kPanel;
      float* out[kTile];
      for (int64_t r = 0; r < kTile; ++r) {
        out[r] = r < count ? c.out + (begin + r) * c.out_stride + column + panel * kPanel
                           : packed.unused;
      }
      product(weights, last - first + 1, packed.values + (panel * c.tokens + first) * kPanel, scale,
              out, left < kPanel ? left : kPanel);
    }
  }

  static void run(const AttentionCall& c) noexcept {
    const int64_t padded_tokens = panels(c.tokens) * kPanel;
    float* keys = c.scratch;
    float* values = keys + padded_tokens * c.head_dim;
    float* scores = values + c.tokens * panels(c.head_dim) * kPanel;
    const Packed packed = {keys, values, scores, padded_tokens, scores + kTile * padded_tokens};
    const int64_t group = c.heads / c.kv_heads;
    for (int64_t kv = 0; kv < c.kv_heads; ++kv) {
      pack_keys(c.k + kv * c.head_dim, c.k_stride, c.tokens, c.head_dim, keys);
      pack_values(c.v + kv * c.head_dim, c.v_stride, c.tokens, c.head_dim, values);
      for (int64_t h = kv * group; h < (kv + 1) * group; ++h) {
        for (int64_t begin = 0; begin < c.tokens; begin += kTile) {
          tile(c, packed, h * c.head_dim, begin);
        }
      }
    }
  }

  static constexpr AttentionRow row(const char* name) { return {name, run}; }
};

}  // namespace
}  // namespace scant
