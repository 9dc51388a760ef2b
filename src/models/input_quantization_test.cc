#include "models/input_quantization.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/random.h"
#include "formats/best_scale.h"
#include "formats/quantized.h"

namespace scant {
namespace {

Matrix random_inputs(int64_t rows, int64_t cols) {
  const CounterRandom random(5, 1);
  Matrix x(rows, cols);
  for (int64_t i = 0; i < x.size(); ++i) x.data()[i] = random.normal(static_cast<uint64_t>(i));
  for (int64_t r = 0; r < rows; ++r) x(r, 1) *= 30.0f;  // a feature of outliers
  return x;
}

NumberFormat format_of(const char* spelling) {
  return NumberFormat::parse(spelling, Role::kActivation);
}

BlockStatistics statistics_of(const Matrix& x) {
  BlockStatistics all;
  for (const float value : x.values()) {
    all.min = std::min(all.min, value);
    all.max = std::max(all.max, value);
    all.sum += std::fabs(value);
    ++all.count;
  }
  return all;
}

TEST(InputQuantization, AStaticScaleOfTheSameValuesIsTheDynamicOne) {
  const Matrix x = random_inputs(9, 70);
  for (const char* format : {"int8:tensor", "int4:tensor:asym", "int4:tensor:mse",
                             "int4:narrow:tensor", "fp8_e4m3:tensor", "nf4:tensor"}) {
    InputQuantization dynamic = format_of(format);
    InputQuantization fixed = dynamic;
    fixed.scale = choose_scale(fixed.format, statistics_of(x), x.view());
    Matrix a(9, 70), b(9, 70);
    dynamic.apply(x.view(), a.view());
    fixed.apply(x.view(), b.view());
    for (int64_t i = 0; i < a.size(); ++i) ASSERT_EQ(a.data()[i], b.data()[i]) << format;
    EXPECT_FALSE(dynamic.same_as(fixed));
    EXPECT_TRUE(fixed.same_as(InputQuantization(fixed)));
  }
}

TEST(InputQuantization, AStaticScaleTreatsATokenAlikeInAnyCompany) {
  const Matrix x = random_inputs(9, 70);
  InputQuantization fixed = format_of("int4:tensor");
  fixed.scale = BlockScale{0.25f, 0};
  Matrix all(9, 70), one(1, 70);
  fixed.apply(x.view(), all.view());
  fixed.apply(x.view().rows_from(4, 1), one.view());
  for (int64_t c = 0; c < 70; ++c) {
    EXPECT_EQ(one(0, c), all(4, c));
    EXPECT_EQ(one(0, c), 0.25f * std::clamp(std::nearbyint(x(4, c) / 0.25f), -8.0f, 7.0f));
  }
}

TEST(InputQuantization, AStaticTensorScaleOfNvfp4IsThatOfTheWeightsDefinition) {
  const Matrix x = random_inputs(9, 70);
  InputQuantization fixed = format_of("nvfp4");
  fixed.scale = choose_scale(fixed.format, statistics_of(x));
  ThreadPool pool(1);
  Context context{pool};
  const auto of_weights = NumberFormat::parse("nvfp4", Role::kWeight);
  const QuantizedMatrix expected = quantize(x.view(), of_weights, {}, context);
  EXPECT_EQ(fixed.scale->scale, expected.tensor_scales[0]);
  Matrix all(9, 70), one(1, 70), values(9, 70);
  dequantize(expected, values.view());
  fixed.apply(x.view(), all.view());
  fixed.apply(x.view().rows_from(4, 1), one.view());
  for (int64_t i = 0; i < all.size(); ++i) ASSERT_EQ(all.data()[i], values.data()[i]);
  for (int64_t c = 0; c < 70; ++c) EXPECT_EQ(one(0, c), all(4, c));
  // The definition and the row pass agree where values saturate, too.
  fixed.scale->scale /= 4;
  Matrix simulated = Matrix::copy_of(x.view());
  quantize_in_place(simulated.view(), fixed.format, {.tensor_scale = fixed.scale->scale});
  fixed.apply(x.view(), all.view());
  for (int64_t i = 0; i < all.size(); ++i) ASSERT_EQ(all.data()[i], simulated.data()[i]);
}

TEST(CrossScales, FollowTheFormulaOfThePaper) {
  const Matrix x = random_inputs(9, 70);
  std::vector<float> maxima(70);
  for (int64_t c = 0; c < 70; ++c) {
    for (int64_t r = 0; r < 9; ++r) {
      maxima[static_cast<size_t>(c)] = std::max(maxima[static_cast<size_t>(c)], std::fabs(x(r, c)));
    }
  }
  for (const float alpha : {0.0f, 0.15f, 0.5f, 1.0f}) {
    InputQuantization cross = format_of("int8:narrow");
    cross.cross = std::make_shared<CrossScales>(alpha, maxima);
    Matrix y(9, 70);
    cross.apply(x.view(), y.view());
    for (int64_t r = 0; r < 9; ++r) {
      double token = 0;
      for (int64_t c = 0; c < 70; ++c) token = std::max<double>(token, std::fabs(x(r, c)));
      for (int64_t c = 0; c < 70; ++c) {
        const double step =
            std::pow(token, alpha) * std::pow(maxima[static_cast<size_t>(c)], 1 - alpha) / 127;
        EXPECT_NEAR(y(r, c) / step, std::nearbyint(y(r, c) / step), 1e-4);
        EXPECT_LE(std::fabs(y(r, c) - x(r, c)), 0.5001 * step);
      }
    }
  }
}

TEST(CrossScales, ATokensShareOfOneIsTheFormatItself) {
  const Matrix x = random_inputs(5, 40);
  InputQuantization cross = format_of("int4"), plain = format_of("int4");
  cross.cross = std::make_shared<CrossScales>(1.0f, std::vector<float>(40, 2.0f));
  Matrix a(5, 40), b(5, 40);
  cross.apply(x.view(), a.view());
  plain.apply(x.view(), b.view());
  for (int64_t i = 0; i < a.size(); ++i) EXPECT_EQ(a.data()[i], b.data()[i]);
}

TEST(CrossScales, SurviveColumnsAndTokensOfZeros) {
  Matrix x = random_inputs(3, 6);
  for (int64_t c = 0; c < 6; ++c) x(1, c) = 0;
  InputQuantization cross = format_of("int8");
  for (const std::vector<float>& maxima :
       {std::vector<float>(6, 0.0f), {0.0f, 30.0f, 0.0f, 1.0f, 1.0f, 1.0f}}) {
    cross.cross = std::make_shared<CrossScales>(0.15f, maxima);
    Matrix y(3, 6);
    cross.apply(x.view(), y.view());
    for (int64_t c = 0; c < 6; ++c) EXPECT_EQ(y(1, c), 0.0f);
    for (const float value : y.values()) EXPECT_TRUE(std::isfinite(value));
  }
  Matrix wrong(3, 7);
  EXPECT_THROW(cross.apply(wrong.view(), wrong.view()), Error);
}

TEST(ActivationMethod, IsReadBackFromItsSpellingAndRefusesWhatItCannotScale) {
  for (const char* text : {"dynamic", "static", "crossquant", "crossquant:0.3"}) {
    EXPECT_EQ(ActivationMethod::parse(text).spelling(), text);
  }
  for (const char* text : {"", "rtn", "crossquant:", "crossquant:2", "crossquant:x", "static:1"}) {
    EXPECT_THROW(ActivationMethod::parse(text), Error) << text;
  }
  const ActivationMethod fixed = ActivationMethod::parse("static");
  const ActivationMethod cross = ActivationMethod::parse("crossquant");
  EXPECT_FALSE(fixed.refusal(format_of("int8:tensor")));
  EXPECT_TRUE(fixed.refusal(format_of("int8")));
  EXPECT_TRUE(fixed.refusal(format_of("mxfp4")));
  EXPECT_FALSE(fixed.refusal(format_of("nvfp4")));
  EXPECT_FALSE(cross.refusal(format_of("int4")));
  EXPECT_FALSE(cross.refusal(format_of("fp8_e4m3")));
  for (const char* format : {"int8:tensor", "int8:g32", "int8:asym", "int8:mse", "mxfp4", "bf16"}) {
    EXPECT_TRUE(cross.refusal(format_of(format))) << format;
  }
}

}  // namespace
}  // namespace scant
