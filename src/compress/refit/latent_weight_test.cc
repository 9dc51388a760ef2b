#include "compress/refit/latent_weight.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/random.h"

namespace scant {
namespace {

Matrix random_matrix(int64_t rows, int64_t cols, uint64_t stream) {
  const CounterRandom random(5, stream);
  Matrix matrix(rows, cols);
  for (int64_t i = 0; i < matrix.size(); ++i) {
    matrix.data()[i] = random.normal(static_cast<uint64_t>(i)) / 16;
  }
  return matrix;
}

/// Every element and granularity, dense and with a pattern.
class LatentWeights : public testing::TestWithParam<std::string> {
 protected:
  CompressedMatrix compressed(const Matrix& dense, const char* pattern) {
    CompressionSpec spec;
    spec.format = NumberFormat::parse(GetParam(), Role::kWeight);
    if (pattern != nullptr) spec.pattern = SparsityPattern::parse(pattern);
    return compress_matrix(dense.view(), spec, Statistics{}, context_);
  }

  ThreadPool threads_{2};
  Context context_{threads_};
};

TEST_P(LatentWeights, StartWithTheCompressedValues) {
  const Matrix dense = random_matrix(24, 128, 1);
  for (const char* pattern : {static_cast<const char*>(nullptr), "50%"}) {
    CompressionSpec spec;
    spec.format = NumberFormat::parse(GetParam(), Role::kWeight);
    if (pattern != nullptr) spec.pattern = SparsityPattern::parse(pattern);
    if (refusal(spec)) continue;
    const CompressedMatrix start = compressed(dense, pattern);
    LatentWeight latent(dense.view(), start, context_);
    Matrix values(24, 128);
    latent.evaluate(values.view(), context_);
    for (int64_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR(values.data()[i], start.values.data()[i], 1e-6 * std::fabs(values.data()[i]))
          << i;
    }
  }
}

TEST_P(LatentWeights, StartWithTheCompressedValuesOfScaledColumns) {
  const Matrix dense = random_matrix(24, 128, 4);
  Matrix gram = Matrix::zeros(128, 128);
  for (int64_t c = 0; c < 128; ++c) gram(c, c) = std::exp(static_cast<float>(c % 9));
  const InputStatistics inputs(std::move(gram));
  CompressionSpec spec;
  spec.format = NumberFormat::parse(GetParam(), Role::kWeight);
  spec.quantizer = "awq";
  if (refusal(spec)) GTEST_SKIP() << *refusal(spec);
  CompressedMatrix result = compress_matrix(dense.view(), spec, {&inputs}, context_);
  LatentWeight latent(dense.view(), result, context_);
  Matrix values(24, 128), decoded(24, 128);
  latent.evaluate(values.view(), context_);
  for (int64_t i = 0; i < values.size(); ++i) {
    ASSERT_NEAR(values.data()[i], result.values.data()[i], 1e-6 * std::fabs(values.data()[i]));
  }
  std::move(latent).store(values.view(), result);
  dequantize(*result.quantized, decoded.view());
  for (int64_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(decoded.data()[i], result.values.data()[i]);
  }
}

TEST_P(LatentWeights, DescendOnTheGridAndKeepTheMask) {
  const Matrix dense = random_matrix(24, 128, 2), other = random_matrix(24, 128, 3);
  CompressionSpec spec;
  spec.format = NumberFormat::parse(GetParam(), Role::kWeight);
  spec.pattern = SparsityPattern::parse("50%");
  if (refusal(spec)) GTEST_SKIP() << *refusal(spec);
  CompressedMatrix result = compressed(dense, "50%");
  LatentWeight latent(dense.view(), result, context_);
  Matrix values(24, 128), gradient(24, 128);
  const auto distance = [&] {
    double sum = 0;
    for (int64_t i = 0; i < values.size(); ++i) {
      if (result.mask->row(0)[i] == 0) continue;
      const double difference = values.data()[i] - other.data()[i];
      sum += difference * difference;
    }
    return sum;
  };
  latent.evaluate(values.view(), context_);
  const double before = distance();
  for (int step = 1; step <= 60; ++step) {
    for (int64_t i = 0; i < values.size(); ++i) {
      gradient.data()[i] = values.data()[i] - other.data()[i];
    }
    latent.step(values.view(), gradient.view(),
                {.codes = AdamStep(0.1, step), .scales = AdamStep(0.01, step)}, context_);
    latent.evaluate(values.view(), context_);
  }
  EXPECT_LT(distance(), 0.9 * before);
  std::move(latent).store(values.view(), result);
  Matrix decoded(24, 128);
  dequantize(*result.quantized, decoded.view());
  for (int64_t i = 0; i < values.size(); ++i) {
    if (result.mask->row(0)[i] == 0) {
      ASSERT_EQ(result.values.data()[i], 0.0f);
    } else {
      ASSERT_EQ(result.values.data()[i], decoded.data()[i]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, LatentWeights,
                         testing::Values("int4:g32", "int3", "int4:g32:asym", "int8:tensor",
                                         "fp8_e4m3", "mxfp4", "nvfp4", "nf4", "ternary", "binary",
                                         "q4_k", "q3_k"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::ranges::replace(name, ':', '_');
                           return name;
                         });

CompressedMatrix pruned(const Matrix& dense, Context& context) {
  CompressionSpec spec;
  spec.pattern = SparsityPattern::parse("2:4");
  return compress_matrix(dense.view(), spec, Statistics{}, context);
}

TEST(LatentWeight, WithoutCodesMovesKeptValuesOnly) {
  ThreadPool threads(2);
  Context context{threads};
  const Matrix dense = random_matrix(8, 64, 4);
  const CompressedMatrix start = pruned(dense, context);
  LatentWeight latent(dense.view(), start, context);
  Matrix values(8, 64), gradient = random_matrix(8, 64, 5);
  latent.evaluate(values.view(), context);
  latent.step(values.view(), gradient.view(),
              {.codes = AdamStep(0.1, 1), .scales = AdamStep(0.1, 1)}, context);
  latent.evaluate(values.view(), context);
  for (int64_t i = 0; i < values.size(); ++i) {
    if (start.mask->row(0)[i] == 0) {
      EXPECT_EQ(values.data()[i], 0.0f);
    } else {
      EXPECT_EQ(values.data()[i]<start.values.data()[i], gradient.data()[i]> 0);
    }
  }
}

TEST(LatentWeight, PullHoldsBackWhereTheGradientIsNoise) {
  ThreadPool threads(2);
  Context context{threads};
  const Matrix dense = random_matrix(8, 64, 4);
  const CompressedMatrix start = pruned(dense, context);
  /// How far values are from their start after steps along gradients about `mean` with noise of 1.
  const auto moved = [&](float mean, float pull) {
    LatentWeight latent(dense.view(), start, context);
    Matrix values(8, 64);
    for (int number = 1; number <= 200; ++number) {
      Matrix gradient = random_matrix(8, 64, 100 + static_cast<uint64_t>(number));
      for (float& g : gradient.values()) g += mean;
      latent.evaluate(values.view(), context);
      latent.step(values.view(), gradient.view(),
                  {.codes = AdamStep(0.03, number), .scales = AdamStep(0.01, number), .pull = pull},
                  context);
    }
    latent.evaluate(values.view(), context);
    double squares = 0;
    for (int64_t i = 0; i < values.size(); ++i) {
      const double way = values.data()[i] - start.values.data()[i];
      squares += way * way;
    }
    return std::sqrt(squares);
  };
  constexpr float kPull = 0.015f;
  EXPECT_LT(moved(0, kPull), 0.8 * moved(0, 0));
  EXPECT_LT(moved(2, kPull), moved(2, 0));
  EXPECT_GT(moved(2, kPull), 3 * moved(0, kPull));
  EXPECT_NEAR(moved(2, 1), 0.0, 1e-5);
}

}  // namespace
}  // namespace scant
