#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/matmul/decode_avx2.h"

namespace scant {
namespace {

/// Codes behind a bitmask, 32 columns at a time, and scales of 16 bits, 16 at a time.
struct DecodeAvx512Vbmi2 : DecodeAvx2 {
  static void scales(StoredScale type, const uint8_t* from, int64_t count, float factor,
                     float* to) noexcept {
    int64_t i = 0;
    if (type == StoredScale::kF16 || type == StoredScale::kBF16) {
      const __m512 times = _mm512_set1_ps(factor);
      for (; i + 16 <= count; i += 16) {
        const uint8_t* at = from + 2 * i;
        _mm_prefetch(reinterpret_cast<const char*>(at + 2 * kScalesAhead), _MM_HINT_T1);
        const __m256i stored = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
        const __m512 values =
            type == StoredScale::kF16
                ? _mm512_cvtph_ps(stored)
                : _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(stored), 16));
        _mm512_storeu_ps(to + i, _mm512_mul_ps(values, times));
      }
    }
    if (i < count) DecodeAvx2::scales(type, from + 2 * i, count - i, factor, to + i);
  }

  /// As DecodeAvx2::expand. The bytes are loaded first: Bochs 2.7, under which this is tested, is
  /// wrong where the instruction itself reads memory.
  static __m256i expand(uint32_t kept, const uint8_t* next) {
    __m256i bytes = Int8Vectors::load(next);
    asm("" : "+x"(bytes));
    return _mm256_maskz_expand_epi8(kept, bytes);
  }

  static void expand_nibbles(const uint8_t* mask, int64_t cols, const uint8_t* codes,
                             uint8_t* out) noexcept {
    const __m256i shifts = _mm256_set1_epi16(0x1001);  // the odd column above the even one
    for (int64_t c = 0; c < cols; c += 32) {
      const uint32_t kept = mask_at(mask + c / 8, cols - c);
      const __m256i columns = expand(kept, codes);
      put(_mm256_cvtepi16_epi8(_mm256_maddubs_epi16(columns, shifts)), out + c / 2);
      codes += _mm_popcnt_u32(kept);
    }
  }

  static void expand_bytes(const uint8_t* mask, int64_t cols, const uint8_t* codes,
                           uint8_t* out) noexcept {
    for (int64_t c = 0; c < cols; c += 32) {
      const uint32_t kept = mask_at(mask + c / 8, cols - c);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + c), expand(kept, codes));
      codes += _mm_popcnt_u32(kept);
    }
  }
};

}  // namespace
}  // namespace scant
