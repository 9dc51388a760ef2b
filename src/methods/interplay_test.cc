#include "methods/interplay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "formats/quantized.h"
#include "methods/orders.h"
#include "methods/random_blocks_test.h"

namespace scant {
namespace {

struct InterplayTest : testing::Test {
  ThreadPool pool{1};
  Context context{pool};
};

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

TEST_F(InterplayTest, TheInteractionIsWhatTheCombinedErrorExceedsTheSeparateOnesBy) {
  const auto weight_formats = number_format_examples(Role::kWeight);
  const auto activation_formats = number_format_examples(Role::kActivation);
  const auto pattern = SparsityPattern::parse("2:4");
  int positive = 0, negative = 0;
  for (size_t i = 0; i < weight_formats.size(); ++i) {
    const Matrix weight = random_blocks(kBlockKinds, 64, i);
    const Matrix tokens = random_blocks(kBlockKinds, 64, 10000 + i);
    Matrix quantized(weight.rows(), weight.cols());
    dequantize(
        quantize(weight.view(), NumberFormat::parse(weight_formats[i], Role::kWeight), {}, context),
        quantized.view());
    Matrix activations = Matrix::copy_of(tokens.view());
    const auto& activation_format = activation_formats[i * 31 % activation_formats.size()];
    quantize_in_place(activations.view(), NumberFormat::parse(activation_format, Role::kActivation),
                      {});
    const Mask mask = pattern.select({weight.view(), Scores::Kind::kMagnitude}, context);
    Matrix pruned = Matrix::copy_of(weight.view());
    Matrix both = Matrix::copy_of(quantized.view());
    prune_values(pruned.view(), mask, context);
    prune_values(both.view(), mask, context);
    for (int64_t r = 0; r < weight.rows(); ++r) {
      const DotInteraction result =
          dot_interaction(tokens.row_span(r), activations.row_span(r), weight.row_span(r),
                          quantized.row_span(r), {mask.row(r), static_cast<size_t>(mask.cols)});
      const double exact = dot(tokens.row_span(r), weight.row_span(r));
      const double combined = dot(activations.row_span(r), both.row_span(r)) - exact;
      const double sparsity = dot(tokens.row_span(r), pruned.row_span(r)) - exact;
      const double quantization = dot(activations.row_span(r), quantized.row_span(r)) - exact;
      const double size = std::sqrt(dot(activations.row_span(r), activations.row_span(r)) *
                                    dot(quantized.row_span(r), quantized.row_span(r))) +
                          std::sqrt(dot(tokens.row_span(r), tokens.row_span(r)) *
                                    dot(weight.row_span(r), weight.row_span(r)));
      ASSERT_NEAR(result.combined, combined, 1e-12 * size);
      ASSERT_NEAR(result.sparsity, sparsity, 1e-12 * size);
      ASSERT_NEAR(result.quantization, quantization, 1e-12 * size);
      ASSERT_NEAR(result.interaction, combined - (sparsity + quantization), 1e-12 * size)
          << weight_formats[i] << " with " << activation_format;
      ASSERT_LE(std::fabs(result.interaction), result.bound * (1 + 1e-12));
      positive += result.interaction > 1e-3 * result.bound;
      negative += result.interaction < -1e-3 * result.bound;
    }
  }
  EXPECT_GT(positive, 100);
  EXPECT_GT(negative, 100);
}

TEST_F(InterplayTest, TheBoundIsReachedWhenBothPartsAreParallel) {
  // One pruned weight, no error of the weight: I = e_a e_s exactly.
  const std::vector<float> a = {1.0f, 2.0f}, qa = {1.5f, 2.0f}, w = {3.0f, 1.0f};
  const std::vector<uint8_t> keep = {0, 1};
  const DotInteraction result = dot_interaction(a, qa, w, w, keep);
  EXPECT_DOUBLE_EQ(result.interaction, -1.5);
  EXPECT_DOUBLE_EQ(result.bound, 1.5);
}

TEST_F(InterplayTest, SwappedAndCollapsedWeightsAreCounted) {
  Matrix weight(1, 8);
  Matrix quantized(1, 8);
  const std::array<float, 8> x = {0.9f, -1.1f, 0.2f, 1.0f, 3.0f, 2.0f, 0.1f, 0.1f};
  const std::array<float, 8> v = {1.0f, -1.0f, 0.0f, 1.0f, 3.0f, 2.0f, 0.0f, 0.0f};
  std::ranges::copy(x, weight.row(0));
  std::ranges::copy(v, quantized.row(0));
  const auto pattern = SparsityPattern::parse("2:4");
  const Mask by_weight = pattern.select({weight.view(), Scores::Kind::kMagnitude}, context);
  const Mask by_value = pattern.select({quantized.view(), Scores::Kind::kMagnitude}, context);
  const SelectionComparison none =
      compare_selections(weight.view(), quantized.view(), by_weight, by_value, context);
  EXPECT_EQ(none.wrongly_pruned, 0);  // the lower index, 0.9, is the smallest of the three ties
  const auto collapsed = collapsed_weights(weight.view(), quantized.view(), pattern, context);
  ASSERT_TRUE(collapsed);
  EXPECT_EQ(collapsed->collapsed, 3);  // 0.9, -1.1, 1.0; the two 0.1 were equal before
  EXPECT_EQ(collapsed->tied_at_threshold, 3);
  weight(0, 0) = 1.2f;  // now the index prunes the largest
  const Mask better = pattern.select({weight.view(), Scores::Kind::kMagnitude}, context);
  const SelectionComparison one =
      compare_selections(weight.view(), quantized.view(), better, by_value, context);
  EXPECT_EQ(one.wrongly_pruned, 1);
  EXPECT_EQ(one.wrongly_kept, 1);
  EXPECT_NEAR(one.excess, 2 * (1.2 - 1.0), 1e-6);
  EXPECT_FALSE(collapsed_weights(weight.view(), quantized.view(),
                                 SparsityPattern::parse("50%:rows"), context));
}

}  // namespace
}  // namespace scant
