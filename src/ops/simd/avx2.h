#pragma once

#include <immintrin.h>

#include <cstdint>

// Eight float32 at a time. Internal linkage: every ISA file gets a copy compiled with its own
// flags, and templates over this wrapper stay as local as it is.
namespace scant {
namespace {

struct Avx2 {
  using Floats = __m256;
  using Ints = __m256i;
  static constexpr int64_t kWidth = 8;

  static Floats load(const float* p) { return _mm256_loadu_ps(p); }
  /// The first `count` lanes, 0 <= count <= kWidth; the others are 0 and not read.
  static Floats load_part(const float* p, int64_t count) {
    return _mm256_maskload_ps(p, first_lanes(count));
  }
  static Ints load_ints(const int32_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static void store_ints(int32_t* p, Ints x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x);
  }
  static void store(float* p, Floats x) { _mm256_storeu_ps(p, x); }
  static void store_part(float* p, Floats x, int64_t count) {
    _mm256_maskstore_ps(p, first_lanes(count), x);
  }
  /// Past the caches; `p` is aligned to the width.
  static void stream(float* p, Floats x) { _mm256_stream_ps(p, x); }
  static void stream_fence() { _mm_sfence(); }
  static void prefetch(const float* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
  }
  /// The low byte of every lane.
  static void store_bytes(uint8_t* p, Ints x) {
    const __m256i order =
        _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,  //
                         0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m256i packed = _mm256_shuffle_epi8(x, order);
    const __m128i both =
        _mm_unpacklo_epi32(_mm256_castsi256_si128(packed), _mm256_extracti128_si256(packed, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), both);
  }

  static Floats set(float x) { return _mm256_set1_ps(x); }
  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats sub(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  static Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats div(Floats a, Floats b) { return _mm256_div_ps(a, b); }
  static Floats min(Floats a, Floats b) { return _mm256_min_ps(a, b); }
  static Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }

  static Ints bits(Floats x) { return _mm256_castps_si256(x); }
  static Floats floats(Ints x) { return _mm256_castsi256_ps(x); }
  static Floats to_floats(Ints x) { return _mm256_cvtepi32_ps(x); }
  static Ints set(int32_t x) { return _mm256_set1_epi32(x); }
  static Ints bit_and(Ints a, Ints b) { return _mm256_and_si256(a, b); }
  static Ints bit_or(Ints a, Ints b) { return _mm256_or_si256(a, b); }
  /// Not a, and b.
  static Ints bit_and_not(Ints a, Ints b) { return _mm256_andnot_si256(a, b); }
  static Ints add(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
  static Ints sub(Ints a, Ints b) { return _mm256_sub_epi32(a, b); }
  static Ints magnitude(Ints a) { return _mm256_abs_epi32(a); }
  static Ints max(Ints a, Ints b) { return _mm256_max_epi32(a, b); }
  /// All ones where a > b (signed).
  static Ints greater(Ints a, Ints b) { return _mm256_cmpgt_epi32(a, b); }
  static Ints shift_right(Ints a, int count) {
    return _mm256_srl_epi32(a, _mm_cvtsi32_si128(count));
  }
  /// out[i] = a[order[i]]
  static Ints permute(Ints a, Ints order) { return _mm256_permutevar8x32_epi32(a, order); }
  /// Within every four lanes, out[i] = a[(i + kStep) % 4].
  template <int kStep>
  static Ints rotate_quads(Ints a) {
    constexpr int kOrder =
        kStep | ((kStep + 1) % 4) << 2 | ((kStep + 2) % 4) << 4 | ((kStep + 3) % 4) << 6;
    return _mm256_shuffle_epi32(a, kOrder);
  }
  /// The largest lane (signed).
  static int32_t reduce_max(Ints x) {
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));
    return _mm_cvtsi128_si32(m);
  }
  /// The largest lane of each of four vectors (signed).
  static void store_reduced_max(int32_t* out, Ints a, Ints b, Ints c, Ints d) {
    const Ints ab = max(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    const Ints cd = max(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    const Ints all = max(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    const __m128i m = _mm_max_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), m);
  }
  static float reduce_max(Floats x) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    m = _mm_max_ps(m, _mm_shuffle_ps(m, m, 0x4e));
    m = _mm_max_ps(m, _mm_shuffle_ps(m, m, 0xb1));
    return _mm_cvtss_f32(m);
  }
  /// Sums of squares in double, value i of a sequence in lane i mod 8.
  struct Squares {
    explicit Squares(const double* lanes)
        : low(_mm256_loadu_pd(lanes)), high(_mm256_loadu_pd(lanes + 4)) {}
    void add(Floats x) {
      const __m256d a = _mm256_cvtps_pd(_mm256_castps256_ps128(x));
      const __m256d b = _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
      low = _mm256_add_pd(low, _mm256_mul_pd(a, a));
      high = _mm256_add_pd(high, _mm256_mul_pd(b, b));
    }
    void store(double* lanes) const {
      _mm256_storeu_pd(lanes, low);
      _mm256_storeu_pd(lanes + 4, high);
    }
    __m256d low, high;
  };
  /// Bit i is set where lane i is below 0.
  static uint32_t negative_lanes(Floats x) {
    const __m256 below = _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_LT_OQ);
    return static_cast<uint32_t>(_mm256_movemask_ps(below));
  }
  /// All ones in the lanes whose bit is set.
  static Ints lanes_of(uint32_t bits) {
    const __m256i own = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(static_cast<int32_t>(bits)), own),
                              own);
  }
  /// All ones in the first `count` lanes.
  static Ints first_lanes(int64_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int32_t>(count)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
};

}  // namespace
}  // namespace scant
