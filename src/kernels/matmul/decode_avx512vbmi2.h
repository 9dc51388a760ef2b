#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/matmul/decode_avx2.h"

namespace scant {
namespace {

/// Codes behind a bitmask, 32 columns at a time.
struct DecodeAvx512Vbmi2 : DecodeAvx2 {
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
