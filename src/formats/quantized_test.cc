#include "formats/quantized_test.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "core/error.h"

namespace scant {
namespace {

TEST_F(Quantized, ZerosStayZeroAndPrunedValuesGetTheCodeOfZero) {
  const Matrix values = test_values(12, 50, 11);
  const Mask mask = test_mask(12, 50, 12);
  for (const std::string& spelling : number_format_examples(Role::kWeight)) {
    const QuantizedMatrix result = quantized(values, spelling, {.mask = &mask});
    if (!result.format.rules().has_zero) continue;
    const Matrix out = simulated(result);
    for (int64_t r = 0; r < 12; ++r) {
      for (int64_t c = 0; c < 50; ++c) {
        if (mask(r, c) != 0 && values(r, c) != 0.0f) continue;
        if (mask(r, c) != 0 && result.format.is_plain()) continue;  // a plain zero keeps its sign
        EXPECT_EQ(std::bit_cast<uint32_t>(out(r, c)), 0u) << spelling;
      }
    }
  }
}

TEST_F(Quantized, ScalesAreChosenFromTheKeptValuesOnly) {
  const Matrix values = test_values(12, 50, 13);
  const Mask mask = test_mask(12, 50, 14);
  Matrix zeroed = Matrix::copy_of(values.view());
  for (int64_t i = 0; i < values.size(); ++i) {
    if (mask.keep[static_cast<size_t>(i)] == 0) zeroed.data()[i] = 0.0f;
  }
  for (const std::string& spelling : number_format_examples(Role::kWeight)) {
    const NumberFormat format = NumberFormat::parse(spelling, Role::kWeight);
    const QuantizedMatrix masked = quantized(values, spelling, {.mask = &mask});
    if (!masked.offsets.empty()) continue;  // a search that zeros take part in: see gguf_block_test
    // Zeros change neither a largest magnitude nor a range, and no error.
    const bool needs_mean = std::visit(
        []<typename T>(const T&) {
          if constexpr (ElementScaledByStatistics<T>) return T::kNeedsMean;
          return false;
        },
        format.element);
    if (!needs_mean) {
      const QuantizedMatrix expected = quantized(zeroed, spelling);
      EXPECT_EQ(masked.scales, expected.scales) << spelling;
      EXPECT_EQ(masked.codes, expected.codes) << spelling;
      EXPECT_EQ(masked.zero_points, expected.zero_points) << spelling;
    } else if (!format.mse && format.granularity.kind == Granularity::Kind::kRow) {
      for (int64_t r = 0; r < 12; ++r) {
        double sum = 0;
        int64_t count = 0;
        for (int64_t c = 0; c < 50; ++c) {
          if (mask(r, c) == 0) continue;
          sum += std::fabs(static_cast<double>(values(r, c)));
          ++count;
        }
        if (sum == 0) continue;
        const double mean = sum / static_cast<double>(count);
        EXPECT_NEAR(masked.scales[static_cast<size_t>(r)],
                    round_up_scale(mean, format.scale_storage), 1e-6 * mean)
            << spelling;
      }
    }
  }
}

TEST_F(Quantized, BlocksOfZerosHaveTheScaleOfTheirDefinition) {
  const Matrix zeros = Matrix::zeros(3, 40);
  for (const Role role : kRoles) {
    for (const std::string& spelling : number_format_examples(role)) {
      const QuantizedMatrix result = quantized(zeros, spelling, {}, role);
      const Matrix out = simulated(result);
      for (const float value : out.values()) EXPECT_EQ(value, 0.0f) << spelling;
      const std::string element = result.format.element_name();
      float expected = 1.0f;
      if (element == "nvfp4" || element == "binary") expected = 0.0f;
      if (element.ends_with("_k")) expected = 0.0f;  // the integer of the block
      if (element == "hbfp8") expected = 0x1p-7f;    // exponent 0: the step
      if (element == "hbfp6") expected = 0x1p-5f;
      if (element == "hbfp4") expected = 0x1p-3f;
      for (const float scale : result.scales) EXPECT_EQ(scale, expected) << spelling;
      for (const uint8_t code : result.codes) EXPECT_EQ(code, element == "nf4" ? 7 : 0);
    }
  }
}

TEST_F(Quantized, NanAndInfinityAreErrorsThatNameTheFirstIndex) {
  ThreadPool threads(3);
  Context context{threads};
  Matrix values = test_values(200, 333, 15);
  values(150, 7) = -std::numeric_limits<float>::infinity();
  values(20, 300) = std::numeric_limits<float>::quiet_NaN();
  for (const char* spelling : {"int8", "mxfp4", "nvfp4", "ternary:tensor", "bf16"}) {
    const NumberFormat format = NumberFormat::parse(spelling, Role::kWeight);
    for (const bool in_place : {false, true}) {
      try {
        if (in_place) {
          quantize_in_place(values.view(), format, {});
        } else {
          quantize(values.view(), format, {}, context);
        }
        FAIL() << spelling;
      } catch (const Error& error) {
        EXPECT_STREQ(error.what(),
                     "the value at row 20, column 300 is NaN; expected finite values");
      }
    }
  }
  values(20, 300) = 0.0f;
  EXPECT_THROW(
      {
        try {
          quantize(values.view(), NumberFormat::parse("hbfp8", Role::kWeight), {}, context);
        } catch (const Error& error) {
          EXPECT_THAT(error.what(), testing::HasSubstr("row 150, column 7 is infinite"));
          throw;
        }
      },
      Error);
}

TEST_F(Quantized, GivenScalesAreUsedAndLargerValuesSaturate) {
  const Matrix values = test_values(6, 40, 31);
  Matrix larger(6, 40);
  for (int64_t i = 0; i < values.size(); ++i) larger.data()[i] = 100.0f * values.data()[i];
  for (const std::string& spelling : number_format_examples(Role::kWeight)) {
    const QuantizedMatrix base = quantized(values, spelling);
    if (base.format.is_plain()) continue;
    const QuantizedMatrix result = quantized(larger, spelling, {.scales_from = &base});
    EXPECT_EQ(result.scales, base.scales);
    EXPECT_EQ(result.tensor_scales, base.tensor_scales);
    EXPECT_EQ(result.zero_points, base.zero_points);
    const Matrix out = simulated(result);
    for (const float value : out.values()) EXPECT_TRUE(std::isfinite(value)) << spelling;
  }
  const QuantizedMatrix base = quantized(values, "int4");
  EXPECT_THROW(quantized(values, "int8", {.scales_from = &base}), Error);
  EXPECT_THROW(quantized(values, "int4:g32", {.scales_from = &base}), Error);
  EXPECT_THROW(quantized(test_values(5, 40, 1), "int4", {.scales_from = &base}), Error);
  const Mask mask = test_mask(6, 41, 1);
  EXPECT_THROW(quantized(values, "int4", {.mask = &mask}), Error);
}

TEST_F(Quantized, ExtremeValuesGiveFiniteResults) {
  const float max = std::numeric_limits<float>::max();
  const float tiny = std::numeric_limits<float>::denorm_min();
  Matrix values = Matrix::zeros(5, 48);
  for (int64_t c = 0; c < 48; ++c) {
    values(0, c) = c % 2 == 0 ? max : -max;
    values(1, c) = c % 3 == 0 ? tiny : -3 * tiny;
    values(2, c) = c == 5 ? -max : tiny;
    values(3, c) = c % 2 == 0 ? 1e-38f : -3e-39f;
    values(4, c) = -max;
  }
  for (const Role role : kRoles) {
    for (const std::string& spelling : number_format_examples(role)) {
      const Matrix out = simulated(quantized(values, spelling, {}, role));
      for (const float value : out.values()) EXPECT_TRUE(std::isfinite(value)) << spelling;
    }
  }
}

TEST_F(Quantized, TailsAreShortBlocksAndStridesAreFollowed) {
  const Matrix wide = test_values(5, 100, 33);
  const Matrix cut = Matrix::copy_of(wide.view().cols_from(10, 45));
  for (const std::string& spelling : number_format_examples(Role::kWeight)) {
    const NumberFormat format = NumberFormat::parse(spelling, Role::kWeight);
    const QuantizedMatrix a = quantize(wide.view().cols_from(10, 45), format, {}, context_);
    const QuantizedMatrix b = quantize(cut.view(), format, {}, context_);
    EXPECT_EQ(a.codes, b.codes) << spelling;
    EXPECT_EQ(a.scales, b.scales) << spelling;
    EXPECT_EQ(static_cast<int64_t>(a.scales.size()), format.block_count(5, 45)) << spelling;
    Matrix frame = Matrix::copy_of(wide.view());
    quantize_in_place(frame.view().cols_from(10, 45), format, {});
    const Matrix inner = Matrix::copy_of(frame.view().cols_from(10, 45));
    EXPECT_TRUE(format.stochastic || same_bits(inner, simulated(b))) << spelling;
    EXPECT_EQ(frame(4, 9), wide(4, 9));
    EXPECT_EQ(frame(0, 55), wide(0, 55));
  }
  // A tail has its own scale: the last five values of 45 in groups of 8.
  Matrix values = Matrix::zeros(1, 45);
  values(0, 44) = 127.0f;
  values(0, 3) = 1.0f;
  const QuantizedMatrix tail = quantized(values, "int8:narrow:g8");
  EXPECT_EQ(tail.scales.size(), 6u);
  EXPECT_EQ(tail.scales.back(), 1.0f);
  EXPECT_EQ(tail.blocks_per_row(), 6);
  EXPECT_EQ(tail.block_of(0, 44), 5);
}

TEST_F(Quantized, EmptyMatricesAreNoSpecialCase) {
  for (const std::string& spelling : number_format_examples(Role::kWeight)) {
    EXPECT_TRUE(quantized(Matrix(0, 8), spelling).codes.empty()) << spelling;
    EXPECT_TRUE(quantized(Matrix(3, 0), spelling).codes.empty()) << spelling;
  }
}

TEST_F(Quantized, IntegerScalesFollowTheirGrids) {
  Matrix values(1, 4);
  std::copy_n(std::array{7.5f, -7.5f, 0.5f, -1.5f}.begin(), 4, values.data());
  const QuantizedMatrix full = quantized(values, "int4");
  EXPECT_EQ(full.scales[0], 1.0f);
  EXPECT_THAT(simulated(full).values(), testing::ElementsAre(7.0f, -8.0f, 0.0f, -2.0f));
  EXPECT_THAT(full.codes, testing::ElementsAre(7, 8, 0, 14));
  const QuantizedMatrix narrow = quantized(values, "int4:narrow");
  EXPECT_EQ(narrow.scales[0], round_up_scale(7.5 / 7, ScaleStorage::kF32));
  std::copy_n(std::array{12.0f, -3.0f, 0.0f, 5.0f}.begin(), 4, values.data());
  const QuantizedMatrix asym = quantized(values, "int4:asym");
  EXPECT_EQ(asym.scales[0], 1.0f);
  EXPECT_THAT(asym.zero_points, testing::ElementsAre(3));
  EXPECT_THAT(asym.codes, testing::ElementsAre(15, 0, 3, 8));
  EXPECT_THAT(simulated(asym).values(), testing::ElementsAre(12.0f, -3.0f, 0.0f, 5.0f));
}

TEST_F(Quantized, SharedExponentsAreExactAtPowersOfTwo) {
  const auto scale_of = [&](float absmax, std::string_view spelling) {
    Matrix values = Matrix::zeros(1, 3);
    values(0, 1) = -absmax;
    return quantized(values, spelling).scales[0];
  };
  const float below_8 = std::nextafter(8.0f, 0.0f);
  const float above_8 = std::nextafter(8.0f, 9.0f);
  EXPECT_EQ(scale_of(8.0f, "mxfp4"), 2.0f);  // 2^(3 - 2)
  EXPECT_EQ(scale_of(below_8, "mxfp4"), 1.0f);
  EXPECT_EQ(scale_of(8.0f, "mxint8"), 8.0f);
  EXPECT_EQ(scale_of(below_8, "mxint8"), 4.0f);
  EXPECT_EQ(scale_of(8.0f, "hbfp8"), 0x1p-4f);  // e = 3
  EXPECT_EQ(scale_of(above_8, "hbfp8"), 0x1p-3f);
  EXPECT_EQ(scale_of(below_8, "hbfp8"), 0x1p-4f);
  // Clamped to the range of E8M0.
  EXPECT_EQ(scale_of(std::numeric_limits<float>::denorm_min(), "mxfp8_e5m2"), 0x1p-127f);
  EXPECT_EQ(scale_of(0x1p-130f, "hbfp8"), 0x1p-127f);
  EXPECT_EQ(scale_of(std::numeric_limits<float>::max(), "mxint8"), 0x1p127f);
}

TEST_F(Quantized, BlockFloatingPointClipsOneStepBelowThePowerOfTwo) {
  Matrix values(1, 4);
  std::copy_n(std::array{8.0f, -8.0f, 1.49f, -0.5f}.begin(), 4, values.data());
  EXPECT_THAT(simulated(quantized(values, "hbfp4")).values(),
              testing::ElementsAre(7.0f, -7.0f, 1.0f, 0.0f));
}

TEST_F(Quantized, Nvfp4HasOneMoreScaleForATensorAndOnePerTokenForActivations) {
  Matrix values = Matrix::zeros(2, 32);
  values(0, 0) = 2688.0f;
  values(0, 16) = 3.0f;
  values(1, 5) = -6.0f;
  const QuantizedMatrix weight = quantized(values, "nvfp4");
  EXPECT_THAT(weight.tensor_scales, testing::ElementsAre(1.0f));
  EXPECT_THAT(weight.scales, testing::ElementsAre(448.0f, 0.5f, 1.0f, 0.0f));
  EXPECT_EQ(simulated(weight)(0, 0), 2688.0f);
  EXPECT_EQ(simulated(weight)(1, 5), -6.0f);
  const QuantizedMatrix tokens = quantized(values, "nvfp4", {}, Role::kActivation);
  EXPECT_THAT(tokens.tensor_scales,
              testing::ElementsAre(1.0f, round_up_scale(6.0 / 2688.0, ScaleStorage::kF32)));
  // A token's values do not depend on the other tokens of a batch.
  const Matrix many = test_values(9, 50, 35);
  for (const char* spelling : {"nvfp4", "int8", "mxfp8_e4m3", "int8:asym", "int4:g16"}) {
    Matrix together = Matrix::copy_of(many.view());
    quantize_in_place(together.view(), NumberFormat::parse(spelling, Role::kActivation), {});
    for (int64_t r = 0; r < 9; ++r) {
      Matrix alone = Matrix::copy_of(many.view().rows_from(r, 1));
      quantize_in_place(alone.view(), NumberFormat::parse(spelling, Role::kActivation), {});
      EXPECT_TRUE(same_bits(alone, Matrix::copy_of(together.view().rows_from(r, 1)))) << spelling;
    }
  }
}

TEST_F(Quantized, ImportanceWeightsTheSearchOfScales) {
  Matrix values(1, 4);
  std::copy_n(std::array{7.5f, 1.0f, 1.0f, -1.0f}.begin(), 4, values.data());
  // Where the large value counts, the small ones round to whatever is left; where only the small
  // ones count, they get a scale of their own.
  const std::array large = {1.0f, 0.0f, 0.0f, 0.0f}, small = {0.0f, 1.0f, 1.0f, 1.0f};
  const Matrix for_large = simulated(quantized(values, "int2", {.importance = large}));
  const Matrix for_small = simulated(quantized(values, "int2", {.importance = small}));
  EXPECT_LT(std::fabs(for_large(0, 0) - 7.5f), std::fabs(for_small(0, 0) - 7.5f));
  EXPECT_LT(std::fabs(for_small(0, 1) - 1.0f), std::fabs(for_large(0, 1) - 1.0f));
  const std::array wrong = {1.0f};
  EXPECT_THROW(quantized(values, "int2", {.importance = wrong}), Error);
}

TEST_F(Quantized, TernaryAndBinaryUseTheMeanMagnitude) {
  Matrix values(1, 4);
  std::copy_n(std::array{3.0f, -1.0f, 0.5f, -3.5f}.begin(), 4, values.data());
  const QuantizedMatrix ternary = quantized(values, "ternary");
  EXPECT_EQ(ternary.scales[0], 2.0f);
  EXPECT_THAT(simulated(ternary).values(), testing::ElementsAre(2.0f, 0.0f, 0.0f, -2.0f));
  const QuantizedMatrix binary = quantized(values, "binary");
  EXPECT_THAT(simulated(binary).values(), testing::ElementsAre(2.0f, -2.0f, 2.0f, -2.0f));
}

}  // namespace
}  // namespace scant
