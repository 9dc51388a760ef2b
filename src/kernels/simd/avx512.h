#pragma once

// For x86_avx512.cc files only: everything has internal linkage, so that no AVX-512 code is ever
// picked by the linker for another file.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // g++ 12 warns in its own header (bug 105593)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <cstdint>

namespace scant {
namespace {

/// Sixteen floats. min and max return the second operand if either is NaN.
struct Avx512 {
  using V = __m512;
  static constexpr int64_t kLanes = 16;

  static V zero() { return _mm512_setzero_ps(); }
  static V set(float x) { return _mm512_set1_ps(x); }
  static V load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, V x) { _mm512_storeu_ps(p, x); }
  /// Floats, bf16 or int8, widened.
  static V load_wide(const float* p) { return load(p); }
  static V load_wide(const uint16_t* p) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  static V load_wide(const int8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
  }
  /// The first `count` lanes, 0 < count < kLanes; the others are `fill`.
  static V load_partial(const float* p, int64_t count, float fill) {
    return _mm512_mask_loadu_ps(set(fill), first(count), p);
  }
  static void store_partial(float* p, int64_t count, V x) {
    _mm512_mask_storeu_ps(p, first(count), x);
  }
  static V add(V a, V b) { return _mm512_add_ps(a, b); }
  static V sub(V a, V b) { return _mm512_sub_ps(a, b); }
  static V mul(V a, V b) { return _mm512_mul_ps(a, b); }
  static V div(V a, V b) { return _mm512_div_ps(a, b); }
  static V min(V a, V b) { return _mm512_min_ps(a, b); }
  static V max(V a, V b) { return _mm512_max_ps(a, b); }
  static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }    ///< a b + c
  static V fnma(V a, V b, V c) { return _mm512_fnmadd_ps(a, b, c); }  ///< c - a b
  static V abs(V x) { return _mm512_andnot_ps(set(-0.0f), x); }
  static V copy_sign(V magnitude, V sign) {
    return _mm512_or_ps(magnitude, _mm512_and_ps(set(-0.0f), sign));
  }
  static V round(V x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  /// 2^x for whole x in [-126, 127].
  static V power_of_two(V x) {
    const __m512i exponent = _mm512_add_epi32(_mm512_cvtps_epi32(x), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23));
  }
  /// x where a >= b (or either is NaN), else 0.
  static V zero_where_less(V a, V b, V x) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_NLT_UQ), x);
  }
  static bool any_equal(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ) != 0; }
  static float sum(V x) { return _mm512_reduce_add_ps(x); }
  static float largest(V x) { return _mm512_reduce_max_ps(x); }

 private:
  static __mmask16 first(int64_t count) { return static_cast<__mmask16>((1u << count) - 1u); }
};

}  // namespace
}  // namespace scant
