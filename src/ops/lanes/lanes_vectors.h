#pragma once

#include <cstdint>

#include "ops/lanes/lanes_kernels.h"

// The kernels over a vector wrapper V of ops/simd. Internal linkage, for ISA files only.
namespace scant {
namespace {

template <typename V>
struct LanesVectors {
  using Floats = typename V::Floats;
  using Ints = typename V::Ints;
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

  // A column is kept if fewer than n beat it: those that are larger, and those after it that equal
  // it. Magnitudes compare as the integers of their bits.
  static void keep_largest(const float* columns, const float* factors, int64_t count, int64_t n,
                           int32_t* keep) {
    for (int64_t lane = 0; lane < kLanes; lane += V::kWidth) {
      Ints keys[kLargestLaneGroup];
      for (int64_t i = 0; i < count; ++i) {
        const Floats value = V::mul(V::load(columns + i * kLanes + lane), V::set(factors[i]));
        keys[i] = V::bit_and(V::bits(value), V::set(0x7fffffff));
      }
      for (int64_t i = 0; i < count; ++i) {
        Ints beaten = V::set(0);  // minus how often
        for (int64_t j = 0; j < i; ++j) beaten = V::add(beaten, V::greater(keys[j], keys[i]));
        const Ints less = V::sub(keys[i], V::set(1));
        for (int64_t j = i + 1; j < count; ++j) {
          beaten = V::add(beaten, V::greater(keys[j], less));
        }
        const Ints kept = V::greater(beaten, V::set(static_cast<int32_t>(-n)));
        V::store_ints(keep + i * kLanes + lane, kept);
      }
    }
  }

  static void finish_column(const FinishedColumn& column) {
    const Floats cost = V::set(column.cost), damping = V::set(column.damping);
    for (int64_t lane = 0; lane < kLanes; lane += V::kWidth) {
      const Ints keep = V::load_ints(column.keep + lane);
      const Floats wanted = V::floats(V::bit_and(V::bits(V::load(column.wanted + lane)), keep));
      const Floats change = V::sub(V::load(column.weights + lane), wanted);
      const Floats off = V::sub(V::load(column.best + lane), wanted);
      const Floats added =
          V::sub(V::mul(cost, V::mul(off, off)), V::mul(damping, V::mul(change, change)));
      V::store(column.wanted + lane, wanted);
      V::store(column.changes + lane, change);
      V::store(column.errors + lane, V::add(V::load(column.errors + lane), added));
    }
  }
};

}  // namespace
}  // namespace scant
