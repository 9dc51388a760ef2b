#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/matmul/rows.h"

namespace scant {
namespace {

/// Bytes of codes ahead of those in use that are asked for: rows follow each other.
inline constexpr int64_t kPrefetchAhead = 2048;

/// How the sums of 4-bit codes become those of values.
enum class NibbleValues : uint8_t { kTwoComplement, kTable };

// A step of a row is a number of columns whose codes are taken at a time. Each kind of step says
// how codes are read (decode), what they give with a record of inputs (sums: 8 lanes of integers
// per vector, each of as many columns), and how fine scales are laid over these lanes.

/// 64 columns of 4-bit codes: byte i holds columns 2i and 2i + 1.
template <typename S, NibbleValues kValues>
struct NibbleStep {
  using V = typename S::V;
  using F = typename S::F;
  static constexpr int64_t kColumns = 64, kCodeBytes = 32, kPositionBytes = 0;
  static constexpr int64_t kRecord = kHalvesRecord;
  static constexpr int kVectors = 1;
  struct Decoded {
    V even, odd;  ///< value + 8, or + 16 from the table
  };
  struct Constants {
    V table;
    explicit Constants(const WeightRows& w) : table(S::add8(S::table(w.values), S::set8(16))) {}
  };

  static Decoded decode(const Constants& constants, const uint8_t* codes, const uint8_t*, int64_t) {
    if constexpr (kValues == NibbleValues::kTwoComplement) {
      const V biased = S::flip(S::load(codes), 0x88);
      return {S::low_nibbles(biased), S::high_nibbles(biased)};
    }
    const V both = S::load(codes);
    return {S::lookup(constants.table, S::low_nibbles(both)),
            S::lookup(constants.table, S::high_nibbles(both))};
  }
  static V sums(const Decoded& w, const uint8_t* record, int) {
    const V product = S::dot2(w.even, S::load(record), w.odd, S::load(record + 32));
    const V bias = S::load(record + 64);
    return S::sub32(product, kValues == NibbleValues::kTable ? S::twice32(bias) : bias);
  }
  static F input_scales(const uint8_t* record, int) { return S::load_floats(record + 96); }
  template <int kPer>
  static F weight_scales(const float* scales, int) {
    return S::template spread<kColumns / kPer>(scales);
  }
};

/// 64 columns of 8-bit codes.
template <typename S, bool kWide>
struct ByteStep {
  using V = typename S::V;
  using F = typename S::F;
  static constexpr int64_t kColumns = 64, kCodeBytes = 64, kPositionBytes = 0;
  static constexpr int64_t kRecord = kNaturalRecord;
  static constexpr int kVectors = 2;
  struct Decoded {
    V half[2];
  };
  struct Constants {
    explicit Constants(const WeightRows&) {}
  };

  static Decoded decode(const Constants&, const uint8_t* codes, const uint8_t*, int64_t) {
    return {{S::load(codes), S::load(codes + 32)}};
  }
  static V sums(const Decoded& w, const uint8_t* record, int i) {
    const V x = S::load(record + 32 * i);
    return kWide ? S::dot_wide(w.half[i], x) : S::dot_signed(w.half[i], x);
  }
  static F input_scales(const uint8_t* record, int i) {
    return S::broadcast(reinterpret_cast<const float*>(record + 64) + 4 * i);
  }
  template <int kPer>
  static F weight_scales(const float* scales, int i) {
    return S::template spread<32 / kPer>(scales + i * (32 / kPer));
  }
};

/// 128 columns of 2:4 with 4-bit codes: byte q of the codes holds both kept weights of quad q.
template <typename S>
struct Quad4Step {
  using V = typename S::V;
  using F = typename S::F;
  static constexpr int64_t kColumns = 128, kCodeBytes = 32, kPositionBytes = 4;
  static constexpr int64_t kRecord = kQuads4Record;
  static constexpr int kVectors = 1;
  struct Decoded {
    typename S::Choice choice;
    V first, second, sum128;
  };
  struct Constants {
    V table;
    explicit Constants(const WeightRows& w) : table(S::table(w.values)) {}
  };

  static Decoded decode(const Constants& constants, const uint8_t* codes, const uint8_t* positions,
                        int64_t plane) {
    const V both = S::load(codes);
    const V first = S::lookup(constants.table, S::low_nibbles(both));
    const V second = S::lookup(constants.table, S::high_nibbles(both));
    return {S::template choose<false>(positions, positions + plane, positions + 2 * plane), first,
            second, S::sum128(S::add8(first, second))};
  }
  // Inputs are unsigned here, 128 too large: that is one correction per weight and none per input.
  static V sums(const Decoded& w, const uint8_t* record, int) {
    const V x1 = S::load(record + 32);
    const V x2 = S::load(record + 64);
    return S::dot2_centred(S::first(w.choice, S::load(record), x1, x2), w.first,
                           S::second(w.choice, x1, x2, S::load(record + 96)), w.second, w.sum128);
  }
  static F input_scales(const uint8_t* record, int) { return S::load_floats(record + 128); }
  template <int kPer>
  static F weight_scales(const float* scales, int) {
    return S::template spread<kColumns / kPer>(scales);
  }
};

/// 128 columns of 2:4 with 8-bit codes: two bytes per quad.
template <typename S>
struct Quad8Step {
  using V = typename S::V;
  using F = typename S::F;
  static constexpr int64_t kColumns = 128, kCodeBytes = 64, kPositionBytes = 4;
  static constexpr int64_t kRecord = kQuads8Record;
  static constexpr int kVectors = 2;
  struct Decoded {
    typename S::Choice choice;
    V half[2];
  };
  struct Constants {
    explicit Constants(const WeightRows&) {}
  };

  static Decoded decode(const Constants&, const uint8_t* codes, const uint8_t* positions,
                        int64_t plane) {
    return {S::template choose<true>(positions, positions + plane, positions + 2 * plane),
            {S::load(codes), S::load(codes + 32)}};
  }
  static V sums(const Decoded& w, const uint8_t* record, int i) {
    const V x1 = S::load(record + 32);
    const V x2 = S::load(record + 64);
    const V first = S::first(w.choice, S::load(record), x1, x2);
    const V second = S::second(w.choice, x1, x2, S::load(record + 96));
    return S::dot_signed(w.half[i],
                         i == 0 ? S::low_pairs(first, second) : S::high_pairs(first, second));
  }
  static F input_scales(const uint8_t* record, int i) {
    return S::load_floats(record + 128 + 32 * i);
  }
  template <int kPer>
  static F weight_scales(const float* scales, int i) {
    return S::template spread<64 / kPer>(scales + i * (64 / kPer));
  }
};

/// Rows times kTokens tokens. What is past the last whole step of a row is copied first, so that
/// nothing is read past its end; inputs are zero there.
template <typename S, typename Step, int kTokens>
struct RowProduct {
  using V = typename S::V;
  using F = typename S::F;

  struct Row {
    const uint8_t* codes;
    const uint8_t* positions;
    int64_t plane;
  };
  struct Source {
    Row row;
    Row tail;
    int64_t whole;  ///< steps
    uint8_t tail_codes[Step::kCodeBytes];
    uint8_t tail_positions[Step::kPositionBytes * 3 + 4];
  };

  static void open(const WeightRows& w, int64_t r, Source& source) {
    source.row = {w.codes + r * w.code_stride, w.positions + r * w.position_stride, w.plane_bytes};
    source.whole = w.cols / Step::kColumns;
    if (w.cols % Step::kColumns == 0) return;
    const int64_t first = source.whole * Step::kCodeBytes;
    for (int64_t i = 0; i < Step::kCodeBytes; ++i) {
      source.tail_codes[i] = first + i < w.code_bytes ? source.row.codes[first + i] : 0;
    }
    const int64_t first_position = source.whole * Step::kPositionBytes;
    for (int64_t i = 0; i < Step::kPositionBytes; ++i) {
      for (int64_t bit = 0; bit < 3; ++bit) {
        source.tail_positions[bit * 4 + i] =
            first_position + i < w.plane_bytes
                ? source.row.positions[bit * w.plane_bytes + first_position + i]
                : 0;
      }
    }
    source.tail = {source.tail_codes - first, source.tail_positions - first_position, 4};
  }

  template <typename Accumulate>
  static void step(const typename Step::Constants& constants, const Source& source, int64_t i,
                   Accumulate&& accumulate) {
    const Row& row = i < source.whole ? source.row : source.tail;
    S::prefetch(source.row.codes + i * Step::kCodeBytes + kPrefetchAhead);
    accumulate(Step::decode(constants, row.codes + i * Step::kCodeBytes,
                            row.positions + i * Step::kPositionBytes, row.plane));
  }

  /// Adds steps [begin, begin + kSteps), or [begin, end) with kSteps = 0, times their scale.
  template <int kSteps>
  static void group(const typename Step::Constants& constants, const Source& source, int64_t begin,
                    int64_t end, const float* scale, const uint8_t* x, int64_t stride,
                    F (&total)[kTokens]) {
    F sum[kTokens];
    for (int t = 0; t < kTokens; ++t) sum[t] = S::zero();
    const auto add = [&](int64_t i) {
      step(constants, source, i, [&](const typename Step::Decoded& decoded) {
#pragma GCC unroll 4
        for (int t = 0; t < kTokens; ++t) {
          const uint8_t* record = x + t * stride + i * Step::kRecord;
#pragma GCC unroll 2
          for (int v = 0; v < Step::kVectors; ++v) {
            sum[t] = S::fma(S::to_float(Step::sums(decoded, record, v)),
                            Step::input_scales(record, v), sum[t]);
          }
        }
      });
    };
    if constexpr (kSteps == 0) {
      for (int64_t i = begin; i < end; ++i) add(i);
    } else {
#pragma GCC unroll 2
      for (int i = 0; i < kSteps; ++i) add(begin + i);
    }
    const F factor = S::broadcast(scale);
    for (int t = 0; t < kTokens; ++t) total[t] = S::fma(sum[t], factor, total[t]);
  }

  /// One scale per `group` columns, the last group shorter.
  static void grouped(const WeightRows& w, const typename Step::Constants& constants,
                      const Source& source, const float* scales, const uint8_t* x, int64_t stride,
                      F (&total)[kTokens]) {
    const int64_t steps = (w.cols + Step::kColumns - 1) / Step::kColumns;
    const int64_t per_group = w.group / Step::kColumns;
    int64_t begin = 0;
    if (per_group == 1) {
      for (; begin < steps; ++begin, ++scales) {
        group<1>(constants, source, begin, 0, scales, x, stride, total);
      }
    } else if (per_group == 2) {
      for (; begin + 2 <= steps; begin += 2, ++scales) {
        group<2>(constants, source, begin, 0, scales, x, stride, total);
      }
    }
    for (; begin < steps; begin += per_group, ++scales) {
      const int64_t end = begin + per_group < steps ? begin + per_group : steps;
      group<0>(constants, source, begin, end, scales, x, stride, total);
    }
  }

  /// One scale per kPer columns.
  template <int kPer>
  static void fine(const WeightRows& w, const typename Step::Constants& constants,
                   const Source& source, const float* scales, const uint8_t* x, int64_t stride,
                   F (&total)[kTokens]) {
    const int64_t steps = (w.cols + Step::kColumns - 1) / Step::kColumns;
    for (int64_t i = 0; i < steps; ++i, scales += Step::kColumns / kPer) {
      step(constants, source, i, [&](const typename Step::Decoded& decoded) {
#pragma GCC unroll 2
        for (int v = 0; v < Step::kVectors; ++v) {
          const F scale = Step::template weight_scales<kPer>(scales, v);
#pragma GCC unroll 4
          for (int t = 0; t < kTokens; ++t) {
            const uint8_t* record = x + t * stride + i * Step::kRecord;
            total[t] = S::fma(S::to_float(Step::sums(decoded, record, v)),
                              S::mul(Step::input_scales(record, v), scale), total[t]);
          }
        }
      });
    }
  }

  static void run(const WeightRows& w, const uint8_t* x, int64_t stride, float* y,
                  int64_t y_stride) {
    const typename Step::Constants constants(w);
    Source source;
    for (int64_t r = 0; r < w.rows; ++r) {
      open(w, r, source);
      const float* scales = w.scales + r * w.scale_stride;
      F total[kTokens];
      for (int t = 0; t < kTokens; ++t) total[t] = S::zero();
      switch (w.step) {
        case ScaleStep::kGroup:
          grouped(w, constants, source, scales, x, stride, total);
          break;
        case ScaleStep::k32:
          fine<32>(w, constants, source, scales, x, stride, total);
          break;
        case ScaleStep::k16:
          fine<16>(w, constants, source, scales, x, stride, total);
          break;
      }
      for (int t = 0; t < kTokens; ++t) y[t * y_stride + r] = S::sum(total[t]);
    }
  }
};

template <typename S, typename Step>
void all_tokens(const WeightRows& w, const Int8Records& x, Outputs out) {
  int64_t t = 0;
  const auto take = [&]<int kTokens>() {
    RowProduct<S, Step, kTokens>::run(w, x.data + t * x.token_stride, x.token_stride,
                                      out.y + t * out.stride, out.stride);
    t += kTokens;
  };
  while (t + 4 <= x.tokens) take.template operator()<4>();
  if (t + 2 <= x.tokens) take.template operator()<2>();
  if (t < x.tokens) take.template operator()<1>();
}

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

template <typename S, typename Decode>
struct PackedMatmulBody {
  static void bytes(const WeightRows& w, const Int8Records& x, bool wide, Outputs y) noexcept {
    wide ? all_tokens<S, ByteStep<S, true>>(w, x, y) : all_tokens<S, ByteStep<S, false>>(w, x, y);
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
  static constexpr PackedMatmulRow row(const char* name) {
    return {name,
            bytes,
            nibbles,
            quads4,
            quads8,
            Decode::scales,
            Decode::expand_nibbles,
            Decode::expand_bytes,
            FloatProduct<S>::run};
  }
};

}  // namespace
}  // namespace scant
