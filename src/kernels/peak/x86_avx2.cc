#include <immintrin.h>

#include "kernels/peak/rows.h"

namespace scant {
namespace {

uint64_t read(const uint64_t* words, int64_t count) noexcept {
  __m256i sums[4] = {};
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    for (int64_t j = 0; j < 4; ++j) {
      const __m256i word = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words + i + 4 * j));
      sums[j] = _mm256_xor_si256(sums[j], word);
    }
  }
  const __m256i all =
      _mm256_xor_si256(_mm256_xor_si256(sums[0], sums[1]), _mm256_xor_si256(sums[2], sums[3]));
  uint64_t lanes[4];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), all);
  uint64_t sum = lanes[0] ^ lanes[1] ^ lanes[2] ^ lanes[3];
  for (; i < count; ++i) sum ^= words[i];
  return sum;
}

constexpr int kSums = 8;

// Products of bytes are added in pairs to 16 bits, and in pairs to 32.
int32_t multiply(int64_t rounds) noexcept {
  __m256i sums[kSums] = {};
  __m256i a = _mm256_set1_epi8(3);
  const __m256i b = _mm256_set1_epi8(5);
  const __m256i ones = _mm256_set1_epi16(1);
  for (int64_t r = 0; r < rounds; ++r) {
    for (__m256i& sum : sums) {
      asm volatile("" : "+x"(a));  // or the product would be taken out of the loop
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
    }
  }
  __m256i all = sums[0];
  for (int i = 1; i < kSums; ++i) all = _mm256_xor_si256(all, sums[i]);
  return _mm256_extract_epi32(all, 0);
}

}  // namespace

extern const PeakRow kPeakAvx2;
const PeakRow kPeakAvx2 = {"peak__avx2", read, multiply, int64_t{2} * 32 * kSums};

}  // namespace scant
