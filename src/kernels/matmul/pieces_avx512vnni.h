#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/matmul/steps_avx512vnni.h"

namespace scant {
namespace {

/// Dense codes of 2, 3, 5 or 6 bits, 128 columns at a time. A row is a string of pieces of 4 or 2
/// bits and one of what is left of each code (docs/formats/layouts.md).
template <int kBits>
struct PieceCodes {
  using V = __m512i;
  static constexpr int kLow = kBits > 4 ? 4 : 2;
  static constexpr int kHigh = kBits - kLow;
  static constexpr int kOffset = piece_offset(kBits);
  struct Codes {
    V columns[2];  ///< kOffset larger than their values
  };
  struct Constants {
    V table;  ///< by code; where a bit is left, without it
    V bit;    ///< what that adds
    explicit Constants(const WeightRows& w) {
      constexpr int kIndex = kHigh == 1 ? kLow : kBits;
      alignas(64) int8_t larger[64];
      for (int i = 0; i < 64; ++i) {
        larger[i] = static_cast<int8_t>(w.values[i & ((1 << kIndex) - 1)] + kOffset);
      }
      table = _mm512_load_si512(larger);
      bit = _mm512_set1_epi8(static_cast<char>(w.values[1 << kLow] - w.values[0]));
    }
  };

  const uint8_t* low;
  const uint8_t* high;

  PieceCodes(const WeightRows& w, int64_t r)
      : low(w.codes + r * w.code_stride), high(low + w.cols * kLow / 8) {}

  /// Bit positions of a word of 64 bits that bring pieces of 8 codes to bit kPlace of its bytes.
  template <int kWidth, int kPlace>
  static constexpr int64_t shifts() {
    uint64_t all = 0;
    for (int i = 0; i < 8; ++i) {
      all |= static_cast<uint64_t>((i * kWidth - kPlace) & 63) << (8 * i);
    }
    return static_cast<int64_t>(all);
  }
  /// Pieces of 64 codes at bit kPlace of a byte each, something else around them.
  template <int kWidth, int kPlace>
  static V spread(const uint8_t* string) {
    V words;  // pieces of 8 codes each
    if constexpr (kWidth == 4) {
      words = _mm512_cvtepu32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(string)));
    } else {
      static_assert(kWidth == 2);
      words = _mm512_cvtepu16_epi64(_mm_loadu_si128(reinterpret_cast<const __m128i*>(string)));
    }
    return _mm512_multishift_epi64_epi8(_mm512_set1_epi64(shifts<kWidth, kPlace>()), words);
  }
  V codes_at(const Constants& constants, uint64_t column) const {
    // Indices of the table are 6 bits and it repeats: what stands above a code is ignored.
    V index = spread<kLow, 0>(low + column * kLow / 8);
    if constexpr (kHigh == 2) {
      constexpr int k0 = 0xf0, k1 = 0xcc, k2 = 0xaa;  // what the instruction calls its operands
      const V above = spread<2, kLow>(high + column * 2 / 8);
      index = _mm512_ternarylogic_epi64(Int8Avx512Vnni::set8((1 << kLow) - 1), index, above,
                                        (k0 & k1) | (~k0 & k2 & 0xff));
    }
    const V codes = _mm512_permutexvar_epi8(index, constants.table);
    if constexpr (kHigh != 1) return codes;
    uint64_t bits;
    __builtin_memcpy(&bits, high + column / 8, sizeof bits);
    return _mm512_mask_add_epi8(codes, bits, codes, constants.bit);
  }

  Codes at(const Constants& constants, int64_t step) const {
    const auto column = static_cast<uint64_t>(128 * step);
    Int8Avx512Vnni::prefetch_ahead(low + column * kBits / 8);  // of both strings in turn
    return {{codes_at(constants, column), codes_at(constants, column + 64)}};
  }
};

}  // namespace
}  // namespace scant
