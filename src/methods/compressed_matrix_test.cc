#include "methods/compressed_matrix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "methods/joint/joint_solver.h"
#include "methods/random_blocks_test.h"

namespace scant {
namespace {

using testing::HasSubstr;

CompressionSpec spec_of(const char* pattern, const char* format,
                        Order order = Order::kSparsifyFirst) {
  CompressionSpec spec;
  if (pattern != nullptr) spec.pattern = SparsityPattern::parse(pattern);
  if (format != nullptr) spec.format = NumberFormat::parse(format, Role::kWeight);
  spec.order = order;
  return spec;
}

struct CompressedMatrixTest : testing::Test {
  ThreadPool pool{1};
  Context context{pool};

  CompressedMatrix compress(const Matrix& weight, const CompressionSpec& spec) {
    return compress_matrix(weight.view(), spec, {}, context);
  }
  std::string error_of(const Matrix& weight, const CompressionSpec& spec) {
    try {
      compress(weight, spec);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
};

Matrix row_of(std::initializer_list<float> values) {
  Matrix matrix(1, static_cast<int64_t>(values.size()));
  std::ranges::copy(values, matrix.row(0));
  return matrix;
}

TEST_F(CompressedMatrixTest, SparsityAloneKeepsTheWeightsAsTheyAre) {
  const CompressedMatrix result =
      compress(row_of({1.0f, -4.0f, 2.0f, 3.0f, 0.5f, 0.25f}), spec_of("2:4", nullptr));
  EXPECT_THAT(result.values.values(), testing::ElementsAre(0, -4, 0, 3, 0.5f, 0.25f));
  EXPECT_FALSE(result.quantized);
  EXPECT_DOUBLE_EQ(result.error.squared, 5.0);
  EXPECT_DOUBLE_EQ(result.error.sparsity_squared, 5.0);
  EXPECT_DOUBLE_EQ(result.error.quantization_squared, 0.0);
  EXPECT_DOUBLE_EQ(result.error.largest, 2.0);
}

TEST_F(CompressedMatrixTest, QuantizationAloneHasNoMask) {
  const Matrix weight = row_of({3.0f, -1.0f, 0.4f, 2.0f});
  const CompressedMatrix result = compress(weight, spec_of(nullptr, "int3:narrow"));
  EXPECT_THAT(result.values.values(), testing::ElementsAre(3, -1, 0, 2));
  EXPECT_FALSE(result.mask);
  EXPECT_NEAR(result.error.quantization_squared, 0.16, 1e-7);
  EXPECT_DOUBLE_EQ(result.error.sparsity_squared, 0.0);
  EXPECT_NEAR(result.error.relative, std::sqrt(0.16 / 14.16), 1e-7);
}

TEST_F(CompressedMatrixTest, TheOrderDecidesWhichOfTwoTiedWeightsStays) {
  // In int3:narrow at scale 1 both 1.2 and 0.9 become 1; the index then prunes the larger one.
  const Matrix weight = row_of({3.0f, 1.2f, 0.9f, 0.1f});
  const CompressedMatrix first = compress(weight, spec_of("2:4", "int3:narrow"));
  EXPECT_THAT(first.values.values(), testing::ElementsAre(3, 1, 0, 0));
  const CompressedMatrix second =
      compress(weight, spec_of("2:4", "int3:narrow", Order::kQuantizeFirst));
  EXPECT_THAT(second.values.values(), testing::ElementsAre(3, 0, 1, 0));
  EXPECT_NEAR(second.error.squared - first.error.squared, 2 * 1 * (1.2 - 0.9), 1e-6);
  const CompressedMatrix joint = compress(weight, spec_of("2:4", "int3:narrow", Order::kJoint));
  EXPECT_EQ(joint.error.squared, first.error.squared);
}

TEST_F(CompressedMatrixTest, SparsifyFirstChoosesScalesFromWhatIsKept) {
  // Half of the columns go: with them the outlier 100, whose column is otherwise small.
  Matrix weight = Matrix::zeros(4, 2);
  for (int64_t r = 0; r < 4; ++r) weight(r, 1) = r == 0 ? 3.0f : 80.0f;
  weight(0, 0) = 100.0f;
  const CompressedMatrix first = compress(weight, spec_of("50%:cols", "int3:narrow"));
  EXPECT_EQ(first.quantized->scales[0], 1.0f);
  EXPECT_EQ(first.values(0, 1), 3.0f);
  const CompressedMatrix second =
      compress(weight, spec_of("50%:cols", "int3:narrow", Order::kQuantizeFirst));
  EXPECT_NEAR(second.quantized->scales[0], 100.0f / 3, 1e-5);
  EXPECT_EQ(second.values(0, 1), 0.0f);
}

TEST_F(CompressedMatrixTest, CodesAndMaskEvaluateToTheValues) {
  const Matrix weight = random_blocks(kBlockKinds, 70, 1);
  for (const char* format : {"int4:g32:asym", "nf4", "nvfp4", "hbfp6", "bf16", "ternary"}) {
    for (const Order order : kOrders) {
      const CompressedMatrix result = compress(weight, spec_of("62.5%", format, order));
      Matrix decoded(weight.rows(), weight.cols());
      dequantize(*result.quantized, decoded.view());
      for (int64_t i = 0; i < weight.size(); ++i) {
        const auto at = static_cast<size_t>(i);
        ASSERT_EQ(decoded.values()[at], result.values.values()[at])
            << format << " " << order_name(order);
        ASSERT_TRUE(result.mask->keep[at] != 0 || result.values.values()[at] == 0.0f);
      }
    }
  }
}

TEST_F(CompressedMatrixTest, ErrorsSplitIntoTheSparsityAndTheQuantizationPart) {
  const Matrix weight = random_blocks(kBlockKinds, 64, 2);
  for (const Order order : kOrders) {
    const CompressedMatrix result = compress(weight, spec_of("50%", "int4:g16", order));
    double sparsity = 0, quantization = 0, all = 0, largest = 0;
    for (int64_t r = 0; r < weight.rows(); ++r) {
      for (int64_t c = 0; c < weight.cols(); ++c) {
        const double error = static_cast<double>(result.values(r, c)) - weight(r, c);
        ((*result.mask)(r, c) != 0 ? quantization : sparsity) += error * error;
        all += static_cast<double>(weight(r, c)) * weight(r, c);
        largest = std::max(largest, std::fabs(error));
      }
    }
    EXPECT_NEAR(result.error.sparsity_squared, sparsity, 1e-12 * all);
    EXPECT_NEAR(result.error.quantization_squared, quantization, 1e-12 * all);
    EXPECT_NEAR(result.error.squared, sparsity + quantization, 1e-12 * all);
    EXPECT_NEAR(result.error.relative, std::sqrt((sparsity + quantization) / all), 1e-12);
    EXPECT_EQ(result.error.largest, largest);
  }
}

TEST_F(CompressedMatrixTest, StochasticRoundingDependsOnSeedAndStreamOnly) {
  const Matrix weight = random_blocks(kBlockKinds, 64, 3);
  CompressionSpec spec = spec_of("2:4", "int4:stoch", Order::kJoint);
  const auto codes = compress(weight, spec).quantized->codes;
  EXPECT_EQ(compress(weight, spec).quantized->codes, codes);
  spec.stream = 1;
  EXPECT_NE(compress(weight, spec).quantized->codes, codes);
  spec.stream = 0;
  spec.seed = 1;
  EXPECT_NE(compress(weight, spec).quantized->codes, codes);
}

TEST_F(CompressedMatrixTest, TheResultDoesNotDependOnTheNumberOfThreads) {
  const Matrix weight = random_blocks(140, 513, 4);
  for (const char* pattern : {"50%", "2:4", "50%:block=3x5", "50%:cols"}) {
    for (const Order order : kOrders) {
      const CompressionSpec spec = spec_of(pattern, "int4:g48", order);
      std::vector<CompressedMatrix> results;
      for (const int threads : {1, 2, 5}) {
        ThreadPool threads_of(threads);
        Context with{threads_of};
        results.push_back(compress_matrix(weight.view(), spec, {}, with));
      }
      for (size_t i = 1; i < results.size(); ++i) {
        EXPECT_EQ(results[i].quantized->codes, results[0].quantized->codes) << pattern;
        EXPECT_EQ(results[i].quantized->scales, results[0].quantized->scales) << pattern;
        EXPECT_EQ(results[i].mask, results[0].mask) << pattern;
        EXPECT_EQ(results[i].error.squared, results[0].error.squared) << pattern;
      }
    }
  }
}

TEST_F(CompressedMatrixTest, AZeroMatrixHasNoErrorInAnyOrder) {
  const Matrix zeros = Matrix::zeros(3, 40);
  for (const Order order : kOrders) {
    const CompressedMatrix result = compress(zeros, spec_of("2:4", "nvfp4", order));
    EXPECT_EQ(result.error.squared, 0.0);
    EXPECT_EQ(result.error.relative, 0.0);
  }
}

TEST_F(CompressedMatrixTest, AnEmptyMatrixIsCompressedToNothing) {
  for (const Order order : kOrders) {
    EXPECT_EQ(compress(Matrix(0, 16), spec_of("2:4", "int4", order)).error.squared, 0.0);
    EXPECT_EQ(compress(Matrix(4, 0), spec_of("50%", "mxfp4", order)).error.squared, 0.0);
  }
}

TEST_F(CompressedMatrixTest, AValueThatIsNotFiniteIsRefusedByItsPlace) {
  Matrix weight = Matrix::zeros(3, 5);
  weight(2, 1) = std::numeric_limits<float>::quiet_NaN();
  for (const char* format : {"int8", "bf16"}) {
    EXPECT_THAT(error_of(weight, spec_of("50%", format)),
                HasSubstr("the value at row 2, column 1 is NaN"));
  }
  weight(2, 1) = -std::numeric_limits<float>::infinity();
  EXPECT_THAT(error_of(weight, spec_of("50%", nullptr)),
              HasSubstr("the value at row 2, column 1 is infinite"));
}

TEST_F(CompressedMatrixTest, WhatCannotBeDoneIsRefusedByASentence) {
  const Matrix weight = Matrix::zeros(2, 8);
  EXPECT_THAT(error_of(weight, CompressionSpec{}), HasSubstr("neither a sparsity pattern"));
  CompressionSpec spec = spec_of("2:4", "int4", Order::kJoint);
  spec.pruner = "wisdom";
  EXPECT_THAT(error_of(weight, spec),
              HasSubstr("no pruning method is called \"wisdom\"; there are magnitude"));
  spec = spec_of("2:4", "int4");
  spec.quantizer = "magic";
  EXPECT_THAT(error_of(weight, spec),
              HasSubstr("no quantizing method is called \"magic\"; there are rtn"));
  spec = spec_of("2:4", "int4", Order::kJoint);
  spec.joint = "";
  EXPECT_THAT(error_of(weight, spec),
              HasSubstr("no joint method is called \"\"; there are gain_mask"));
  spec = spec_of("2:4", nullptr);
  spec.format = NumberFormat::parse("int8:token", Role::kActivation);
  EXPECT_THAT(error_of(weight, spec), HasSubstr("is spelled for activations"));
}

TEST_F(CompressedMatrixTest, OrdersAreNamed) {
  for (const Order order : kOrders) EXPECT_EQ(parse_order(order_name(order)), order);
  EXPECT_THROW(parse_order("sideways"), Error);
}

TEST_F(CompressedMatrixTest, EveryMethodIsFoundByItsName) {
  for (const auto& method : all_pruners()) EXPECT_EQ(find_pruner(method.name), &method);
  for (const auto& method : all_quantizers()) EXPECT_EQ(find_quantizer(method.name), &method);
  for (const auto& method : all_joint_solvers()) {
    EXPECT_EQ(find_joint_solver(method.name), &method);
  }
}

}  // namespace
}  // namespace scant
