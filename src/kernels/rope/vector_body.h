#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/rope/rows.h"

namespace scant {
namespace {

template <typename S>
struct RopeBody {
  using V = typename S::V;
  static constexpr int64_t kLanes = S::kLanes;

  static void rotate(float* x, const float* cosine, const float* sine, int64_t heads,
                     int64_t head_dim) noexcept {
    const int64_t half = head_dim / 2;
    for (int64_t h = 0; h < heads; ++h, x += head_dim) {
      int64_t i = 0;
      for (; i + kLanes <= half; i += kLanes) {
        const V a = S::load(x + i);
        const V b = S::load(x + i + half);
        const V c = S::load(cosine + i);
        const V s = S::load(sine + i);
        S::store(x + i, S::fnma(b, s, S::mul(a, c)));
        S::store(x + i + half, S::fma(a, s, S::mul(b, c)));
      }
      for (; i < half; ++i) {
        const float a = x[i];
        const float b = x[i + half];
        x[i] = a * cosine[i] - b * sine[i];
        x[i + half] = b * cosine[i] + a * sine[i];
      }
    }
  }

  static constexpr RopeRow row(const char* name) { return {name, rotate}; }
};

}  // namespace
}  // namespace scant
