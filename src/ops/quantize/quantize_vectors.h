#pragma once

#include <cstdint>

#include "ops/quantize/quantize_kernels.h"

// The kernels over a vector wrapper V of ops/simd. Internal linkage, for ISA files only.
namespace scant {
namespace {

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

template <typename V>
struct QuantizeVectors {
  using Floats = typename V::Floats;
  using Ints = typename V::Ints;
  static constexpr int64_t kWidth = V::kWidth;
  static constexpr int32_t kMagnitude = 0x7fffffff;
  static constexpr int32_t kExponent = 0x7f800000;

  static bool accepts(const QuantizeGrid& grid) {
    return grid.family != QuantizeGrid::Family::kOther;
  }

  static int32_t absmax_bits(const float* x, int64_t count) {
    const Ints mask = V::set(kMagnitude);
    const auto bits = [&](int64_t i) { return V::bit_and(V::bits(V::load(x + i)), mask); };
    Ints a = V::set(0);
    int64_t i = 0;
    if (count >= 8 * kWidth) {  // four chains hide the latency of max
      Ints b = a, c = a, d = a;
      for (; i + 4 * kWidth <= count; i += 4 * kWidth) {
        a = V::max(a, bits(i));
        b = V::max(b, bits(i + kWidth));
        c = V::max(c, bits(i + 2 * kWidth));
        d = V::max(d, bits(i + 3 * kWidth));
      }
      a = V::max(V::max(a, b), V::max(c, d));
    }
    for (; i + kWidth <= count; i += kWidth) a = V::max(a, bits(i));
    if (i < count) a = V::max(a, V::bit_and(V::bits(V::load_part(x + i, count - i)), mask));
    return V::reduce_max(a);
  }

  static void extent(const float* x, int64_t count, float* min, float* max) {
    // max of -x, so that one reduction serves both; the operands' order passes no NaN on, which
    // absmax_bits reports.
    Floats low = V::set(0.0f), high = low;
    const Floats zero = low;
    const auto take = [&](Floats v) {
      low = V::max(V::sub(zero, v), low);
      high = V::max(v, high);
    };
    int64_t i = 0;
    for (; i + kWidth <= count; i += kWidth) take(V::load(x + i));
    if (i < count) take(V::load_part(x + i, count - i));
    *min = 0.0f - V::reduce_max(low);
    *max = V::reduce_max(high);
  }

  // Blocks of whole vectors, four at a time: reducing four vectors costs little more than one.
  static int64_t absmax_of_four(const float* x, int64_t count, int64_t block, int32_t* out) {
    const Ints mask = V::set(kMagnitude);
    int64_t b = 0;
    for (; (b + 4) * block <= count; b += 4) {
      Ints sums[4];
      for (int64_t k = 0; k < 4; ++k) {
        const float* values = x + (b + k) * block;
        sums[k] = V::bit_and(V::bits(V::load(values)), mask);
        for (int64_t i = kWidth; i < block; i += kWidth) {
          sums[k] = V::max(sums[k], V::bit_and(V::bits(V::load(values + i)), mask));
        }
      }
      V::store_reduced_max(out + b, sums[0], sums[1], sums[2], sums[3]);
    }
    return b;
  }

  static void ranges(const float* values, int64_t count, int64_t block, const QuantizeRanges& out) {
    int32_t* const absmax = out.absmax_bits;
    float* const min = out.min;
    float* const max = out.max;
    int64_t b = 0;
    if (block % kWidth == 0 && block <= 16 * kWidth && min == nullptr) {
      b = absmax_of_four(values, count, block, absmax);
    }
    for (int64_t begin = b * block; begin < count; begin += block, ++b) {
      const int64_t length = smaller(block, count - begin);
      absmax[b] = absmax_bits(values + begin, length);
      if (min != nullptr) extent(values + begin, length, min + b, max + b);
    }
  }

  // A scale and what values are divided by: infinity for scale 0, which gives zeros.
  struct Scale {
    Scale() : scale(V::set(0.0f)), divisor(scale) {}
    explicit Scale(float value) : Scale(V::set(value)) {}
    explicit Scale(Floats values) : scale(values) {
      const Ints is_zero = V::greater(V::set(1), V::bits(scale));
      divisor = V::floats(V::bit_or(V::bits(scale), V::bit_and(is_zero, V::set(kExponent))));
    }
    Floats scale, divisor;
  };

  // Integers and their codes: rounding is the adder's, at 1.5 * 2^23.
  template <bool kZeroPoints>
  struct Uniform {
    explicit Uniform(const QuantizeGrid& grid)
        : unit(grid.unit),
          lowest(grid.lowest),
          highest(grid.highest),
          mask(V::set(grid.code_mask)),
          low(V::set(lowest)),
          high(V::set(highest)),
          to_code(V::bits(V::set(kMagic))) {}
    void set_block(const QuantizeRow& row, int64_t b) {
      scale = Scale(row.scales[b] * unit);
      if constexpr (kZeroPoints) {
        const int32_t zero_point = row.zero_points[b];
        low = V::set(lowest - static_cast<float>(zero_point));
        high = V::set(highest - static_cast<float>(zero_point));
        to_code = V::sub(V::bits(V::set(kMagic)), V::set(zero_point));
      }
    }
    void set_each(Floats scales, Ints zero_points) {
      scale = Scale(V::mul(scales, V::set(unit)));
      if constexpr (kZeroPoints) {
        const Floats zeros = V::to_floats(zero_points);
        low = V::sub(V::set(lowest), zeros);
        high = V::sub(V::set(highest), zeros);
      }
    }
    template <bool kCodes>
    Floats round(Floats x, Ints* code) const {
      const Floats y = V::min(V::max(V::div(x, scale.divisor), low), high);
      const Floats sum = V::add(y, V::set(kMagic));
      if constexpr (kCodes) *code = V::bit_and(V::sub(V::bits(sum), to_code), mask);
      return V::mul(V::sub(sum, V::set(kMagic)), scale.scale);
    }
    static constexpr float kMagic = 0x1.8p23f;
    float unit, lowest, highest;
    Ints mask;
    Floats low, high;
    Ints to_code;
    Scale scale;
  };

  // Small floats: the adder rounds at 1.5 * 2^23 times the quantum of y's binade.
  struct SmallFloat {
    explicit SmallFloat(const QuantizeGrid& grid)
        : low(V::set(grid.lowest)),
          high(V::set(grid.highest)),
          smallest(V::set((grid.smallest_exponent + 127) << 23)),
          to_magic(V::set((23 - grid.mantissa_bits) << 23 | 0x400000)),
          sign(V::set(grid.sign_bit)),
          binade_shift(23 - grid.mantissa_bits) {}
    void set_block(const QuantizeRow& row, int64_t b) { scale = Scale(row.scales[b]); }
    void set_each(Floats scales, Ints) { scale = Scale(scales); }
    template <bool kCodes>
    Floats round(Floats x, Ints* code) const {
      const Floats y = V::min(V::max(V::div(x, scale.divisor), low), high);
      const Ints exponent = V::max(V::bit_and(V::bits(y), V::set(kExponent)), smallest);
      const Ints magic = V::add(exponent, to_magic);
      const Floats sum = V::add(y, V::floats(magic));
      if constexpr (kCodes) {
        // The codes of a binade follow those of the one below, so a carry needs no care.
        const Ints steps = V::sub(V::bits(sum), magic);
        const Ints binade = V::shift_right(V::sub(exponent, smallest), binade_shift);
        *code = V::bit_or(V::add(V::magnitude(steps), binade),
                          V::bit_and(V::greater(V::set(0), steps), sign));
      }
      return V::mul(V::sub(sum, V::floats(magic)), scale.scale);
    }
    Floats low, high;
    Ints smallest, to_magic, sign;
    int binade_shift;
    Scale scale;
  };

  template <typename Rounding, bool kValues, bool kStream, bool kCodes>
  static void quantize_blocks(const QuantizeGrid& grid, const QuantizeRow& given) {
    const QuantizeRow row = given;  // stores could change the given one, for all the compiler knows
    Rounding rounding(grid);
    Ints code = V::set(0);
    int64_t b = 0;
    for (int64_t begin = 0; begin < row.count; begin += row.block, ++b) {
      const int64_t end = smaller(begin + row.block, row.count);
      rounding.set_block(row, b);
      int64_t i = begin;
      for (; i + kWidth <= end; i += kWidth) {
        V::prefetch(row.prefetch + i);
        const Floats v = rounding.template round<kCodes>(V::load(row.values + i), &code);
        if constexpr (kStream) {
          V::stream(row.simulated + i, v);
        } else if constexpr (kValues) {
          V::store(row.simulated + i, v);
        }
        if constexpr (kCodes) V::store_bytes(row.codes + i, code);
      }
      if (i < end) {
        const Floats v =
            rounding.template round<kCodes>(V::load_part(row.values + i, end - i), &code);
        if constexpr (kValues) V::store_part(row.simulated + i, v, end - i);
        if constexpr (kCodes) {
          uint8_t bytes[kWidth];
          V::store_bytes(bytes, code);
          for (int64_t j = i; j < end; ++j) row.codes[j] = bytes[j - i];
        }
      }
    }
    if constexpr (kStream) V::stream_fence();
  }

  template <typename Rounding>
  static void quantize_family(const QuantizeGrid& grid, const QuantizeRow& row) {
    const bool aligned = row.count < kWidth || row.block >= row.count || row.block % kWidth == 0;
    if (row.codes == nullptr && row.stream && aligned) {
      quantize_blocks<Rounding, true, true, false>(grid, row);
    } else if (row.codes == nullptr) {
      quantize_blocks<Rounding, true, false, false>(grid, row);
    } else if (row.simulated == nullptr) {
      quantize_blocks<Rounding, false, false, true>(grid, row);
    } else {
      quantize_blocks<Rounding, true, false, true>(grid, row);
    }
  }

  template <typename Rounding>
  static void add_errors(const QuantizeGrid& grid, const QuantizeRow& row, double* lanes) {
    Rounding rounding(grid);
    Ints code = V::set(0);
    typename V::Squares squares(lanes);
    rounding.set_block(row, 0);
    int64_t i = 0;
    for (; i + kWidth <= row.count; i += kWidth) {
      const Floats x = V::load(row.values + i);
      squares.add(V::sub(rounding.template round<false>(x, &code), x));
    }
    if (i < row.count) {  // lanes past the end are 0 and have value 0
      const Floats x = V::load_part(row.values + i, row.count - i);
      squares.add(V::sub(rounding.template round<false>(x, &code), x));
    }
    squares.store(lanes);
  }

  static void squared_error(const QuantizeGrid& grid, const QuantizeRow& row, double* lanes) {
    if (grid.family == QuantizeGrid::Family::kFloat) {
      add_errors<SmallFloat>(grid, row, lanes);
    } else if (row.zero_points == nullptr) {
      add_errors<Uniform<false>>(grid, row, lanes);
    } else {
      add_errors<Uniform<true>>(grid, row, lanes);
    }
  }

  template <typename Rounding>
  static void round_family(const QuantizeGrid& grid, const QuantizeEach& each) {
    Rounding rounding(grid);
    Ints code = V::set(0);
    for (int64_t i = 0; i < each.count; i += kWidth) {
      const int64_t left = smaller(kWidth, each.count - i);
      const Ints zeros =
          each.zero_points == nullptr
              ? V::set(0)
              : V::bits(V::load_part(reinterpret_cast<const float*>(each.zero_points + i), left));
      rounding.set_each(V::load_part(each.scales + i, left), zeros);
      const Floats x = V::load_part(each.values + i, left);
      V::store_part(each.simulated + i, rounding.template round<false>(x, &code), left);
    }
  }

  static void round_each(const QuantizeGrid& grid, const QuantizeEach& each) {
    if (grid.family == QuantizeGrid::Family::kFloat) {
      round_family<SmallFloat>(grid, each);
    } else if (each.zero_points == nullptr) {
      round_family<Uniform<false>>(grid, each);
    } else {
      round_family<Uniform<true>>(grid, each);
    }
  }

  static void quantize(const QuantizeGrid& grid, const QuantizeRow& row) {
    if (grid.family == QuantizeGrid::Family::kFloat) {
      quantize_family<SmallFloat>(grid, row);
    } else if (row.zero_points == nullptr) {
      quantize_family<Uniform<false>>(grid, row);
    } else {
      quantize_family<Uniform<true>>(grid, row);
    }
  }
};

}  // namespace
}  // namespace scant
