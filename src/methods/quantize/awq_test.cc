#include <algorithm>
#include <cmath>

#include "core/dtype.h"
#include "methods/calibrated_test.h"
#include "ops/simulate/simulate.h"

namespace scant {
namespace {

using AwqTest = CalibratedTest;

TEST_F(AwqTest, IsNeverAboveRoundingToNearestAndOftenBelow) {
  int64_t below = 0, all = 0;
  for (const char* format : {"int4:g128", "int4", "int3:g32:asym", "int4:tensor", "mxfp4", "nvfp4",
                             "nf4", "fp8_e4m3", "ternary", "binary", "hbfp4", "bf16"}) {
    const double ours = *compress(nullptr, format, "", "awq").output_error;
    const double nearest = *compress(nullptr, format, "", "rtn").output_error;
    EXPECT_LE(ours, nearest) << format;
    ++all;
    below += ours < 0.9 * nearest;
  }
  EXPECT_GE(below, all / 2);
}

TEST_F(AwqTest, ValuesAreCodesTimesScalesTimesStorableFactors) {
  for (const char* format : {"int4:g32", "int3:asym", "mxfp4", "nvfp4", "ternary"}) {
    for (const char* pattern : {static_cast<const char*>(nullptr), "2:4", "50%"}) {
      const CompressedMatrix ours = compress(pattern, format, "wanda", "awq");
      const std::vector<float>& factors = ours.quantized->column_factors;
      ASSERT_EQ(static_cast<int64_t>(factors.size()), weight.cols());
      for (const float factor : factors) {
        ASSERT_EQ(factor, f16_to_f32(f32_to_f16(factor)));
        ASSERT_TRUE(factor > 0 && std::isfinite(factor));
      }
      Matrix plain(weight.rows(), weight.cols()), fast(weight.rows(), weight.cols());
      dequantize(*ours.quantized, plain.view());
      dequantize_matrix(*ours.quantized, fast.view(), context);
      for (int64_t i = 0; i < weight.size(); ++i) {
        ASSERT_EQ(plain.data()[i], ours.values.data()[i]) << format;
        ASSERT_EQ(fast.data()[i], plain.data()[i]) << format;
      }
    }
  }
}

TEST_F(AwqTest, PrunersThatFollowKeepItsGridAndFactors) {
  const CompressedMatrix dense = compress(nullptr, "int4:g32", "", "awq");
  ASSERT_TRUE(std::ranges::any_of(dense.quantized->column_factors,
                                  [](float factor) { return factor != 1.0f; }));
  for (const char* pruner : {"magnitude", "wanda", "sparsegpt", "alps"}) {
    const CompressedMatrix both = compress("2:4", "int4:g32", pruner, "awq", Order::kQuantizeFirst);
    EXPECT_EQ(both.quantized->scales, dense.quantized->scales) << pruner;
    EXPECT_EQ(both.quantized->column_factors, dense.quantized->column_factors) << pruner;
    Matrix decoded(weight.rows(), weight.cols());
    dequantize(*both.quantized, decoded.view());
    for (int64_t i = 0; i < weight.size(); ++i) {
      ASSERT_EQ(decoded.data()[i], both.values.data()[i]) << pruner;
    }
  }
  // A sweep over the scaled columns really makes good for what it prunes.
  EXPECT_LT(*compress("2:4", "int4:g32", "sparsegpt", "awq", Order::kQuantizeFirst).output_error,
            0.9 * *compress("2:4", "int4:g32", "wanda", "awq", Order::kQuantizeFirst).output_error);
}

TEST_F(AwqTest, ItsFactorsCountInTheStoredSize) {
  CompressionSpec spec;
  spec.format = NumberFormat::parse("int4:g32", Role::kWeight);
  const NumberFormat plain = NumberFormat::parse("bf16", Role::kWeight);
  const StoredSize nearest = compressed_size(32, 200, spec, plain, 32 * 200);
  spec.quantizer = "awq";
  const StoredSize ours = compressed_size(32, 200, spec, plain, 32 * 200);
  EXPECT_EQ(ours.column_factors, 2 * 200);
  EXPECT_EQ(ours.total(), nearest.total() + 2 * 200);
  spec.format = plain;
  EXPECT_EQ(compressed_size(32, 200, spec, plain, 32 * 200).column_factors, 0);
  EXPECT_TRUE(compress(nullptr, "bf16", "", "awq").quantized->column_factors.empty());
  // A joint solver has no quantizer besides.
  spec.pattern = SparsityPattern::parse("2:4");
  spec.format = NumberFormat::parse("int4:g32", Role::kWeight);
  spec.order = Order::kJoint;
  EXPECT_EQ(compressed_size(32, 200, spec, plain, 32 * 100).column_factors, 0);
}

}  // namespace
}  // namespace scant
