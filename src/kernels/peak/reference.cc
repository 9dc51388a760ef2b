#include "kernels/peak/rows.h"

namespace scant {
namespace {

uint64_t read(const uint64_t* words, int64_t count) noexcept {
  uint64_t sums[4] = {};
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    for (int64_t j = 0; j < 4; ++j) sums[j] ^= words[i + j];
  }
  for (; i < count; ++i) sums[0] ^= words[i];
  return sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
}

constexpr int64_t kLanes = 64;

int32_t multiply(int64_t rounds) noexcept {
  int32_t sums[kLanes / 4] = {};
  int8_t a[kLanes], b[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) a[i] = b[i] = static_cast<int8_t>(i);
  for (int64_t r = 0; r < rounds; ++r) {
    a[r % kLanes] = static_cast<int8_t>(r);
    for (int64_t i = 0; i < kLanes; ++i) {
      sums[i / 4] = static_cast<int32_t>(static_cast<uint32_t>(sums[i / 4]) +
                                         static_cast<uint32_t>(int32_t{a[i]} * b[i]));
    }
  }
  int32_t sum = 0;
  for (const int32_t s : sums) sum ^= s;
  return sum;
}

}  // namespace

extern const PeakRow kPeakReference;
const PeakRow kPeakReference = {"peak__reference", read, multiply, 2 * kLanes};

}  // namespace scant
