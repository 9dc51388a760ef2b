#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/norm/rows.h"

namespace scant {
namespace {

template <typename S>
struct NormBody {
  using V = typename S::V;
  static constexpr int64_t kLanes = S::kLanes;

  static float inverse_root(float x) noexcept { return 1.0f / __builtin_sqrtf(x); }

  /// Applies f(values, offset, count) to x in vectors, the last one partial, filled with `fill`.
  template <typename F>
  static void each(const float* x, int64_t n, float fill, F f) {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) f(S::load(x + i), i, kLanes);
    if (i < n) f(S::load_partial(x + i, n - i, fill), i, n - i);
  }
  static V load(const float* p, int64_t count) {
    return count == kLanes ? S::load(p) : S::load_partial(p, count, 0.0f);
  }
  static void store(float* p, int64_t count, V x) {
    count == kLanes ? S::store(p, x) : S::store_partial(p, count, x);
  }

  static void rms(const float* x, const float* weight, float epsilon, int64_t n,
                  float* y) noexcept {
    V squares = S::zero();
    each(x, n, 0.0f, [&](V v, int64_t, int64_t) { squares = S::fma(v, v, squares); });
    const V scale = S::set(inverse_root(S::sum(squares) / static_cast<float>(n) + epsilon));
    each(x, n, 0.0f, [&](V v, int64_t i, int64_t count) {
      store(y + i, count, S::mul(load(weight + i, count), S::mul(v, scale)));
    });
  }

  static void layer(const float* x, const float* weight, const float* bias, float epsilon,
                    int64_t n, float* y) noexcept {
    V sum = S::zero();
    each(x, n, 0.0f, [&](V v, int64_t, int64_t) { sum = S::add(v, sum); });
    const float mean = S::sum(sum) / static_cast<float>(n);
    const V means = S::set(mean);
    V squares = S::zero();
    each(x, n, mean, [&](V v, int64_t, int64_t) {
      const V d = S::sub(v, means);
      squares = S::fma(d, d, squares);
    });
    const V scale = S::set(inverse_root(S::sum(squares) / static_cast<float>(n) + epsilon));
    each(x, n, 0.0f, [&](V v, int64_t i, int64_t count) {
      V result = S::mul(S::sub(v, means), scale);
      if (weight != nullptr) result = S::mul(result, load(weight + i, count));
      if (bias != nullptr) result = S::add(result, load(bias + i, count));
      store(y + i, count, result);
    });
  }

  static constexpr NormRow row(const char* name) { return {name, rms, layer}; }
};

}  // namespace
}  // namespace scant
