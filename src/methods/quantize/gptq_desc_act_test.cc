#include <gmock/gmock.h>

#include <algorithm>

#include "methods/calibrated_test.h"

namespace scant {
namespace {

using testing::HasSubstr;
using GptqDescActTest = CalibratedTest;

TEST_F(GptqDescActTest, ValuesAreItsCodesInTheOrderOfTheInputs) {
  const std::vector<float> norms = inputs.squared_norms();
  for (const char* format : {"int4:g32", "int3:g64:asym", "nvfp4"}) {
    const CompressedMatrix ours = compress(nullptr, format, "", "gptq-desc-act");
    const std::vector<int32_t>& order = ours.quantized->column_order;
    ASSERT_EQ(static_cast<int64_t>(order.size()), weight.cols());
    EXPECT_TRUE(std::ranges::is_sorted(order, std::ranges::greater(), [&](int32_t column) {
      return norms[static_cast<size_t>(column)];
    }));
    Matrix decoded(weight.rows(), weight.cols());
    dequantize(*ours.quantized, decoded.view());
    for (int64_t i = 0; i < weight.size(); ++i) {
      ASSERT_EQ(decoded.data()[i], ours.values.data()[i]) << format;
    }
    EXPECT_LT(*ours.output_error, *compress(nullptr, format, "", "rtn").output_error) << format;
  }
}

TEST_F(GptqDescActTest, WithoutGroupsItIsGptq) {
  for (const char* format : {"int4", "int4:tensor", "bf16"}) {
    const CompressedMatrix ours = compress(nullptr, format, "", "gptq-desc-act");
    EXPECT_TRUE(ours.quantized->column_order.empty()) << format;
    EXPECT_EQ(ours.quantized->codes, compress(nullptr, format, "", "gptq").quantized->codes);
  }
}

TEST_F(GptqDescActTest, ItsOrderCountsInTheStoredSizeAndTakesNoPattern) {
  CompressionSpec spec;
  spec.format = NumberFormat::parse("int4:g32", Role::kWeight);
  spec.quantizer = "gptq-desc-act";
  const NumberFormat plain = NumberFormat::parse("bf16", Role::kWeight);
  EXPECT_EQ(compressed_size(32, 200, spec, plain, 32 * 200).column_order, 4 * 200);
  spec.pattern = SparsityPattern::parse("2:4");
  EXPECT_THAT(*refusal(spec), HasSubstr("takes no sparsity pattern; gptq does"));
  spec.order = Order::kJoint;  // which has no quantizer besides
  EXPECT_FALSE(refusal(spec).has_value());
  EXPECT_EQ(compressed_size(32, 200, spec, plain, 32 * 100).column_order, 0);
  spec.pattern.reset();
  spec.format = NumberFormat::parse("int4", Role::kWeight);
  EXPECT_EQ(compressed_size(32, 200, spec, plain, 32 * 200).column_order, 0);
}

}  // namespace
}  // namespace scant
