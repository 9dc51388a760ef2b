#include "methods/calibrated_test.h"

namespace scant {
namespace {

using ObrTest = CalibratedTest;

TEST_F(ObrTest, KeepsWandasMaskAndPutsValuesOnTheGrid) {
  for (const char* pattern : {"50%", "50%:row", "2:4", "3:7", "50%:block=1x16", "50%:cols"}) {
    for (const char* format : {"int4:g128", "int3:g32:asym", "int4:tensor", "mxfp4", "nvfp4", "nf4",
                               "ternary", "binary", "bf16"}) {
      const std::string what = std::string(pattern) + " " + format;
      if (layout_refusal(NumberFormat::parse(format, Role::kWeight),
                         SparsityPattern::parse(pattern))) {
        continue;
      }
      const CompressedMatrix ours =
          compress(pattern, format, "magnitude", "rtn", Order::kJoint, "obr");
      const CompressedMatrix wanda = compress(pattern, nullptr, "wanda", "");
      EXPECT_EQ(*ours.mask, *wanda.mask) << what;
      Matrix decoded(weight.rows(), weight.cols());
      dequantize(*ours.quantized, decoded.view());
      for (int64_t i = 0; i < weight.size(); ++i) {
        const bool is_kept = ours.mask->keep[static_cast<size_t>(i)] != 0;
        ASSERT_EQ(is_kept ? decoded.data()[i] : 0.0f, ours.values.data()[i]) << what;
      }
    }
  }
}

TEST_F(ObrTest, CompensationLowersTheErrorOfTheOutput) {
  for (const char* pattern : {"50%", "62.5%", "2:4"}) {
    for (const char* format : {"int4:g32", "int3", "mxfp4"}) {
      const double ours =
          *compress(pattern, format, "magnitude", "rtn", Order::kJoint, "obr").output_error;
      EXPECT_LT(ours, 0.8 * *compress(pattern, format, "wanda", "rtn").output_error)
          << pattern << " " << format;
      EXPECT_LT(ours, 1.1 * *compress(pattern, format, "wanda", "gptq").output_error)
          << pattern << " " << format;
    }
  }
}

TEST_F(ObrTest, DoesNotDependOnTheNumberOfThreads) {
  ThreadPool one(1);
  Context alone{one};
  CompressionSpec spec;
  spec.pattern = SparsityPattern::parse("50%");
  spec.format = NumberFormat::parse("int4:g32", Role::kWeight);
  spec.order = Order::kJoint;
  spec.joint = "obr";
  const CompressedMatrix a = compress_matrix(weight.view(), spec, statistics, alone);
  const CompressedMatrix b = compress_matrix(weight.view(), spec, statistics, context);
  EXPECT_EQ(a.quantized->codes, b.quantized->codes);
  EXPECT_EQ(a.quantized->scales, b.quantized->scales);
  EXPECT_EQ(a.output_error, b.output_error);
}

}  // namespace
}  // namespace scant
