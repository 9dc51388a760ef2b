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

  /// 16 columns at a time: the bits of their mask become nibbles of ones, which say where the next
  /// codes are deposited.
  static void expand_nibbles(const uint8_t* mask, int64_t cols, const uint8_t* codes, int64_t first,
                             uint8_t* out) noexcept {
    int64_t bit = 4 * first;
    for (int64_t c = 0; c < cols; c += 16) {
      const uint64_t kept = c + 8 < cols ? word_at<uint16_t>(mask + c / 8) : mask[c / 8];
      const uint64_t ones = _pdep_u64(kept, 0x1111111111111111u) * 15;
      // 68 bits, of which 64 follow the place: two words that overlap.
      const uint8_t* at = codes + (bit >> 3);
      const auto shift = static_cast<unsigned>(bit & 4);
      const uint64_t next = word_at<uint64_t>(at) >> shift | word_at<uint64_t>(at + 1)
                                                                 << (8 - shift);
      const uint64_t expanded = _pdep_u64(next, ones);
      __builtin_memcpy(out + c / 2, &expanded, sizeof expanded);
      bit += _mm_popcnt_u64(ones);
    }
  }

  static void expand_bytes(const uint8_t* mask, int64_t cols, const uint8_t* codes,
                           uint8_t* out) noexcept {
    for (int64_t c = 0; c < cols; c += 8) {
      const uint64_t kept = mask[c / 8];
      const uint64_t ones = _pdep_u64(kept, 0x0101010101010101u) * 255;
      const uint64_t expanded = _pdep_u64(word_at<uint64_t>(codes), ones);
      __builtin_memcpy(out + c, &expanded, sizeof expanded);
      codes += _mm_popcnt_u64(kept);
    }
  }
};

}  // namespace
}  // namespace scant
