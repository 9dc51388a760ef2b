#include <immintrin.h>

#include "kernels/peak/rows.h"

namespace scant {
namespace {

uint64_t read(const uint64_t* words, int64_t count) noexcept {
  __m512i sums[4] = {};
  int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    for (int64_t j = 0; j < 4; ++j) {
      sums[j] = _mm512_xor_si512(sums[j], _mm512_loadu_si512(words + i + 8 * j));
    }
  }
  const __m512i all =
      _mm512_xor_si512(_mm512_xor_si512(sums[0], sums[1]), _mm512_xor_si512(sums[2], sums[3]));
  uint64_t lanes[8];
  _mm512_storeu_si512(lanes, all);
  uint64_t sum = 0;
  for (const uint64_t lane : lanes) sum ^= lane;
  for (; i < count; ++i) sum ^= words[i];
  return sum;
}

constexpr int kSums = 16;

// Products of bytes are added in pairs to 16 bits, and in pairs to 32.
int32_t multiply(int64_t rounds) noexcept {
  __m512i sums[kSums] = {};
  __m512i a = _mm512_set1_epi8(3);
  const __m512i b = _mm512_set1_epi8(5);
  const __m512i ones = _mm512_set1_epi16(1);
  for (int64_t r = 0; r < rounds; ++r) {
    for (__m512i& sum : sums) {
      asm volatile("" : "+v"(a));  // or the product would be taken out of the loop
      sum = _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(a, b), ones));
    }
  }
  int32_t lanes[16];
  for (int i = 1; i < kSums; ++i) sums[0] = _mm512_xor_si512(sums[0], sums[i]);
  _mm512_storeu_si512(lanes, sums[0]);
  return lanes[0];
}

}  // namespace

extern const PeakRow kPeakAvx512;
const PeakRow kPeakAvx512 = {"peak__avx512", read, multiply, int64_t{2} * 64 * kSums};

}  // namespace scant
