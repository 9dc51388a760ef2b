#pragma once

// For ISA files only: internal linkage throughout.
#include <immintrin.h>

#include <cstdint>

namespace scant {
namespace {

/// Vectors of 32 bytes and of 8 float32, and the sums of products that matrix rows are made of.
struct Int8Vectors {
  using V = __m256i;
  using F = __m256;

  static V load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  /// Asks for what comes after the codes in use: rows follow each other.
  static void prefetch_ahead(const uint8_t* codes) {
    _mm_prefetch(reinterpret_cast<const char*>(codes + 4096), _MM_HINT_T0);
  }
  static V set8(int value) { return _mm256_set1_epi8(static_cast<char>(value)); }
  static V low_nibbles(V x) { return _mm256_and_si256(x, set8(15)); }
  static V high_nibbles(V x) { return low_nibbles(_mm256_srli_epi16(x, 4)); }
  static V add8(V a, V b) { return _mm256_add_epi8(a, b); }
  static V flip(V x, int bits) { return _mm256_xor_si256(x, set8(bits)); }
  static V lookup(V table, V index) { return _mm256_shuffle_epi8(table, index); }
  static V table(const int8_t* sixteen) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(sixteen)));
  }
  static V low_pairs(V a, V b) { return _mm256_unpacklo_epi8(a, b); }
  static V high_pairs(V a, V b) { return _mm256_unpackhi_epi8(a, b); }
  static V add32(V a, V b) { return _mm256_add_epi32(a, b); }
  static V sub32(V a, V b) { return _mm256_sub_epi32(a, b); }

  static F zero() { return _mm256_setzero_ps(); }
  static F load_floats(const void* p) { return _mm256_loadu_ps(static_cast<const float*>(p)); }
  static F broadcast(const float* p) { return _mm256_broadcast_ss(p); }
  static F to_float(V x) { return _mm256_cvtepi32_ps(x); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static float sum(F x) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }
  /// kCount floats, each in 8 / kCount consecutive lanes.
  template <int kCount>
  static F spread(const float* p) {
    if constexpr (kCount == 1) return broadcast(p);
    if constexpr (kCount == 8) return load_floats(p);
    if constexpr (kCount == 2) {
      const F two = _mm256_castpd_ps(_mm256_broadcast_sd(reinterpret_cast<const double*>(p)));
      return _mm256_permutevar_ps(two, _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
    }
    if constexpr (kCount == 4) {
      const F four = _mm256_broadcast_ps(reinterpret_cast<const __m128*>(p));
      return _mm256_permutevar_ps(four, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
    }
  }
};

/// Which inputs of each quad meet its two kept weights, from the bits of their ranks
/// (0 0,1; 1 0,2; 2 1,2; 3 0,3; 4 1,3; 5 2,3). The highest bit of a byte counts.
struct Avx2Choice {
  __m256i bit0;  ///< with first_not_0: the first is 2, otherwise 1
  __m256i first_not_0;
  __m256i second_not_1;
  __m256i second_3;

  static Avx2Choice of(__m256i bit0, __m256i bit1, __m256i bit2) {
    return {bit0, _mm256_or_si256(bit2, _mm256_andnot_si256(bit0, bit1)),
            _mm256_or_si256(_mm256_or_si256(bit0, bit1), bit2),
            _mm256_or_si256(bit2, _mm256_and_si256(bit0, bit1))};
  }
};

struct Int8Avx2 : Int8Vectors {
  using Choice = Avx2Choice;
  /// Of four steps of 32 quads: bit 4 + i of byte j is that of quad 32 i + j.
  using QuadMasks = Avx2Choice;

  /// Lanes of four sums of products u s each: u unsigned, s signed; two neighbours fit in 16 bits.
  static V dot(V u, V s) {
    return _mm256_madd_epi16(_mm256_maddubs_epi16(u, s), _mm256_set1_epi16(1));
  }
  /// The same of two pairs of vectors; all four products fit in 16 bits.
  static V dot2(V u, V s, V u2, V s2) {
    const V both = _mm256_add_epi16(_mm256_maddubs_epi16(u, s), _mm256_maddubs_epi16(u2, s2));
    return _mm256_madd_epi16(both, _mm256_set1_epi16(1));
  }
  /// dot2(...) - 128 times the sum of the bytes of s_sum, in fours.
  static V dot2_centred(V u, V s, V u2, V s2, V s_sum128) {
    const V both = _mm256_add_epi16(_mm256_maddubs_epi16(u, s), _mm256_maddubs_epi16(u2, s2));
    return _mm256_madd_epi16(_mm256_sub_epi16(both, s_sum128), _mm256_set1_epi16(1));
  }
  /// What dot2_centred takes: from signed bytes of magnitude below 32.
  static V sum128(V s) { return _mm256_maddubs_epi16(set8(-128), s); }
  /// Signed times signed, x no less than -127.
  static V dot_signed(V w, V x) { return dot(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)); }
  /// Signed times signed.
  static V dot_wide(V w, V x) {
    // Lanes of 64 bits hold pairs of sums of 8 columns in the order that the scales, one for all
    // 32 columns, allow.
    const V even = _mm256_madd_epi16(_mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8),
                                     _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8));
    const V odd = _mm256_madd_epi16(_mm256_srai_epi16(w, 8), _mm256_srai_epi16(x, 8));
    return _mm256_add_epi32(even, odd);
  }

  /// 16 bytes: bits 0 to 3 for the lower half of each 32 quads, 4 to 7 for the upper one.
  static V block_bits(const uint8_t* sixteen) {
    const V twice = table(reinterpret_cast<const int8_t*>(sixteen));
    return _mm256_sllv_epi32(twice, _mm256_setr_epi32(4, 4, 4, 4, 0, 0, 0, 0));
  }
  /// A bit per byte, to all bits of it; each 32 bits of `words` are the same.
  static V spread_bits(V words) {
    const V bits = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201ull));
    const V order =
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    return _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(words, order), bits), bits);
  }
  static V spread_bits(const uint8_t* four) {
    return spread_bits(
        _mm256_castps_si256(_mm256_broadcast_ss(reinterpret_cast<const float*>(four))));
  }
  template <bool kPaired>
  static V ordered(V quads) {  // kPaired: 0-7, 16-23, 8-15, 24-31, as in quads8
    return kPaired ? _mm256_permute4x64_epi64(quads, 0b11011000) : quads;
  }
  /// Bits of the ranks of 128 quads, one bit of each per plane.
  template <bool kPaired>
  static QuadMasks quad_masks(const uint8_t* plane0, const uint8_t* plane1, const uint8_t* plane2) {
    return QuadMasks::of(ordered<kPaired>(block_bits(plane0)), ordered<kPaired>(block_bits(plane1)),
                         ordered<kPaired>(block_bits(plane2)));
  }
  /// Of the 32 quads of a step that belongs to no block.
  template <bool kPaired>
  static QuadMasks last_quad_masks(const uint8_t* plane0, const uint8_t* plane1,
                                   const uint8_t* plane2) {
    return QuadMasks::of(ordered<kPaired>(spread_bits(plane0)),
                         ordered<kPaired>(spread_bits(plane1)),
                         ordered<kPaired>(spread_bits(plane2)));
  }
  template <int kStep>
  static Choice choice(const QuadMasks& masks) {
    constexpr int kShift = 3 - kStep;
    return {_mm256_slli_epi16(masks.bit0, kShift), _mm256_slli_epi16(masks.first_not_0, kShift),
            _mm256_slli_epi16(masks.second_not_1, kShift),
            _mm256_slli_epi16(masks.second_3, kShift)};
  }
  static V first(const Choice& choice, V x0, V x1, V x2) {
    return _mm256_blendv_epi8(x0, _mm256_blendv_epi8(x1, x2, choice.bit0), choice.first_not_0);
  }
  static V second(const Choice& choice, V x1, V x2, V x3) {
    return _mm256_blendv_epi8(x1, _mm256_blendv_epi8(x2, x3, choice.second_3), choice.second_not_1);
  }
};

}  // namespace
}  // namespace scant
