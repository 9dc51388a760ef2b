#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/matmul/rows.h"

namespace scant {
namespace {

/// How 4-bit codes become unsigned numbers: those of two's complement are 8 larger than their
/// values, others are looked up 16 larger.
enum class NibbleValues : uint8_t { kTwoComplement, kTable };
constexpr int nibble_offset(NibbleValues values) {
  return values == NibbleValues::kTwoComplement ? 8 : 16;
}

/// These numbers by code.
template <typename S, NibbleValues kValues>
struct NibbleTable {
  typename S::V table;
  explicit NibbleTable(const WeightRows& w)
      : table(S::add8(S::table(w.values), S::set8(nibble_offset(kValues)))) {}
};

// A step of a row is a number of columns whose codes are taken at a time. Each kind of step says
// where codes come from (a cursor that is made for a row) and how they are read (decode), what they
// give with a record of inputs (sums: lanes of integers, each of as many columns), and how fine
// scales are laid over these lanes. kBlock steps share what their positions are read into. With a
// kOffset sums are those of weights that are so much larger.

/// Codes as they are stored, so many bytes per step.
template <typename S, int64_t kBytes>
struct StoredCodes {
  using Codes = const uint8_t*;
  const uint8_t* row;
  StoredCodes(const WeightRows& w, int64_t r) : row(w.codes + r * w.code_stride) {}
  template <typename Constants>
  Codes at(const Constants&, int64_t step) const {
    const uint8_t* codes = row + step * kBytes;
    S::prefetch_ahead(codes);
    return codes;
  }
};

/// Where there are no positions.
struct NoPositions {
  static constexpr int64_t kBlock = 1, kPositionBytes = 0;
  struct Block {};
  static Block block(const uint8_t*, int64_t) { return {}; }
  static Block last_block(const uint8_t*, int64_t) { return {}; }
};

/// 2:4 by ranks (formats/layouts/n_of_m.h): a block is four steps of 32 quads.
template <typename S, bool kPaired>
struct QuadPositions {
  static constexpr int64_t kBlock = 4, kPositionBytes = 4;
  using Block = typename S::QuadMasks;
  static Block block(const uint8_t* positions, int64_t plane) {
    return S::template quad_masks<kPaired>(positions, positions + plane, positions + 2 * plane);
  }
  /// Of a single step, past the last whole block.
  static Block last_block(const uint8_t* positions, int64_t plane) {
    return S::template last_quad_masks<kPaired>(positions, positions + plane,
                                                positions + 2 * plane);
  }
};

/// A vector of 4-bit codes: byte i holds columns 2i and 2i + 1.
template <typename S, NibbleValues kValues>
struct NibbleStep : NoPositions {
  using V = typename S::V;
  using F = typename S::F;
  static constexpr int64_t kBytes = sizeof(V);
  static constexpr int64_t kColumns = 2 * kBytes;
  using Cursor = StoredCodes<S, kBytes>;
  static constexpr int64_t kRecord = 3 * kBytes;  // halves
  static constexpr int kVectors = 1;
  static constexpr int kOffset = nibble_offset(kValues);
  struct Decoded {
    V even, odd;
  };
  using Constants = NibbleTable<S, kValues>;

  template <int kStep>
  static Decoded decode(const Constants& constants, const uint8_t* codes,
                        const NoPositions::Block&) {
    if constexpr (kValues == NibbleValues::kTwoComplement) {
      const V biased = S::flip(S::load(codes), 0x88);
      return {S::low_nibbles(biased), S::high_nibbles(biased)};
    }
    const V both = S::load(codes);
    return {S::lookup(constants.table, S::low_nibbles(both)),
            S::lookup(constants.table, S::high_nibbles(both))};
  }
  static V sums(const Decoded& w, const uint8_t* record, int) {
    return S::dot2(w.even, S::load(record), w.odd, S::load(record + kBytes));
  }
  static F input_scales(const uint8_t* record, int) { return S::load_floats(record + 2 * kBytes); }
  template <int kPer>
  static F weight_scales(const float* scales, int) {
    return S::template spread<kColumns / kPer>(scales);
  }
};
static_assert(kHalvesRecord == 3 * 32 && kWideHalvesRecord == 3 * 64);

/// 64 columns of 8-bit codes.
template <typename S, bool kWide>
struct ByteStep : NoPositions {
  using V = typename S::V;
  using F = typename S::F;
  static constexpr int64_t kColumns = 64;
  using Cursor = StoredCodes<S, 64>;
  static constexpr int64_t kRecord = kNaturalRecord;
  static constexpr int kVectors = 2;
  struct Decoded {
    V half[2];
  };
  struct Constants {
    explicit Constants(const WeightRows&) {}
  };

  template <int kStep>
  static Decoded decode(const Constants&, const uint8_t* codes, const NoPositions::Block&) {
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
struct Quad4Step : QuadPositions<S, false> {
  using V = typename S::V;
  using F = typename S::F;
  static constexpr int64_t kColumns = 128;
  using Cursor = StoredCodes<S, 32>;
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

  template <int kStep>
  static Decoded decode(const Constants& constants, const uint8_t* codes,
                        const typename S::QuadMasks& masks) {
    const V both = S::load(codes);
    const V first = S::lookup(constants.table, S::low_nibbles(both));
    const V second = S::lookup(constants.table, S::high_nibbles(both));
    return {S::template choice<kStep>(masks), first, second, S::sum128(S::add8(first, second))};
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
struct Quad8Step : QuadPositions<S, true> {
  using V = typename S::V;
  using F = typename S::F;
  static constexpr int64_t kColumns = 128;
  using Cursor = StoredCodes<S, 64>;
  static constexpr int64_t kRecord = kQuads8Record;
  static constexpr int kVectors = 2;
  struct Decoded {
    typename S::Choice choice;
    V half[2];
  };
  struct Constants {
    explicit Constants(const WeightRows&) {}
  };

  template <int kStep>
  static Decoded decode(const Constants&, const uint8_t* codes,
                        const typename S::QuadMasks& masks) {
    return {S::template choice<kStep>(masks), {S::load(codes), S::load(codes + 32)}};
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

}  // namespace
}  // namespace scant
