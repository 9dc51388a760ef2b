#pragma once

#include <immintrin.h>

#include <cstdint>

// Sixteen float32 at a time; the same operations as Avx2 (ops/simd/avx2.h), with internal linkage
// for the same reason.
namespace scant {
namespace {

struct Avx512 {
  using Floats = __m512;
  using Ints = __m512i;
  static constexpr int64_t kWidth = 16;

  static Floats load(const float* p) { return _mm512_loadu_ps(p); }
  static Floats load_part(const float* p, int64_t count) {
    return _mm512_maskz_loadu_ps(first(count), p);
  }
  static Ints load_ints(const int32_t* p) { return _mm512_loadu_si512(p); }
  static void store_ints(int32_t* p, Ints x) { _mm512_storeu_si512(p, x); }
  static void store(float* p, Floats x) { _mm512_storeu_ps(p, x); }
  static void store_part(float* p, Floats x, int64_t count) {
    _mm512_mask_storeu_ps(p, first(count), x);
  }
  static void stream(float* p, Floats x) { _mm512_stream_ps(p, x); }
  static void stream_fence() { _mm_sfence(); }
  static void prefetch(const float* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
  }
  static void store_bytes(uint8_t* p, Ints x) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(x));
  }

  static Floats set(float x) { return _mm512_set1_ps(x); }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats div(Floats a, Floats b) { return _mm512_div_ps(a, b); }
  static Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
  static Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }

  static Ints bits(Floats x) { return _mm512_castps_si512(x); }
  static Floats floats(Ints x) { return _mm512_castsi512_ps(x); }
  static Floats to_floats(Ints x) { return _mm512_cvtepi32_ps(x); }
  static Ints set(int32_t x) { return _mm512_set1_epi32(x); }
  static Ints bit_and(Ints a, Ints b) { return _mm512_and_si512(a, b); }
  static Ints bit_or(Ints a, Ints b) { return _mm512_or_si512(a, b); }
  static Ints bit_and_not(Ints a, Ints b) { return _mm512_andnot_si512(a, b); }
  static Ints add(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
  static Ints sub(Ints a, Ints b) { return _mm512_sub_epi32(a, b); }
  static Ints magnitude(Ints a) { return _mm512_abs_epi32(a); }
  static Ints max(Ints a, Ints b) { return _mm512_max_epi32(a, b); }
  static Ints greater(Ints a, Ints b) { return _mm512_movm_epi32(_mm512_cmpgt_epi32_mask(a, b)); }
  static Ints shift_right(Ints a, int count) {
    return _mm512_srl_epi32(a, _mm_cvtsi32_si128(count));
  }
  static Ints permute(Ints a, Ints order) { return _mm512_permutexvar_epi32(order, a); }
  template <int kStep>
  static Ints rotate_quads(Ints a) {
    constexpr int kOrder =
        kStep | ((kStep + 1) % 4) << 2 | ((kStep + 2) % 4) << 4 | ((kStep + 3) % 4) << 6;
    return _mm512_shuffle_epi32(a, static_cast<_MM_PERM_ENUM>(kOrder));
  }
  static int32_t reduce_max(Ints x) { return _mm512_reduce_max_epi32(x); }
  static void store_reduced_max(int32_t* out, Ints a, Ints b, Ints c, Ints d) {
    const Ints ab = max(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    const Ints cd = max(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    const Ints all = max(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    const __m256i half =
        _mm256_max_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    const __m128i m =
        _mm_max_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), m);
  }
  static float reduce_max(Floats x) { return _mm512_reduce_max_ps(x); }
  struct Squares {
    explicit Squares(const double* lanes) : sum(_mm512_loadu_pd(lanes)) {}
    void add(Floats x) {
      const __m512d a = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
      const __m512d b = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
      sum = _mm512_add_pd(_mm512_add_pd(sum, _mm512_mul_pd(a, a)), _mm512_mul_pd(b, b));
    }
    void store(double* lanes) const { _mm512_storeu_pd(lanes, sum); }
    __m512d sum;
  };
  static uint32_t negative_lanes(Floats x) {
    return _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
  }
  static Ints lanes_of(uint32_t bits) { return _mm512_movm_epi32(static_cast<__mmask16>(bits)); }
  static Ints first_lanes(int64_t count) { return _mm512_movm_epi32(first(count)); }

 private:
  static __mmask16 first(int64_t count) { return static_cast<__mmask16>((1u << count) - 1u); }
};

}  // namespace
}  // namespace scant
