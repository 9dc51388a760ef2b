#include "formats/quantized.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "core/random.h"

namespace scant {
namespace {

constexpr Role kRoles[] = {Role::kWeight, Role::kActivation};

// Values that produce ties and edge cases: normal ones, bf16-rounded ones, small integers, powers
// of two, zeros, a row of zeros, heavy tails.
Matrix test_values(int64_t rows, int64_t cols, uint64_t seed) {
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

Mask test_mask(int64_t rows, int64_t cols, uint64_t seed) {
  const CounterRandom random(seed, 8);
  Mask mask{rows, cols, std::vector<uint8_t>(static_cast<size_t>(rows * cols))};
  for (size_t i = 0; i < mask.keep.size(); ++i) mask.keep[i] = random.uniform(i) < 0.6f ? 1 : 0;
  return mask;
}

Matrix simulated(const QuantizedMatrix& quantized) {
  Matrix out(quantized.rows, quantized.cols);
  dequantize(quantized, out.view());
  return out;
}

bool same_bits(const Matrix& a, const Matrix& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.values().size_bytes()) == 0;
}

class Quantized : public testing::Test {
 protected:
  ThreadPool threads_{1};
  Context context_{threads_};

  QuantizedMatrix quantized(const Matrix& values, std::string_view spelling,
                            const QuantizeOptions& options = {}, Role role = Role::kWeight) {
    return quantize(values.view(), NumberFormat::parse(spelling, role), options, context_);
  }
};

TEST_F(Quantized, InPlaceEqualsTheTwoStepsBitForBit) {
  const Matrix values = test_values(13, 77, 1);
  const Mask mask = test_mask(13, 77, 2);
  for (const Role role : kRoles) {
    for (const std::string& spelling : number_format_examples(role)) {
      for (const Mask* used : {static_cast<const Mask*>(nullptr), &mask}) {
        const QuantizeOptions options{.mask = used, .seed = 5, .stream = 6};
        const Matrix expected = simulated(quantized(values, spelling, options, role));
        Matrix in_place = Matrix::copy_of(values.view());
        quantize_in_place(in_place.view(), NumberFormat::parse(spelling, role), options);
        EXPECT_TRUE(same_bits(in_place, expected)) << spelling;
      }
    }
  }
}

TEST_F(Quantized, TheResultIsTheSameForAnyNumberOfThreads) {
  const Matrix values = test_values(300, 331, 3);
  for (const char* spelling : {"int4:tensor:mse", "int8:stoch", "nvfp4", "mxfp4:stoch", "ternary",
                               "ternary:tensor", "nf4", "int4:g32:asym", "bf16"}) {
    const QuantizedMatrix one = quantized(values, spelling);
    for (const int count : {2, 3, 8}) {
      ThreadPool threads(count);
      Context context{threads};
      const QuantizedMatrix many = quantize(values.view(), one.format, {}, context);
      EXPECT_EQ(one.codes, many.codes) << spelling;
      EXPECT_EQ(one.scales, many.scales) << spelling;
      EXPECT_EQ(one.zero_points, many.zero_points) << spelling;
      EXPECT_EQ(one.tensor_scales, many.tensor_scales) << spelling;
      EXPECT_TRUE(same_bits(one.plain, many.plain)) << spelling;
    }
  }
}

}  // namespace
}  // namespace scant
