#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace scant {

/// Consecutive integers lowest .. highest (at most 256 of them), stored as two's complement in
/// `bits` bits.
struct IntegerGrid {
  int lowest = 0;
  int highest = 0;
  int bits = 8;

  /// Nearest even, saturating. |lowest|, |highest| < 2^22.
  int nearest(float y) const {
    const float inside = clamp(y);
    return static_cast<int>((inside + 0x1.8p23f) - 0x1.8p23f);  // the adder rounds to nearest even
  }
  int stochastic(float y, float u) const {
    const float inside = clamp(y);
    const float lower = std::floor(inside);
    return static_cast<int>(lower) + (u < inside - lower ? 1 : 0);
  }
  uint8_t code(int value) const {
    return static_cast<uint8_t>(static_cast<unsigned>(value) & ((1u << bits) - 1u));
  }
  /// The integer of a code (sign-extended).
  int value(uint8_t code) const {
    const int shift = 32 - bits;
    return static_cast<int32_t>(static_cast<uint32_t>(code) << shift) >> shift;
  }
  std::vector<uint8_t> codes() const {
    std::vector<uint8_t> all;
    for (int value = lowest; value <= highest; ++value) all.push_back(code(value));
    return all;
  }

 private:
  float clamp(float y) const {
    return std::min(std::max(y, static_cast<float>(lowest)), static_cast<float>(highest));
  }
};

}  // namespace scant
