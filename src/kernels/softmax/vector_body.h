#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/simd/exp.h"
#include "kernels/softmax/rows.h"

namespace scant {
namespace {

template <typename S>
struct SoftmaxBody {
  using V = typename S::V;
  static constexpr int64_t kLanes = S::kLanes;
  // Sums run in float lanes over this many values and then in double.
  static constexpr int64_t kChunk = 1024;
  static constexpr float kLowest = -__builtin_inff();

  static float max(const float* x, int64_t n) noexcept {
    V largest = S::set(kLowest);
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) largest = S::max(S::load(x + i), largest);
    if (i < n) largest = S::max(S::load_partial(x + i, n - i, kLowest), largest);
    return S::largest(largest);
  }

  static int64_t find(const float* x, int64_t n, float max) noexcept {
    const V wanted = S::set(max);
    int64_t i = 0;
    while (i + kLanes <= n && !S::any_equal(S::load(x + i), wanted)) i += kLanes;
    while (i < n && x[i] != max) ++i;
    return i;
  }

  static double sum_exp(const float* x, int64_t n, float shift) noexcept {
    const V shifts = S::set(shift);
    double total = 0;
    for (int64_t begin = 0; begin < n; begin += kChunk) {
      const int64_t end = begin + kChunk < n ? begin + kChunk : n;
      V sum = S::zero();
      int64_t i = begin;
      for (; i + kLanes <= end; i += kLanes) {
        sum = S::add(sum, VectorMath<S>::exp(S::sub(S::load(x + i), shifts)));
      }
      if (i < end) {
        sum = S::add(sum,
                     VectorMath<S>::exp(S::sub(S::load_partial(x + i, end - i, kLowest), shifts)));
      }
      total += S::sum(sum);
    }
    return total;
  }

  static double sum_exp_difference(const float* x, const float* y, int64_t n, float shift,
                                   double* weighted) noexcept {
    const V shifts = S::set(shift);
    double total = 0;
    for (int64_t begin = 0; begin < n; begin += kChunk) {
      const int64_t end = begin + kChunk < n ? begin + kChunk : n;
      V sum = S::zero();
      V difference = S::zero();
      int64_t i = begin;
      for (; i + kLanes <= end; i += kLanes) {
        const V a = S::load(x + i);
        const V e = VectorMath<S>::exp(S::sub(a, shifts));
        sum = S::add(sum, e);
        difference = S::fma(e, S::sub(a, S::load(y + i)), difference);
      }
      float last[kLanes];
      if (i < end) {  // added as in sum_exp, so that equal logits give the same sum
        const V e = VectorMath<S>::exp(S::sub(S::load_partial(x + i, end - i, kLowest), shifts));
        sum = S::add(sum, e);
        S::store(last, e);
      }
      total += S::sum(sum);
      *weighted += S::sum(difference);
      for (int64_t k = 0; i + k < end; ++k) {  // a lane of -inf would give 0 times infinity
        *weighted += static_cast<double>(last[k] * (x[i + k] - y[i + k]));
      }
    }
    return total;
  }

  static constexpr SoftmaxRow row(const char* name) {
    return {name, max, find, sum_exp, sum_exp_difference};
  }
};

}  // namespace
}  // namespace scant
