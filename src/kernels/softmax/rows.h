#pragma once

// Included by ISA files: declarations only.
#include <cstdint>

namespace scant {

/// One instruction set's reductions over a row of logits, n >= 1.
struct SoftmaxRow {
  const char* name;  ///< "softmax_f32__avx2"
  float (*max)(const float* x, int64_t n) noexcept;
  /// First index of the largest value `max`; n if there is none (NaN).
  int64_t (*find)(const float* x, int64_t n, float max) noexcept;
  /// sum of e^(x - shift)
  double (*sum_exp)(const float* x, int64_t n, float shift) noexcept;
  /// Returns the sum of e^(x - shift) and adds to *weighted the sum of e^(x - shift) (x - y).
  double (*sum_exp_difference)(const float* x, const float* y, int64_t n, float shift,
                               double* weighted) noexcept;
};

extern const SoftmaxRow kSoftmaxReference;
extern const SoftmaxRow kSoftmaxAvx2;
extern const SoftmaxRow kSoftmaxAvx512;

}  // namespace scant
