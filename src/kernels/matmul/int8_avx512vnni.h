#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/matmul/decode_avx2.h"
#include "kernels/matmul/int8_avx2.h"

namespace scant {
namespace {

/// As Avx2Choice, a bit of a mask per quad.
struct Avx512Choice {
  __mmask32 bit0;
  __mmask32 first_not_0;
  __mmask32 second_not_1;
  __mmask32 second_3;
};

/// The same sums as Int8Avx2 in vectors of 32 bytes, so that inputs are arranged alike: one
/// instruction for four products, and masks instead of vectors of choices.
struct Int8Avx512Vnni : Int8Avx2 {
  using Choice = Avx512Choice;

  static V dot(V u, V s) { return _mm256_dpbusd_epi32(_mm256_setzero_si256(), u, s); }
  static V dot2(V u, V s, V u2, V s2) { return _mm256_dpbusd_epi32(dot(u, s), u2, s2); }
  static V dot2_centred(V u, V s, V u2, V s2, V s_sum128) {
    return sub32(dot2(u, s, u2, s2), s_sum128);
  }
  static V sum128(V s) { return dot(set8(-128), s); }
  static V dot_signed(V w, V x) { return dot(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)); }
  static V dot_wide(V w, V x) { return sub32(dot(flip(x, 0x80), w), sum128(w)); }

  template <int kStep>
  static Choice choice(const QuadMasks& masks) {
    const Avx2Choice bytes = Int8Avx2::choice<kStep>(masks);
    return {_mm256_movepi8_mask(bytes.bit0), _mm256_movepi8_mask(bytes.first_not_0),
            _mm256_movepi8_mask(bytes.second_not_1), _mm256_movepi8_mask(bytes.second_3)};
  }
  static V first(const Choice& choice, V x0, V x1, V x2) {
    return _mm256_mask_blend_epi8(choice.first_not_0, x0,
                                  _mm256_mask_blend_epi8(choice.bit0, x1, x2));
  }
  static V second(const Choice& choice, V x1, V x2, V x3) {
    return _mm256_mask_blend_epi8(choice.second_not_1, x1,
                                  _mm256_mask_blend_epi8(choice.second_3, x2, x3));
  }
};

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
