#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/matmul/vector_rows.h"

namespace scant {
namespace {

/// Rows of float32 times float32: four sums of 8 lanes per token.
template <typename S>
struct FloatProduct {
  using F = typename S::F;

  static float dot(const float* w, const float* x, int64_t cols) {
    F sum[4] = {S::zero(), S::zero(), S::zero(), S::zero()};
    int64_t c = 0;
    for (; c + 32 <= cols; c += 32) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        sum[i] = S::fma(S::load_floats(w + c + 8 * i), S::load_floats(x + c + 8 * i), sum[i]);
      }
    }
    for (; c + 8 <= cols; c += 8) {
      sum[0] = S::fma(S::load_floats(w + c), S::load_floats(x + c), sum[0]);
    }
    float total = S::sum(S::add(S::add(sum[0], sum[1]), S::add(sum[2], sum[3])));
    for (; c < cols; ++c) total += w[c] * x[c];
    return total;
  }

  static void run(const float* w, int64_t rows, int64_t cols, int64_t w_stride, const float* x,
                  int64_t tokens, int64_t x_stride, Outputs out) noexcept {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t t = 0; t < tokens; ++t) {
        out.y[t * out.stride + r] = dot(w + r * w_stride, x + t * x_stride, cols);
      }
    }
  }
};

/// Products with few tokens by vectors of 32 bytes.
template <typename S>
struct VectorRows {
  static void bytes(const WeightRows& w, const Int8Records& x, Outputs y) noexcept {
    x.lowest ? all_tokens<S, ByteStep<S, true>>(w, x, y)
             : all_tokens<S, ByteStep<S, false>>(w, x, y);
  }
  static void nibbles(const WeightRows& w, const Int8Records& x, Outputs y) noexcept {
    w.two_complement ? all_tokens<S, NibbleStep<S, NibbleValues::kTwoComplement>>(w, x, y)
                     : all_tokens<S, NibbleStep<S, NibbleValues::kTable>>(w, x, y);
  }
  static void quads4(const WeightRows& w, const Int8Records& x, Outputs y) noexcept {
    all_tokens<S, Quad4Step<S>>(w, x, y);
  }
  static void quads8(const WeightRows& w, const Int8Records& x, Outputs y) noexcept {
    all_tokens<S, Quad8Step<S>>(w, x, y);
  }
};

}  // namespace
}  // namespace scant
