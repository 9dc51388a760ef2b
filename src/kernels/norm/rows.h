#pragma once

// Included by ISA files: declarations only.
#include <cstdint>

namespace scant {

/// One instruction set's norms of one row; y may be x.
struct NormRow {
  const char* name;
  void (*rms)(const float* x, const float* weight, float epsilon, int64_t n, float* y) noexcept;
  /// weight and bias may be null.
  void (*layer)(const float* x, const float* weight, const float* bias, float epsilon, int64_t n,
                float* y) noexcept;
};

extern const NormRow kNormReference;
extern const NormRow kNormAvx2;
extern const NormRow kNormAvx512;

}  // namespace scant
