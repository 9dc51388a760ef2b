#pragma once

// For ISA files only: internal linkage throughout.
#include <immintrin.h>

#include <cstdint>

namespace scant {
namespace {

/// Which inputs of 64 quads meet their two kept weights, a bit each (as Avx2Choice).
struct Avx512Choice {
  __mmask64 bit0;  ///< with first_not_0: the first is 2, otherwise 1
  __mmask64 first_not_0;
  __mmask64 second_not_1;
  __mmask64 second_3;
};

/// Vectors of 64 bytes and of 16 float32, and the sums of products that matrix rows are made of:
/// dot products of four unsigned bytes with four signed ones.
struct Int8Avx512Vnni {
  using V = __m512i;
  using F = __m512;

  static V load(const void* p) { return _mm512_loadu_si512(p); }
  /// Asks for what comes after the codes in use: rows follow each other. Into the second-level
  /// cache: asked into the first, one Zen 4 core read at half the speed.
  static void prefetch_ahead(const uint8_t* codes) {
    _mm_prefetch(reinterpret_cast<const char*>(codes + 8192), _MM_HINT_T1);
  }
  /// The same for positions, of which there are fewer.
  static void prefetch_positions(const uint8_t* positions) {
    _mm_prefetch(reinterpret_cast<const char*>(positions + 4096), _MM_HINT_T1);
  }
  static V set8(int value) { return _mm512_set1_epi8(static_cast<char>(value)); }
  static V low_nibbles(V x) { return _mm512_and_si512(x, set8(15)); }
  static V high_nibbles(V x) { return low_nibbles(_mm512_srli_epi16(x, 4)); }
  static V add8(V a, V b) { return _mm512_add_epi8(a, b); }
  static V flip(V x, int bits) { return _mm512_xor_si512(x, set8(bits)); }
  /// What low nibbles in two's complement are, 8 larger.
  static V low_nibbles_plus8(V x) {
    constexpr int k0 = 0xf0, k1 = 0xcc, k2 = 0xaa;  // what the instruction calls its operands
    return _mm512_ternarylogic_epi64(x, set8(8), set8(15), (k0 ^ k1) & k2);
  }
  static V lookup(V table, V index) { return _mm512_shuffle_epi8(table, index); }
  static V table(const int8_t* sixteen) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(sixteen)));
  }
  static V low_pairs(V a, V b) { return _mm512_unpacklo_epi8(a, b); }
  static V high_pairs(V a, V b) { return _mm512_unpackhi_epi8(a, b); }
  /// start + u s in fours.
  static V dot(V start, V u, V s) { return _mm512_dpbusd_epi32(start, u, s); }
  static V dot2(V u, V s, V u2, V s2) { return dot(dot(_mm512_setzero_si512(), u, s), u2, s2); }
  /// -128 times the sums of the bytes of s, in fours.
  static V minus_sum128(V s) {
    return _mm512_sub_epi32(_mm512_setzero_si512(), dot(_mm512_setzero_si512(), set8(-128), s));
  }

  static F zero() { return _mm512_setzero_ps(); }
  static F load_floats(const void* p) { return _mm512_loadu_ps(p); }
  static F broadcast(const float* p) { return _mm512_set1_ps(*p); }
  static F to_float(V x) { return _mm512_cvtepi32_ps(x); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static float sum(F x) { return _mm512_reduce_add_ps(x); }
  /// kCount floats, each in 16 / kCount consecutive lanes. No more are loaded: a load that reaches
  /// into the next line of the cache takes twice as long.
  template <int kCount>
  static F spread(const float* p) {
    if constexpr (kCount == 1) return broadcast(p);
    if constexpr (kCount == 2) {
      const __m128i two = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
      return _mm512_permutevar_ps(
          _mm512_castsi512_ps(_mm512_broadcastq_epi64(two)),
          _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
    }
    if constexpr (kCount == 4) {
      return _mm512_permutevar_ps(
          _mm512_broadcast_f32x4(_mm_loadu_ps(p)),
          _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3));
    }
    if constexpr (kCount == 8) {
      return _mm512_permutexvar_ps(
          _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7),
          _mm512_castps256_ps512(_mm256_loadu_ps(p)));
    }
    return load_floats(p);
  }
};

}  // namespace
}  // namespace scant
