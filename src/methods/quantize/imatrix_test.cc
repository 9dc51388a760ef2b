#include <algorithm>

#include "methods/calibrated_test.h"
#include "methods/orders.h"

namespace scant {
namespace {

using ImatrixTest = CalibratedTest;

TEST_F(ImatrixTest, NeverLosesMoreByWeightedErrorThanOtherScalesOfTheSearch) {
  const std::vector<float> importance = inputs.squared_norms();
  const auto weighted = [&](const CompressedMatrix& result) {
    return squared_error(weight.view(), result.values.view(), importance, context);
  };
  for (const char* format :
       {"int4:g128", "int4", "int3:g32:asym", "int4:tensor", "mxfp4", "nf4", "ternary", "hbfp4"}) {
    const double ours = weighted(compress(nullptr, format, "", "imatrix"));
    const std::string searched = std::string(format) + ":mse";
    EXPECT_LE(ours, weighted(compress(nullptr, format, "", "rtn")) * (1 + 1e-12)) << format;
    EXPECT_LE(ours, weighted(compress(nullptr, searched.c_str(), "", "rtn")) * (1 + 1e-12))
        << format;
  }
  EXPECT_LT(weighted(compress(nullptr, "int3:g32", "", "imatrix")),
            0.99 * weighted(compress(nullptr, "int3:g32:mse", "", "rtn")));
}

TEST_F(ImatrixTest, WithEqualInputsItIsTheSearchOfTheFormat) {
  Matrix same = Matrix::zeros(200, 200);
  for (int64_t c = 0; c < 200; ++c) same(c, c) = 2.0f;
  const InputStatistics equal(std::move(same));
  CompressionSpec spec;
  spec.format = NumberFormat::parse("int3:g32", Role::kWeight);
  spec.quantizer = "imatrix";
  const CompressedMatrix ours = compress_matrix(weight.view(), spec, {&equal}, context);
  const CompressedMatrix mse = compress(nullptr, "int3:g32:mse", "", "rtn");
  EXPECT_EQ(ours.quantized->scales, mse.quantized->scales);
  EXPECT_EQ(ours.quantized->codes, mse.quantized->codes);
  EXPECT_EQ(ours.quantized->format.spelling(), "int3:g32");
}

TEST_F(ImatrixTest, KeepsAMaskAndLeavesPrunedWeightsOutOfTheSearch) {
  const CompressedMatrix ours = compress("2:4", "int3:g32", "wanda", "imatrix");
  const Mask mask = *compress("2:4", nullptr, "wanda", "").mask;
  EXPECT_EQ(*ours.mask, mask);
  Matrix pruned = Matrix::copy_of(weight.view());
  prune_values(pruned.view(), mask, context);
  CompressionSpec spec;
  spec.format = NumberFormat::parse("int3:g32", Role::kWeight);
  spec.quantizer = "imatrix";
  const CompressedMatrix alone = compress_matrix(pruned.view(), spec, statistics, context);
  EXPECT_EQ(ours.quantized->scales, alone.quantized->scales);
}

}  // namespace
}  // namespace scant
