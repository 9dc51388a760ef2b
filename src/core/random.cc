#include "core/random.h"

#include <cmath>
#include <numbers>

namespace scant {

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 2> key, std::array<uint32_t, 4> c) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53u;
  constexpr uint64_t kMultiplier1 = 0xCD9E8D57u;
  constexpr uint32_t kWeyl0 = 0x9E3779B9u;
  constexpr uint32_t kWeyl1 = 0xBB67AE85u;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = kMultiplier0 * c[0];
    const uint64_t p1 = kMultiplier1 * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ key[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ key[1], static_cast<uint32_t>(p0)};
    key = {key[0] + kWeyl0, key[1] + kWeyl1};
  }
  return c;
}

uint32_t CounterRandom::bits(uint64_t index) const {
  const uint64_t block = index / 4;
  return philox4x32(
      {static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)},
      {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
       static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32)})[index % 4];
}

float CounterRandom::normal(uint64_t index) const {
  const double u = (static_cast<double>(bits(2 * index)) + 1.0) * 0x1p-32;  // (0, 1]
  const double v = static_cast<double>(bits(2 * index + 1)) * 0x1p-32;
  return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v));
}

}  // namespace scant
