#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/matmul/int8_avx2.h"
#include "kernels/matmul/rows.h"

namespace scant {
namespace {

// What each kind of weights is laid out in for products with many tokens: first lines, row by row,
// then panels, where dword k of 16 lines stands side by side. A dword meets kColumns inputs of one
// token; with kPicks it holds the kept weights, and a second one says which inputs they meet.

/// 8-bit codes: two columns of int16.
struct WideLine {
  static constexpr int64_t kColumns = 2, kUnit = 16;
  static constexpr bool kPicks = false;
  explicit WideLine(const WeightRows&) {}

  /// kUnit columns from `first` on: kUnit / kColumns dwords.
  void write(const WeightRows& w, int64_t r, int64_t first, uint32_t* values, uint32_t*) const {
    const auto* codes = reinterpret_cast<const __m128i*>(w.codes + r * w.code_stride + first);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(values),
                        _mm256_cvtepi8_epi16(_mm_loadu_si128(codes)));
  }
};

/// Both nibbles of 16 bytes as values, in order.
inline __m256i nibble_values(__m128i both, __m128i table) {
  const __m128i low = _mm_and_si128(both, _mm_set1_epi8(15));
  const __m128i high = _mm_and_si128(_mm_srli_epi16(both, 4), _mm_set1_epi8(15));
  const __m128i even = _mm_shuffle_epi8(table, low);
  const __m128i odd = _mm_shuffle_epi8(table, high);
  return _mm256_set_m128i(_mm_unpackhi_epi8(even, odd), _mm_unpacklo_epi8(even, odd));
}

inline __m128i value_table(const WeightRows& w) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(w.values));
}

inline __m128i load16(const uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}

/// 4-bit codes: four columns of int8.
struct NarrowLine {
  static constexpr int64_t kColumns = 4, kUnit = 32;
  static constexpr bool kPicks = false;
  explicit NarrowLine(const WeightRows& w) : table(value_table(w)) {}
  __m128i table;

  void write(const WeightRows& w, int64_t r, int64_t first, uint32_t* values, uint32_t*) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(values),
                        nibble_values(load16(w.codes + r * w.code_stride + first / 2), table));
  }
};

/// The positions that quads keep, a byte each.
struct KeptPair {
  __m128i first, second;
};

/// Of 16 quads from `quad`, a multiple of 16, on (formats/layouts/n_of_m.h).
inline KeptPair kept_positions(const WeightRows& w, int64_t r, int64_t quad) {
  const uint8_t* planes = w.positions + r * w.position_stride;
  __m128i rank = _mm_setzero_si128();
  if (quad / 128 < w.cols / 512) {
    const __m128i place = _mm_cvtsi32_si128(static_cast<int>(quad / 16 % 2 * 4 + quad % 128 / 32));
    for (int bit = 0; bit < 3; ++bit) {
      const __m128i bits = load16(planes + bit * w.plane_bytes + quad / 128 * 16);
      const __m128i lowest = _mm_and_si128(_mm_srl_epi16(bits, place), _mm_set1_epi8(1));
      rank = _mm_or_si128(rank, _mm_slli_epi16(lowest, bit));
    }
  } else {
    const __m128i order = _mm_setr_epi32(0, 0, 0x01010101, 0x01010101);
    const __m128i one_each = _mm_set1_epi64x(static_cast<int64_t>(0x8040201008040201ull));
    for (int bit = 0; bit < 3; ++bit) {
      const uint8_t* at = planes + bit * w.plane_bytes + quad / 8;
      const __m128i bits = _mm_shuffle_epi8(_mm_cvtsi32_si128(at[0] | at[1] << 8), order);
      const __m128i kept = _mm_cmpeq_epi8(_mm_and_si128(bits, one_each), one_each);
      rank = _mm_or_si128(rank, _mm_and_si128(kept, _mm_set1_epi8(static_cast<char>(1 << bit))));
    }
  }
  const __m128i firsts = _mm_setr_epi8(0, 0, 1, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m128i seconds = _mm_setr_epi8(1, 2, 2, 3, 3, 3, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  return {_mm_shuffle_epi8(firsts, rank), _mm_shuffle_epi8(seconds, rank)};
}

inline void store_halves(__m128i low, __m128i high, uint32_t* to) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), low);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to) + 1, high);
}

/// 2:4 of 8-bit codes: the kept two of a quad as int16, chosen from its four.
struct WideQuadLine {
  static constexpr int64_t kColumns = 4, kUnit = 64;
  static constexpr bool kPicks = true;
  explicit WideQuadLine(const WeightRows&) {}

  void write(const WeightRows& w, int64_t r, int64_t first, uint32_t* values,
             uint32_t* picks) const {
    const uint8_t* codes = w.codes + r * w.code_stride + first / 2;
    for (int half = 0; half < 2; ++half) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(values + 8 * half),
                          _mm256_cvtepi8_epi16(load16(codes + 16 * half)));
    }
    // Position p of an int16 is bytes 2p and 2p + 1.
    const KeptPair kept = kept_positions(w, r, first / 4);
    const __m128i one = _mm_set1_epi8(1);
    const __m128i a = _mm_add_epi8(kept.first, kept.first);
    const __m128i b = _mm_add_epi8(kept.second, kept.second);
    const __m128i a_next = _mm_add_epi8(a, one), b_next = _mm_add_epi8(b, one);
    const __m128i a_low = _mm_unpacklo_epi8(a, a_next), a_high = _mm_unpackhi_epi8(a, a_next);
    const __m128i b_low = _mm_unpacklo_epi8(b, b_next), b_high = _mm_unpackhi_epi8(b, b_next);
    store_halves(_mm_unpacklo_epi16(a_low, b_low), _mm_unpackhi_epi16(a_low, b_low), picks);
    store_halves(_mm_unpacklo_epi16(a_high, b_high), _mm_unpackhi_epi16(a_high, b_high), picks + 8);
  }
};

/// Which of the eight columns of two quads the four kept ones of 16 quads are.
inline void write_picks(const WeightRows& w, int64_t r, int64_t first, uint32_t* picks) {
  const KeptPair kept = kept_positions(w, r, first / 4);
  const __m128i second_quad = _mm_set1_epi16(0x0400);
  const __m128i a = _mm_add_epi8(kept.first, second_quad);
  const __m128i b = _mm_add_epi8(kept.second, second_quad);
  store_halves(_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b), picks);
}

/// 2:4 of 4-bit codes: the kept four of two quads as int8, chosen from their eight.
struct NarrowQuadLine {
  static constexpr int64_t kColumns = 8, kUnit = 64;
  static constexpr bool kPicks = true;
  explicit NarrowQuadLine(const WeightRows& w) : table(value_table(w)) {}
  __m128i table;

  void write(const WeightRows& w, int64_t r, int64_t first, uint32_t* values,
             uint32_t* picks) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(values),
                        nibble_values(load16(w.codes + r * w.code_stride + first / 4), table));
    write_picks(w, r, first, picks);
  }
};

/// 8-bit codes: four columns of int8.
struct ByteLine {
  static constexpr int64_t kColumns = 4, kUnit = 32;
  static constexpr bool kPicks = false;
  explicit ByteLine(const WeightRows&) {}

  void write(const WeightRows& w, int64_t r, int64_t first, uint32_t* values, uint32_t*) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(values),
                        Int8Vectors::load(w.codes + r * w.code_stride + first));
  }
};

/// 2:4 of 8-bit codes: the kept four of two quads as int8, chosen from their eight.
struct ByteQuadLine {
  static constexpr int64_t kColumns = 8, kUnit = 64;
  static constexpr bool kPicks = true;
  explicit ByteQuadLine(const WeightRows&) {}

  void write(const WeightRows& w, int64_t r, int64_t first, uint32_t* values,
             uint32_t* picks) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(values),
                        Int8Vectors::load(w.codes + r * w.code_stride + first / 2));
    write_picks(w, r, first, picks);
  }
};

}  // namespace
}  // namespace scant
