#pragma once

#include <cstdint>

#include "ops/lanes/lanes_kernels.h"

// The kernels over a vector wrapper V of ops/simd. Internal linkage, for ISA files only.
namespace scant {
namespace {

template <typename V>
struct LanesVectors {
  using Floats = typename V::Floats;
  static constexpr int64_t kVectors = kLanes / V::kWidth;

  // All sums stay in registers: the columns pass once, a factor is spread over all lanes.
  static void add_products(const float* columns, const float* factors, int64_t count, float* sums) {
    Floats sum[kVectors];
    for (int64_t v = 0; v < kVectors; ++v) sum[v] = V::load(sums + v * V::kWidth);
    for (int64_t i = 0; i < count; ++i) {
      const Floats factor = V::set(factors[i]);
      const float* column = columns + i * kLanes;
      for (int64_t v = 0; v < kVectors; ++v) {
        sum[v] = V::add(sum[v], V::mul(V::load(column + v * V::kWidth), factor));
      }
    }
    for (int64_t v = 0; v < kVectors; ++v) V::store(sums + v * V::kWidth, sum[v]);
  }
};

}  // namespace
}  // namespace scant
