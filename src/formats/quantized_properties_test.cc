#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "formats/quantized_test.h"

namespace scant {
namespace {

class QuantizedProperties : public Quantized {};

TEST_F(QuantizedProperties, InPlaceEqualsTheTwoStepsBitForBit) {
  const Matrix values = test_values(7, 77, 1);
  const Mask mask = test_mask(7, 77, 2);
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

TEST_F(QuantizedProperties, TheResultIsTheSameForAnyNumberOfThreads) {
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

// The scale of a symmetric grid must reach the largest magnitude: half a step beyond the last code
// for the full integers, the last code for the others.
TEST_F(QuantizedProperties, AStoredScaleIsTheNextOneAboveSoThatNothingClips) {
  const Matrix values = test_values(18, 96, 17);
  for (const std::string& spelling : number_format_examples(Role::kWeight)) {
    const NumberFormat format = NumberFormat::parse(spelling, Role::kWeight);
    const ElementRules rules = format.rules();
    if (format.is_plain() || format.mse || rules.storage || rules.two_level || rules.zero_point) {
      continue;
    }
    const QuantizedMatrix result = quantized(values, spelling);
    std::visit(
        [&]<typename T>(const T& element) {
          if constexpr (ElementScaledByStatistics<T>) {
            if (T::kNeedsMean) return;
            double reach = element.largest();
            if (std::is_same_v<T, IntElement> && element.option().empty()) reach += 0.5;
            std::vector<double> absmax(result.scales.size(), 0.0);
            for (int64_t r = 0; r < values.rows(); ++r) {
              for (int64_t c = 0; c < values.cols(); ++c) {
                double& block = absmax[static_cast<size_t>(result.block_of(r, c))];
                block = std::max(block, std::fabs(static_cast<double>(values(r, c))));
              }
            }
            for (size_t b = 0; b < absmax.size(); ++b) {
              if (absmax[b] == 0.0 || result.scales[b] >= 448.0f) continue;
              EXPECT_GE(result.scales[b] * reach, absmax[b]) << spelling;
              EXPECT_EQ(result.scales[b], round_up_scale(absmax[b] / reach, format.scale_storage))
                  << spelling;
            }
          }
        },
        format.element);
  }
}

double squared_error(const Matrix& a, const Matrix& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a.data()[i]) - b.data()[i];
    sum += difference * difference;
  }
  return sum;
}

TEST_F(QuantizedProperties, TheSearchedScaleIsNeverWorseThanThePlainOneAndOftenBetter) {
  const Matrix values = test_values(24, 96, 19);
  int better = 0;
  int compared = 0;
  for (const Role role : kRoles) {
    for (const std::string& spelling : number_format_examples(role)) {
      NumberFormat format = NumberFormat::parse(spelling, role);
      if (!format.mse) continue;
      const Matrix searched = simulated(quantized(values, spelling, {}, role));
      format.mse = false;
      const Matrix plain = simulated(quantize(values.view(), format, {}, context_));
      for (int64_t r = 0; r < 24; ++r) {
        const bool shared = format.granularity.kind == Granularity::Kind::kTensor;
        const int64_t count = shared ? 24 : 1;
        if (shared && r > 0) break;
        const auto rows_of = [&](const Matrix& m) {
          return Matrix::copy_of(m.view().rows_from(r, count));
        };
        const double with = squared_error(rows_of(searched), rows_of(values));
        const double without = squared_error(rows_of(plain), rows_of(values));
        EXPECT_LE(with, without * (1 + 1e-12)) << spelling;
        better += with < without ? 1 : 0;
        ++compared;
      }
    }
  }
  EXPECT_GT(better, compared / 3);
}

TEST_F(QuantizedProperties, TheSearchFindsTheBestCandidateOfABruteForce) {
  const Matrix values = test_values(6, 32, 21);
  for (const char* spelling : {"int4:g32", "int3:asym:g32", "fp4_e2m1:g32", "int8:g32:scale=e8m0",
                               "mxfp4", "hbfp4:block=32", "nf4:g32"}) {
    const std::string text = std::string(spelling) + ":mse";
    const QuantizedMatrix plain = quantized(values, spelling);
    const QuantizedMatrix searched = quantized(values, text);
    const bool powers = plain.format.scale_storage == ScaleStorage::kE8M0;
    for (int64_t r = 0; r < 6; ++r) {
      const auto block = static_cast<size_t>(r);
      double least = std::numeric_limits<double>::infinity();
      for (int i = 0; i < (powers ? 3 : 80); ++i) {
        const double power[] = {1.0, 0.5, 2.0};
        const double factor = powers ? power[i] : 1.0 - i / 100.0;
        const QuantizedMatrix exact =
            quantized(values, std::string(spelling) + (powers ? "" : ":scale=fp32"));
        QuantizedMatrix given = quantized(values, spelling);
        given.scales[block] =
            round_up_scale(exact.scales[block] * factor, plain.format.scale_storage);
        if (!given.zero_points.empty()) {
          float low = 0.0f;
          for (const float x : values.row_span(r)) low = std::min(low, x);
          const double zero = std::nearbyint(-low * factor / given.scales[block]);
          given.zero_points[block] = static_cast<int32_t>(std::clamp(zero, 0.0, 7.0));
        }
        const Matrix out = simulated(quantized(values, spelling, {.scales_from = &given}));
        least = std::min(least, squared_error(Matrix::copy_of(out.view().rows_from(r, 1)),
                                              Matrix::copy_of(values.view().rows_from(r, 1))));
      }
      const Matrix out = simulated(searched);
      const double found = squared_error(Matrix::copy_of(out.view().rows_from(r, 1)),
                                         Matrix::copy_of(values.view().rows_from(r, 1)));
      EXPECT_NEAR(found, least, 1e-9 * least) << text << " row " << r;
    }
  }
}

TEST_F(QuantizedProperties, StochasticRoundingIsUnbiased) {
  const CounterRandom random(23, 1);
  Matrix values(1, 128);
  for (int64_t c = 0; c < 128; ++c) values(0, c) = random.normal(static_cast<uint64_t>(c));
  for (const char* spelling : {"int4:stoch", "int4:asym:stoch", "fp4_e2m1:stoch", "nvfp4:stoch",
                               "hbfp4:stoch", "nf4:channel:stoch"}) {
    const Matrix nearest = simulated(quantized(values, spelling));
    constexpr int kDraws = 2000;
    std::vector<double> mean(128, 0.0);
    double squares = 0.0;
    for (uint64_t seed = 0; seed < kDraws; ++seed) {
      Matrix drawn = Matrix::copy_of(values.view());
      quantize_in_place(drawn.view(), NumberFormat::parse(spelling, Role::kWeight),
                        {.seed = seed, .stream = 3});
      for (int64_t c = 0; c < 128; ++c) {
        const double error = static_cast<double>(drawn(0, c)) - values(0, c);
        mean[static_cast<size_t>(c)] += error / kDraws;
        squares += error * error / kDraws;
      }
    }
    // The variance of the mean is 1 / draws of that of a draw; the largest of 128 is within 5
    // sigma. The clipped ends (the full grid's largest value, an :asym range that the zero point
    // cuts) have a bias of their own.
    const double sigma = std::sqrt(squares / 128 / kDraws);
    int outside = 0;
    for (const double m : mean) outside += std::fabs(m) > 8 * sigma ? 1 : 0;
    EXPECT_LE(outside, 2) << spelling;
    EXPECT_GT(squares, 0.0) << spelling;
  }
}

TEST_F(QuantizedProperties, StochasticRoundingDependsOnSeedStreamAndPositionOnly) {
  const Matrix values = test_values(20, 64, 25);
  const QuantizedMatrix base = quantized(values, "int4:stoch", {.seed = 1, .stream = 2});
  EXPECT_EQ(base.codes, quantized(values, "int4:stoch", {.seed = 1, .stream = 2}).codes);
  EXPECT_NE(base.codes, quantized(values, "int4:stoch", {.seed = 2, .stream = 2}).codes);
  EXPECT_NE(base.codes, quantized(values, "int4:stoch", {.seed = 1, .stream = 3}).codes);
  const Mask all{20, 64, std::vector<uint8_t>(20 * 64, 1)};
  EXPECT_EQ(base.codes,
            quantized(values, "int4:stoch", {.mask = &all, .seed = 1, .stream = 2}).codes);
}

TEST_F(QuantizedProperties, MaxScaledFormatsKeepTheOrderOfMagnitudesAtOneScale) {
  for (const char* kind : {"normal", "bf16", "integers"}) {
    Matrix values(1, 256);
    const CounterRandom random(27, 1);
    for (int64_t c = 0; c < 256; ++c) {
      const float x = random.normal(static_cast<uint64_t>(c));
      values(0, c) = kind[0] == 'n'   ? x
                     : kind[0] == 'b' ? bf16_to_f32(f32_to_bf16(x))
                                      : std::round(5.0f * x);
    }
    std::sort(values.data(), values.data() + 256,
              [](float a, float b) { return std::fabs(a) < std::fabs(b); });
    for (const std::string& spelling : number_format_examples(Role::kWeight)) {
      const NumberFormat format = NumberFormat::parse(spelling, Role::kWeight);
      if (!format.max_scaled()) continue;
      const QuantizedMatrix result = quantized(values, spelling);
      const Matrix out = simulated(result);
      std::vector<float> largest(
          static_cast<size_t>(std::max<int64_t>(1, result.blocks_per_row())));
      // Only strictly smaller magnitudes are compared: of a pair +-absmax the full integer grid
      // reaches one more on the negative side.
      std::vector<float> pending = largest;
      std::vector<float> before(largest.size(), -1.0f);
      for (int64_t c = 0; c < 256; ++c) {
        const auto b = static_cast<size_t>(result.block_of(0, c));
        if (std::fabs(values(0, c)) > before[b]) largest[b] = pending[b];
        EXPECT_GE(std::fabs(out(0, c)), largest[b]) << spelling << " column " << c;
        before[b] = std::fabs(values(0, c));
        pending[b] = std::max(pending[b], std::fabs(out(0, c)));
      }
    }
  }
}

TEST_F(QuantizedProperties, QuantizingAgainAtTheSameScaleChangesNothing) {
  const Matrix values = test_values(12, 70, 29);
  for (const std::string& spelling : number_format_examples(Role::kWeight)) {
    const QuantizedMatrix first = quantized(values, spelling);
    const Matrix once = simulated(first);
    const QuantizedMatrix second = quantized(once, spelling, {.scales_from = &first});
    EXPECT_TRUE(same_bits(simulated(second), once)) << spelling;
    EXPECT_EQ(first.scales, second.scales) << spelling;
  }
}

}  // namespace
}  // namespace scant
