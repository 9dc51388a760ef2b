#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/matmul/int8_avx512.h"
#include "kernels/matmul/vector_steps.h"

namespace scant {
namespace {

// The steps of vector_steps.h with vectors of 64 bytes. One side of a product is unsigned: weights
// of 4 bits, as what that adds is part of the inputs' record, and else inputs.

/// 128 columns, a byte each, in order.
struct WideColumns : NoPositions {
  using S = Int8Avx512Vnni;
  using V = S::V;
  using F = S::F;
  static constexpr int64_t kColumns = 128;
  static constexpr int kVectors = 2;

  static V inputs(const uint8_t* record, int i) { return S::load(record + 64 * i); }
  template <int kPer>
  static F weight_scales(const float* scales, int i) {
    return S::spread<64 / kPer>(scales + i * (64 / kPer));
  }
};

/// What 8-bit values give with inputs that are 128 too large.
struct ShiftedSums : WideColumns {
  static constexpr int64_t kRecord = kWideShiftedRecord;
  struct Decoded {
    V values[2], start[2];
  };

  static Decoded decoded(V first, V second) {
    return {{first, second}, {S::minus_sum128(first), S::minus_sum128(second)}};
  }
  static V sums(const Decoded& w, const uint8_t* record, int i) {
    return S::dot(w.start[i], inputs(record, i), w.values[i]);
  }
  static F input_scales(const uint8_t* record, int i) {
    return S::spread<2>(reinterpret_cast<const float*>(record + 128) + 2 * i);
  }
};

/// 8-bit codes.
struct WideByteStep : ShiftedSums {
  using Cursor = StoredCodes<S, 128>;
  struct Constants {
    explicit Constants(const WeightRows&) {}
  };

  template <int kStep>
  static Decoded decode(const Constants&, const uint8_t* codes, const NoPositions::Block&) {
    S::prefetch_ahead(codes + 64);
    return decoded(S::load(codes), S::load(codes + 64));
  }
};

/// What the numbers of a cursor, kOffset larger than their values, give with inputs as they are.
template <typename CursorOfColumns>
struct LargerColumnsStep : WideColumns {
  using Cursor = CursorOfColumns;
  using Constants = typename Cursor::Constants;
  using Decoded = typename Cursor::Codes;
  static constexpr int64_t kRecord = kWideNaturalRecord;
  static constexpr int kOffset = Cursor::kOffset;

  template <int kStep>
  static Decoded decode(const Constants&, const Decoded& codes, const NoPositions::Block&) {
    return codes;
  }
  static V sums(const Decoded& w, const uint8_t* record, int i) {
    return S::dot(_mm512_setzero_si512(), w.columns[i], inputs(record, i));
  }
  static F input_scales(const uint8_t* record, int i) {
    return S::load_floats(record + 128 + 64 * i);
  }
};

/// 2:4 by ranks (formats/layouts/n_of_m.h): a block is two steps of 64 quads. kPaired: in the order
/// that low_pairs and high_pairs turn into that of the codes.
template <bool kPaired>
struct WideQuadPositions {
  using V = __m512i;
  static constexpr int64_t kBlock = 2, kPositionBytes = 8;
  /// As Avx512Choice, a bit of each byte per step.
  struct Block {
    V bit0, first_not_0, second_not_1, second_3;

    static Block of(V bit0, V bit1, V bit2) {
      constexpr int k0 = 0xf0, k1 = 0xcc, k2 = 0xaa;  // what the instruction calls its operands
      return {bit0, _mm512_ternarylogic_epi64(bit0, bit1, bit2, (k2 | (~k0 & k1)) & 0xff),
              _mm512_ternarylogic_epi64(bit0, bit1, bit2, k0 | k1 | k2),
              _mm512_ternarylogic_epi64(bit0, bit1, bit2, k2 | (k0 & k1))};
    }
  };

  /// Bit k of byte j of `plane`'s 16 is one of quad 16 i + j, i = 2 (k % 4) + k / 4.
  static V plane(const uint8_t* sixteen) {
    Int8Avx512Vnni::prefetch_positions(sixteen);
    const V all =
        _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(sixteen)));
    if constexpr (!kPaired) return all;
    constexpr int64_t kLow = 0x0706050403020100, kHigh = 0x0f0e0d0c0b0a0908;
    return _mm512_shuffle_epi8(
        all, _mm512_setr_epi64(kLow, kLow, kHigh, kHigh, kLow, kLow, kHigh, kHigh));
  }
  static constexpr int64_t bit_of(int step, int eighth) {
    const int quad = kPaired ? eighth / 2 * 8 + eighth % 2 * 32 : eighth * 8;
    return 0x0101010101010101 << (quad / 16 % 2 * 4 + 2 * step + quad / 32);
  }
  template <int kStep>
  static V bits() {
    return _mm512_setr_epi64(bit_of(kStep, 0), bit_of(kStep, 1), bit_of(kStep, 2), bit_of(kStep, 3),
                             bit_of(kStep, 4), bit_of(kStep, 5), bit_of(kStep, 6),
                             bit_of(kStep, 7));
  }
  static Block block(const uint8_t* positions, int64_t plane_bytes) {
    return Block::of(plane(positions), plane(positions + plane_bytes),
                     plane(positions + 2 * plane_bytes));
  }
  /// Of a single step, past the last whole block: bits are in order.
  static Block last_block(const uint8_t* positions, int64_t plane_bytes) {
    const auto plane = [&](int64_t index) {
      uint64_t bits;
      __builtin_memcpy(&bits, positions + index * plane_bytes, sizeof bits);
      if constexpr (kPaired) {
        const __m128i both = _mm_cvtsi64_si128(static_cast<int64_t>(bits));
        bits = static_cast<uint64_t>(
            _mm_cvtsi128_si64(_mm_unpacklo_epi8(both, _mm_srli_epi64(both, 32))));
      }
      return _mm512_movm_epi8(bits);
    };
    return Block::of(plane(0), plane(1), plane(2));
  }
  /// Which inputs the first and the second kept weights of 64 quads meet.
  struct Inputs {
    V first, second;
  };
  static Inputs chosen(const Avx512Choice& choice, const uint8_t* record) {
    using S = Int8Avx512Vnni;
    const V x1 = S::load(record + 64), x2 = S::load(record + 128);
    return {
        _mm512_mask_blend_epi8(choice.first_not_0, S::load(record),
                               _mm512_mask_blend_epi8(choice.bit0, x1, x2)),
        _mm512_mask_blend_epi8(choice.second_not_1, x1,
                               _mm512_mask_blend_epi8(choice.second_3, x2, S::load(record + 192)))};
  }
  template <int kStep>
  static Avx512Choice choice(const Block& block) {
    const V step = bits<kStep>();
    return {_mm512_test_epi8_mask(block.bit0, step), _mm512_test_epi8_mask(block.first_not_0, step),
            _mm512_test_epi8_mask(block.second_not_1, step),
            _mm512_test_epi8_mask(block.second_3, step)};
  }
};

/// As WideQuad4Step, of its first 64 columns: what rows often end with.
template <NibbleValues kValues>
struct ShortQuad4Step {
  using V = __m128i;
  static constexpr int64_t kColumns = 64;
  struct Block {
    __mmask16 bit0, first_not_0, second_not_1, second_3;
  };
  struct Decoded {
    Block choice;
    V first, second;
  };

  static Block last_block(const uint8_t* positions, int64_t plane_bytes) {
    const auto plane = [&](int64_t index) {
      uint16_t bits;
      __builtin_memcpy(&bits, positions + index * plane_bytes, sizeof bits);
      return static_cast<unsigned>(bits);
    };
    const unsigned bit0 = plane(0), bit1 = plane(1), bit2 = plane(2);
    return {static_cast<__mmask16>(bit0), static_cast<__mmask16>(bit2 | (~bit0 & bit1)),
            static_cast<__mmask16>(bit0 | bit1 | bit2),
            static_cast<__mmask16>(bit2 | (bit0 & bit1))};
  }
  template <int>
  static Decoded decode(const NibbleTable<Int8Avx512Vnni, kValues>& constants, const uint8_t* codes,
                        const Block& block) {
    const V both = _mm_loadu_si128(reinterpret_cast<const V*>(codes));
    const V low = _mm_and_si128(both, _mm_set1_epi8(15));
    const V high = _mm_and_si128(_mm_srli_epi16(both, 4), _mm_set1_epi8(15));
    if constexpr (kValues == NibbleValues::kTwoComplement) {
      return {block, _mm_xor_si128(low, _mm_set1_epi8(8)), _mm_xor_si128(high, _mm_set1_epi8(8))};
    }
    const V table = _mm512_castsi512_si128(constants.table);
    return {block, _mm_shuffle_epi8(table, low), _mm_shuffle_epi8(table, high)};
  }
  static __m512i sums(const Decoded& w, const uint8_t* record, int) {
    const auto input = [&](int64_t place) {
      return _mm_loadu_si128(reinterpret_cast<const V*>(record + 64 * place));
    };
    const V x1 = input(1), x2 = input(2);
    const V first = _mm_mask_blend_epi8(w.choice.first_not_0, input(0),
                                        _mm_mask_blend_epi8(w.choice.bit0, x1, x2));
    const V second = _mm_mask_blend_epi8(w.choice.second_not_1, x1,
                                         _mm_mask_blend_epi8(w.choice.second_3, x2, input(3)));
    const V too_large = _mm_set1_epi8(static_cast<char>(nibble_offset(kValues)));
    const auto dot2 = [&](V u, V u2) {
      return _mm_dpbusd_epi32(_mm_dpbusd_epi32(_mm_setzero_si128(), u, first), u2, second);
    };
    return _mm512_zextsi128_si512(
        _mm_sub_epi32(dot2(w.first, w.second), dot2(too_large, too_large)));
  }
};

/// 256 columns of 2:4 with 4-bit codes: byte q of the codes holds both kept weights of quad q.
template <NibbleValues kValues>
struct WideQuad4Step : WideQuadPositions<false> {
  using S = Int8Avx512Vnni;
  using F = S::F;
  static constexpr int64_t kColumns = 256;
  using Cursor = StoredCodes<S, 64>;
  static constexpr int64_t kRecord = kWideQuads4Record;
  static constexpr int kVectors = 1;
  struct Decoded {
    Avx512Choice choice;
    V first, second;  ///< kTooLarge more than their values
  };
  using Constants = NibbleTable<S, kValues>;
  using Short = ShortQuad4Step<kValues>;
  static constexpr int kTooLarge = nibble_offset(kValues);

  template <int kStep>
  static Decoded decode(const Constants& constants, const uint8_t* codes, const Block& block) {
    const V both = S::load(codes);
    if constexpr (kValues == NibbleValues::kTwoComplement) {
      return {choice<kStep>(block), S::low_nibbles_plus8(both),
              S::low_nibbles_plus8(_mm512_srli_epi16(both, 4))};
    }
    return {choice<kStep>(block), S::lookup(constants.table, S::low_nibbles(both)),
            S::lookup(constants.table, S::high_nibbles(both))};
  }
  static V sums(const Decoded& w, const uint8_t* record, int) {
    const Inputs x = chosen(w.choice, record);
    const V too_large = S::set8(kTooLarge);
    return _mm512_sub_epi32(S::dot2(w.first, x.first, w.second, x.second),
                            S::dot2(too_large, x.first, too_large, x.second));
  }
  static F input_scales(const uint8_t* record, int) { return S::load_floats(record + 256); }
  template <int kPer>
  static F weight_scales(const float* scales, int) {
    return S::spread<kColumns / kPer>(scales);
  }
};

/// 256 columns of 2:4 with 8-bit codes: two bytes per quad.
struct WideQuad8Step : WideQuadPositions<true> {
  using S = Int8Avx512Vnni;
  using F = S::F;
  static constexpr int64_t kColumns = 256;
  using Cursor = StoredCodes<S, 128>;
  static constexpr int64_t kRecord = kWideQuads8Record;
  static constexpr int kVectors = 2;
  struct Decoded {
    Avx512Choice choice;
    V half[2], start[2];
  };
  struct Constants {
    explicit Constants(const WeightRows&) {}
  };

  template <int kStep>
  static Decoded decode(const Constants&, const uint8_t* codes, const Block& block) {
    S::prefetch_ahead(codes + 64);
    const V low = S::load(codes), high = S::load(codes + 64);
    return {choice<kStep>(block), {low, high}, {S::minus_sum128(low), S::minus_sum128(high)}};
  }
  static V sums(const Decoded& w, const uint8_t* record, int i) {
    const Inputs x = chosen(w.choice, record);
    return S::dot(w.start[i],
                  i == 0 ? S::low_pairs(x.first, x.second) : S::high_pairs(x.first, x.second),
                  w.half[i]);
  }
  static F input_scales(const uint8_t* record, int i) {
    return S::load_floats(record + 256 + 64 * i);
  }
  template <int kPer>
  static F weight_scales(const float* scales, int i) {
    return S::spread<128 / kPer>(scales + i * (128 / kPer));
  }
};

}  // namespace
}  // namespace scant
