#pragma once

// For ISA files only: internal linkage throughout.
#include <immintrin.h>

#include <cstdint>

namespace scant {
namespace {

/// Inputs of whole groups of 32 columns as int8 (PreparedInputs::set_int8), the same bits as the
/// reference's.
struct QuantizeInputsAvx2 {
  static float largest(__m256i magnitudes) {
    __m128i m =
        _mm_max_epi32(_mm256_castsi256_si128(magnitudes), _mm256_extracti128_si256(magnitudes, 1));
    m = _mm_max_epi32(m, _mm_unpackhi_epi64(m, m));
    m = _mm_max_epi32(m, _mm_srli_epi64(m, 32));
    return _mm_cvtss_f32(_mm_castsi128_ps(m));
  }

  static __m256i codes_of(__m256 x, __m256 inverse) {
    const __m256 magic = _mm256_set1_ps(0x1.8p23f);  // rounds to the nearest integer
    const __m256 nearest = _mm256_sub_ps(_mm256_add_ps(_mm256_mul_ps(x, inverse), magic), magic);
    const __m256 above = _mm256_max_ps(nearest, _mm256_set1_ps(-127.0f));  // a NaN is -127
    return _mm256_cvttps_epi32(_mm256_min_ps(above, _mm256_set1_ps(127.0f)));
  }

  static void run(const float* x, int64_t groups, int8_t* codes, float* scales) noexcept {
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);  // they compare as their bits do
    const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (int64_t g = 0; g < groups; ++g, x += 32, codes += 32) {
      __m256 v[4];
      __m256i most = _mm256_setzero_si256();
      for (int i = 0; i < 4; ++i) {
        v[i] = _mm256_loadu_ps(x + 8 * i);
        most = _mm256_max_epi32(most, _mm256_and_si256(_mm256_castps_si256(v[i]), magnitude));
      }
      const float scale = largest(most) / 127.0f;
      scales[g] = scale;
      const __m256 inverse = _mm256_set1_ps(scale >= 0x1p-126f ? 1.0f / scale : 0.0f);
      const __m256i low = _mm256_packs_epi32(codes_of(v[0], inverse), codes_of(v[1], inverse));
      const __m256i high = _mm256_packs_epi32(codes_of(v[2], inverse), codes_of(v[3], inverse));
      const __m256i bytes = _mm256_packs_epi16(low, high);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes),
                          _mm256_permutevar8x32_epi32(bytes, in_order));
    }
  }
};

}  // namespace
}  // namespace scant
