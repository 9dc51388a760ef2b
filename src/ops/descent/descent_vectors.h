#pragma once

#include <cstdint>
#include <cstring>

#include "ops/descent/descent_kernels.h"
#include "ops/quantize/quantize_vectors.h"

// The kernels over a vector wrapper V of ops/simd. Internal linkage, for ISA files only.
namespace scant {
namespace {

template <typename V>
struct DescentVectors {
  using Floats = typename V::Floats;
  using Ints = typename V::Ints;
  using Family = QuantizeGrid::Family;
  static constexpr int64_t kWidth = V::kWidth;

  static bool accepts(const QuantizeGrid& grid) { return QuantizeVectors<V>::accepts(grid); }

  /// Bit i of the result is flag i (0 or 1) of the first `count` <= kWidth.
  static uint32_t bits_of(const uint8_t* flags, int64_t count) {
    uint32_t bits = 0;
    for (int64_t i = 0; i < count; i += 8) {
      uint64_t bytes = 0;
      std::memcpy(&bytes, flags + i, static_cast<size_t>(smaller(8, count - i)));
      // Flag j times 2^(7 (8 - j)) lands at bit 56 + j, and no two products meet.
      bits |= static_cast<uint32_t>((bytes * 0x0102040810204080u) >> 56) << i;
    }
    return bits;
  }

  struct Lanes {
    Lanes(const DescentRow& row, int64_t begin, int64_t count)
        : values(V::load_part(row.values + begin, count)),
          gradient(V::load_part(row.gradient + begin, count)),
          diagonal(V::load_part(row.diagonal + begin, count)) {}
    Floats growth(Floats change) const {
      return V::mul(change, V::add(V::add(gradient, gradient), V::mul(diagonal, change)));
    }
    Floats values, gradient, diagonal;
  };

  template <typename Rounding>
  static Floats best(const DescentRow& row, const Lanes& lanes, Rounding& rounding, int64_t begin,
                     int64_t count) {
    const Ints zeros =
        row.zero_points == nullptr
            ? V::set(0)
            : V::bits(V::load_part(reinterpret_cast<const float*>(row.zero_points + begin), count));
    rounding.set_each(V::load_part(row.scales + begin, count), zeros);
    const Floats inverse = V::load_part(row.inverse_diagonal + begin, count);
    Ints code = V::set(0);
    return rounding.template round<false>(V::sub(lanes.values, V::mul(lanes.gradient, inverse)),
                                          &code);
  }

  // All lanes are tried at once; after the first that changes, those behind it again.
  template <typename Rounding>
  static bool choose(const QuantizeGrid& grid, const DescentRow& row) {
    Rounding rounding(grid);
    bool changed = false;
    for (int64_t begin = 0; begin < row.count; begin += kWidth) {
      const int64_t count = smaller(kWidth, row.count - begin);
      uint32_t pending = bits_of(row.keep + begin, count);
      while (pending != 0) {
        const Lanes lanes(row, begin, count);
        const Floats value = best(row, lanes, rounding, begin, count);
        const Floats change = V::sub(value, lanes.values);
        const uint32_t lower = V::negative_lanes(lanes.growth(change)) & pending;
        if (lower == 0) break;
        const int lane = __builtin_ctz(lower);
        float values[kWidth], changes[kWidth];
        V::store(values, value);
        V::store(changes, change);
        row.values[begin + lane] = values[lane];
        const auto index = static_cast<int32_t>(begin + lane);
        add_rows({row.curvature, row.count, &index, changes + lane, 1}, row.count, row.gradient);
        changed = true;
        pending &= ~((2u << lane) - 1u);
      }
    }
    return changed;
  }

  static bool choose_values(const QuantizeGrid& grid, const DescentRow& row) {
    using Quantize = QuantizeVectors<V>;
    if (grid.family == Family::kFloat) return choose<typename Quantize::SmallFloat>(grid, row);
    if (row.zero_points == nullptr) {
      return choose<typename Quantize::template Uniform<false>>(grid, row);
    }
    return choose<typename Quantize::template Uniform<true>>(grid, row);
  }

  template <typename Rounding>
  static void price_lanes(const QuantizeGrid& grid, const DescentRow& row, int64_t begin,
                          int64_t count, float* changes, float* growths) {
    Rounding rounding(grid);
    for (int64_t i = 0; i < count; i += kWidth) {
      const int64_t left = smaller(kWidth, count - i);
      const Lanes lanes(row, begin + i, left);
      const Ints kept = V::lanes_of(bits_of(row.keep + begin + i, left));
      const Floats value = best(row, lanes, rounding, begin + i, left);
      const Floats target = V::floats(V::bit_and_not(kept, V::bits(value)));
      const Floats change = V::sub(target, lanes.values);
      V::store_part(changes + i, change, left);
      V::store_part(growths + i, lanes.growth(change), left);
    }
  }

  static void price(const QuantizeGrid& grid, const DescentRow& row, int64_t begin, int64_t count,
                    float* changes, float* growths) {
    using Quantize = QuantizeVectors<V>;
    if (grid.family == Family::kFloat) {
      price_lanes<typename Quantize::SmallFloat>(grid, row, begin, count, changes, growths);
    } else if (row.zero_points == nullptr) {
      price_lanes<typename Quantize::template Uniform<false>>(grid, row, begin, count, changes,
                                                              growths);
    } else {
      price_lanes<typename Quantize::template Uniform<true>>(grid, row, begin, count, changes,
                                                             growths);
    }
  }

  // Eight vectors of sums stay in registers while the rows pass.
  static void add_rows(const RowCombination& from, int64_t count, float* sums) {
    constexpr int64_t kSums = 8;
    int64_t k = 0;
    for (; k + kSums * kWidth <= count; k += kSums * kWidth) {
      Floats sum[kSums];
      for (int64_t v = 0; v < kSums; ++v) sum[v] = V::load(sums + k + v * kWidth);
      for (int64_t t = 0; t < from.terms; ++t) {
        const Floats factor = V::set(from.factors[t]);
        const float* row = from.rows + from.index[t] * from.stride + k;
        for (int64_t v = 0; v < kSums; ++v) {
          sum[v] = V::add(sum[v], V::mul(factor, V::load(row + v * kWidth)));
        }
      }
      for (int64_t v = 0; v < kSums; ++v) V::store(sums + k + v * kWidth, sum[v]);
    }
    for (; k < count; k += kWidth) {
      const int64_t left = smaller(kWidth, count - k);
      Floats sum = V::load_part(sums + k, left);
      for (int64_t t = 0; t < from.terms; ++t) {
        const float* row = from.rows + from.index[t] * from.stride + k;
        sum = V::add(sum, V::mul(V::set(from.factors[t]), V::load_part(row, left)));
      }
      V::store_part(sums + k, sum, left);
    }
  }
};

}  // namespace
}  // namespace scant
