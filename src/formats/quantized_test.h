#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string_view>
#include <vector>

#include "core/random.h"
#include "formats/quantized.h"

namespace scant {

inline constexpr Role kRoles[] = {Role::kWeight, Role::kActivation};

// Values that produce ties and edge cases: normal ones, bf16-rounded ones, small integers, powers
// of two, zeros, a row of zeros, heavy tails.
inline Matrix test_values(int64_t rows, int64_t cols, uint64_t seed) {
  const CounterRandom random(seed, 7);
  Matrix values(rows, cols);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      const auto i = static_cast<uint64_t>(r * cols + c);
      const float normal = random.normal(i);
      float x = normal;
      if (r % 6 == 1) x = bf16_to_f32(f32_to_bf16(normal));
      if (r % 6 == 2) x = std::round(4.0f * normal);
      if (r % 6 == 3) x = std::copysign(std::exp2(std::round(3.0f * normal)), normal);
      if (r % 6 == 4) x = 0.0f;
      if (r % 6 == 5) x = normal * normal * normal * 1e-3f;
      values(r, c) = c % 11 == 3 ? 0.0f : x;
    }
  }
  return values;
}

inline Mask test_mask(int64_t rows, int64_t cols, uint64_t seed) {
  const CounterRandom random(seed, 8);
  Mask mask{rows, cols, std::vector<uint8_t>(static_cast<size_t>(rows * cols))};
  for (size_t i = 0; i < mask.keep.size(); ++i) mask.keep[i] = random.uniform(i) < 0.6f ? 1 : 0;
  return mask;
}

inline Matrix simulated(const QuantizedMatrix& quantized) {
  Matrix out(quantized.rows, quantized.cols);
  dequantize(quantized, out.view());
  return out;
}

inline bool same_bits(const Matrix& a, const Matrix& b) {
  if (a.size() != b.size()) return false;
  return a.size() == 0 || std::memcmp(a.data(), b.data(), a.values().size_bytes()) == 0;
}

/// One thread, and quantize() by spelling.
class Quantized : public testing::Test {
 protected:
  ThreadPool threads_{1};
  Context context_{threads_};

  QuantizedMatrix quantized(const Matrix& values, std::string_view spelling,
                            const QuantizeOptions& options = {}, Role role = Role::kWeight) {
    return quantize(values.view(), NumberFormat::parse(spelling, role), options, context_);
  }
};

}  // namespace scant
