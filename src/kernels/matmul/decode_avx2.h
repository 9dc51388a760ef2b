#pragma once

// For ISA files only: internal linkage throughout.
#include <immintrin.h>

#include "kernels/matmul/int8_avx2.h"
#include "kernels/matmul/rows.h"

namespace scant {
namespace {

/// Bytes of scales ahead of those in use that are asked for.
inline constexpr int64_t kScalesAhead = 1024;

/// What is decoded before products: scales, and codes behind a bitmask.
struct DecodeAvx2 {
  static __m256i widened(const uint8_t* p, int bytes) {
    const auto* at = reinterpret_cast<const __m128i*>(p);
    return bytes == 1 ? _mm256_cvtepu8_epi32(_mm_loadl_epi64(at))
                      : _mm256_cvtepu16_epi32(_mm_loadu_si128(at));
  }

  template <StoredScale kType>
  static __m256 eight(const uint8_t* p) {
    if constexpr (kType == StoredScale::kF32) {
      return _mm256_loadu_ps(reinterpret_cast<const float*>(p));
    }
    if constexpr (kType == StoredScale::kBF16) {
      return _mm256_castsi256_ps(_mm256_slli_epi32(widened(p, 2), 16));
    }
    if constexpr (kType == StoredScale::kF16) {
      return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    }
    if constexpr (kType == StoredScale::kE8M0) {  // the smallest one, 2^-127, is subnormal
      const __m256i exponent = widened(p, 1);
      const __m256i smallest = _mm256_cmpeq_epi32(exponent, _mm256_setzero_si256());
      return _mm256_castsi256_ps(
          _mm256_or_si256(_mm256_slli_epi32(exponent, 23),
                          _mm256_and_si256(smallest, _mm256_set1_epi32(0x00400000))));
    }
    // E4M3: exponent and mantissa in the places of float32's, whose bias is larger by 120.
    const __m256i code = widened(p, 1);
    const __m256i magnitude =
        _mm256_slli_epi32(_mm256_and_si256(code, _mm256_set1_epi32(0x7f)), 20);
    const __m256i sign = _mm256_slli_epi32(_mm256_and_si256(code, _mm256_set1_epi32(0x80)), 24);
    const __m256 value = _mm256_mul_ps(_mm256_castsi256_ps(magnitude), _mm256_set1_ps(0x1p120f));
    return _mm256_or_ps(value, _mm256_castsi256_ps(sign));
  }

  template <StoredScale kType, int kBytes>
  static void all(const uint8_t* from, int64_t count, float factor, float* to) {
    const __m256 times = _mm256_set1_ps(factor);
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
      _mm_prefetch(reinterpret_cast<const char*>(from + i * kBytes + kScalesAhead), _MM_HINT_T0);
      _mm256_storeu_ps(to + i, _mm256_mul_ps(eight<kType>(from + i * kBytes), times));
    }
    if (i == count) return;
    uint8_t last[8 * kBytes] = {};
    for (int64_t b = 0; b < (count - i) * kBytes; ++b) last[b] = from[i * kBytes + b];
    alignas(32) float values[8];
    _mm256_store_ps(values, _mm256_mul_ps(eight<kType>(last), times));
    for (int64_t k = 0; i + k < count; ++k) to[i + k] = values[k];
  }

  static void scales(StoredScale type, const uint8_t* from, int64_t count, float factor,
                     float* to) noexcept {
    switch (type) {
      case StoredScale::kF32:
        return all<StoredScale::kF32, 4>(from, count, factor, to);
      case StoredScale::kBF16:
        return all<StoredScale::kBF16, 2>(from, count, factor, to);
      case StoredScale::kF16:
        return all<StoredScale::kF16, 2>(from, count, factor, to);
      case StoredScale::kE8M0:
        return all<StoredScale::kE8M0, 1>(from, count, factor, to);
      case StoredScale::kE4M3:
        return all<StoredScale::kE4M3, 1>(from, count, factor, to);
    }
  }

  static void put(__m128i bytes, uint8_t* to) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
  }

  /// 16 bytes of pieces of kWidth bits: 128 / kWidth bytes.
  template <int kWidth>
  static void split_vector(const uint8_t* from, uint8_t* to) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    if constexpr (kWidth == 4) {
      const __m128i low = _mm_and_si128(v, _mm_set1_epi8(15));
      const __m128i high = _mm_and_si128(_mm_srli_epi16(v, 4), _mm_set1_epi8(15));
      put(_mm_unpacklo_epi8(low, high), to);
      put(_mm_unpackhi_epi8(low, high), to + 16);
    } else if constexpr (kWidth == 2) {
      const __m128i three = _mm_set1_epi8(3);
      const __m128i a = _mm_and_si128(v, three);
      const __m128i b = _mm_and_si128(_mm_srli_epi16(v, 2), three);
      const __m128i c = _mm_and_si128(_mm_srli_epi16(v, 4), three);
      const __m128i d = _mm_and_si128(_mm_srli_epi16(v, 6), three);
      const __m128i ab_low = _mm_unpacklo_epi8(a, b), cd_low = _mm_unpacklo_epi8(c, d);
      const __m128i ab_high = _mm_unpackhi_epi8(a, b), cd_high = _mm_unpackhi_epi8(c, d);
      put(_mm_unpacklo_epi16(ab_low, cd_low), to);
      put(_mm_unpackhi_epi16(ab_low, cd_low), to + 16);
      put(_mm_unpacklo_epi16(ab_high, cd_high), to + 32);
      put(_mm_unpackhi_epi16(ab_high, cd_high), to + 48);
    } else if constexpr (kWidth == 1) {
      for (int64_t i = 0; i < 4; ++i) {
        const __m256i ones =
            _mm256_and_si256(Int8Avx2::spread_bits(from + 4 * i), _mm256_set1_epi8(1));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 32 * i), ones);
      }
    } else {
      put(v, to);
    }
  }

  template <int kWidth>
  static void split_all(const uint8_t* from, int64_t bytes, uint8_t* to) {
    constexpr int64_t kPerByte = 8 / kWidth;
    int64_t i = 0;
    for (; i + 16 <= bytes; i += 16) split_vector<kWidth>(from + i, to + i * kPerByte);
    if (i == bytes) return;
    uint8_t last[16] = {};
    for (int64_t b = i; b < bytes; ++b) last[b - i] = from[b];
    uint8_t codes[16 * kPerByte];
    split_vector<kWidth>(last, codes);
    for (int64_t k = 0; k < (bytes - i) * kPerByte; ++k) to[i * kPerByte + k] = codes[k];
  }

  static void split(const uint8_t* from, int64_t bytes, int width, uint8_t* to) noexcept {
    switch (width) {
      case 1:
        return split_all<1>(from, bytes, to);
      case 2:
        return split_all<2>(from, bytes, to);
      case 4:
        return split_all<4>(from, bytes, to);
      default:
        return split_all<8>(from, bytes, to);
    }
  }

  static void join(const uint8_t* pieces, int64_t count, int shift, uint8_t* codes) noexcept {
    const __m128i by = _mm_cvtsi32_si128(shift);
    int64_t i = 0;
    for (; i + 32 <= count; i += 32) {
      const __m256i above = _mm256_sll_epi16(Int8Vectors::load(pieces + i), by);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes + i),
                          _mm256_or_si256(above, Int8Vectors::load(codes + i)));
    }
    for (; i < count; ++i) codes[i] = static_cast<uint8_t>(codes[i] | pieces[i] << shift);
  }

  /// 16 entries of the table at a time: the high nibble of a code says which.
  static void replace(const int8_t* table, int entries, int64_t count, uint8_t* codes) noexcept {
    int64_t i = 0;
    for (; i + 32 <= count; i += 32) {
      auto* at = reinterpret_cast<__m256i*>(codes + i);
      const __m256i code = _mm256_loadu_si256(at);
      const __m256i low = _mm256_and_si256(code, _mm256_set1_epi8(15));
      const __m256i high = _mm256_and_si256(_mm256_srli_epi16(code, 4), _mm256_set1_epi8(15));
      __m256i value = _mm256_shuffle_epi8(Int8Vectors::table(table), low);
      for (int k = 1; 16 * k < entries; ++k) {
        const __m256i of_these = _mm256_shuffle_epi8(Int8Vectors::table(table + 16 * k), low);
        value = _mm256_blendv_epi8(value, of_these,
                                   _mm256_cmpeq_epi8(high, _mm256_set1_epi8(static_cast<char>(k))));
      }
      _mm256_storeu_si256(at, value);
    }
    for (; i < count; ++i) codes[i] = static_cast<uint8_t>(table[codes[i]]);
  }

  template <typename T>
  static T word_at(const uint8_t* p) {
    T word;
    __builtin_memcpy(&word, p, sizeof word);
    return word;
  }

  /// Bits of the next 32 columns, zeros past the last one.
  static uint32_t mask_at(const uint8_t* mask, int64_t cols) {
    if (cols >= 32) return word_at<uint32_t>(mask);
    uint32_t bits = 0;
    for (int64_t i = 0; 8 * i < cols; ++i) bits |= static_cast<uint32_t>(mask[i]) << (8 * i);
    return bits;
  }

  static __m128i load16(const uint8_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }

  /// The next bytes where bits of `kept` are set, zeros elsewhere. AVX2 has no instruction for it:
  /// a column's place among the kept ones of its 16 is its number less the pruned ones before it.
  static __m256i expand(uint32_t kept, const uint8_t* next) {
    const __m256i pruned =
        Int8Avx2::spread_bits(_mm256_set1_epi32(static_cast<int>(~kept)));  // -1 each
    __m256i sum = _mm256_add_epi8(pruned, _mm256_slli_epi64(pruned, 8));
    sum = _mm256_add_epi8(sum, _mm256_slli_epi64(sum, 16));
    sum = _mm256_add_epi8(sum, _mm256_slli_epi64(sum, 32));
    const __m256i carry = _mm256_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, 7, 7, 7, 7, 7, 7, 7, 7,
                                           -1, -1, -1, -1, -1, -1, -1, -1, 7, 7, 7, 7, 7, 7, 7, 7);
    const __m256i column =
        _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,  //
                         0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    sum = _mm256_add_epi8(_mm256_add_epi8(sum, column), _mm256_shuffle_epi8(sum, carry));
    const __m256i bytes =
        _mm256_set_m128i(load16(next + _mm_popcnt_u32(kept & 0xffffu)), load16(next));
    return _mm256_shuffle_epi8(bytes, _mm256_or_si256(sum, pruned));
  }

  static void expand_bytes(const uint8_t* mask, int64_t cols, const uint8_t* codes,
                           uint8_t* out) noexcept {
    for (int64_t c = 0; c < cols; c += 32) {
      const uint32_t kept = mask_at(mask + c / 8, cols - c);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + c), expand(kept, codes));
      codes += _mm_popcnt_u32(kept);
    }
  }

  /// Bits of the next 64 columns, zeros past the last one.
  static uint64_t wide_mask_at(const uint8_t* mask, int64_t cols) {
    if (cols >= 64) return word_at<uint64_t>(mask);
    const uint64_t high = cols > 32 ? mask_at(mask + 4, cols - 32) : 0;
    return high << 32 | mask_at(mask, cols);
  }

  static void expand_nibbles(const uint8_t* mask, int64_t cols, const uint8_t* codes,
                             uint8_t* out) noexcept {
    const __m256i shifts = _mm256_set1_epi16(0x1001);  // the odd column above the even one
    for (int64_t c = 0; c < cols; c += 64) {
      const uint64_t kept = wide_mask_at(mask + c / 8, cols - c);
      const auto low = static_cast<uint32_t>(kept);
      const __m256i a = expand(low, codes);
      const __m256i b = expand(static_cast<uint32_t>(kept >> 32), codes + _mm_popcnt_u32(low));
      const __m256i pairs =
          _mm256_packus_epi16(_mm256_maddubs_epi16(a, shifts), _mm256_maddubs_epi16(b, shifts));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + c / 2),
                          _mm256_permute4x64_epi64(pairs, 0xd8));
      codes += _mm_popcnt_u64(kept);
    }
  }
};

}  // namespace
}  // namespace scant
