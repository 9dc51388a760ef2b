// The statements of docs/theory.md as properties, over blocks that produce ties and over
// every number format to which the premises apply.
#include "methods/orders.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>

#include "core/random.h"
#include "methods/interplay.h"
#include "methods/joint/joint_solver.h"
#include "methods/random_blocks_test.h"

namespace scant {
namespace {

constexpr int64_t kCols = 128;

NumberFormat weights(std::string_view spelling) {
  return NumberFormat::parse(spelling, Role::kWeight);
}

std::vector<NumberFormat> max_scaled_formats() {
  std::vector<NumberFormat> formats;
  for (const auto& spelling : number_format_examples(Role::kWeight)) {
    const NumberFormat format = weights(spelling);
    if (format.max_scaled() && !format.is_plain()) formats.push_back(format);
  }
  return formats;
}

std::vector<SparsityPattern> groups_of_four_and_eight() {
  std::vector<SparsityPattern> patterns;
  for (const char* spelling : {"2:4", "1:4", "4:8"}) {
    patterns.push_back(SparsityPattern::parse(spelling));
  }
  return patterns;
}

double norm_to_the(double p, ConstMatrixView values, ConstMatrixView from, const Mask* mask,
                   uint8_t part) {
  double sum = 0;
  for (int64_t r = 0; r < values.rows; ++r) {
    for (int64_t c = 0; c < values.cols; ++c) {
      if (mask != nullptr && (*mask)(r, c) != part) continue;
      sum += std::pow(std::fabs(static_cast<double>(values(r, c)) - from(r, c)), p);
    }
  }
  return sum;
}

struct OrdersTest : testing::Test {
  ThreadPool pool{1};
  Context context{pool};
  Statistics no_statistics;
  Pruner magnitude = magnitude_pruner();
  Quantizer rtn = rtn_quantizer();

  CompressionProblem problem(const Matrix& weight, const SparsityPattern& pattern,
                             const NumberFormat& format) {
    return {weight.view(), pattern, format, magnitude, rtn, no_statistics, 0, 0};
  }

  Matrix quantized_values(const Matrix& weight, const NumberFormat& format) {
    Matrix values(weight.rows(), weight.cols());
    dequantize(quantize(weight.view(), format, {}, context), values.view());
    return values;
  }

  // What an order gives: codes, mask, values and their weighted error.
  struct Result : MaskedCodes {
    Matrix values;
    double error = 0;
  };
  using Solve = MaskedCodes (*)(const CompressionProblem&, MatrixView, Context&);
  Result solve(const CompressionProblem& problem, Solve order) {
    Result result;
    result.values = Matrix(problem.weight.rows, problem.weight.cols);
    static_cast<MaskedCodes&>(result) = order(problem, result.values.view(), context);
    result.error = squared_error(problem.weight, result.values.view(),
                                 problem.pruner.importance(problem.statistics), context);
    return result;
  }
  Result first_of(const CompressionProblem& problem) { return solve(problem, sparsify_first); }
  Result second_of(const CompressionProblem& problem) { return solve(problem, quantize_first); }
  Result joint_of(const CompressionProblem& problem) {
    return solve(problem, gain_mask_solver().solve);
  }
};

// Statement 1.
TEST_F(OrdersTest, SparsifyFirstAddsNothingToTheSeparateErrors) {
  uint64_t stream = 0;
  for (const NumberFormat& format : max_scaled_formats()) {
    for (const SparsityPattern& pattern : groups_of_four_and_eight()) {
      const Matrix weight = random_blocks(kBlockKinds, kCols, ++stream);
      const Result both = first_of(problem(weight, pattern, format));
      const Matrix& values = both.values;
      const Matrix dense = quantized_values(weight, format);
      for (int64_t i = 0; i < weight.size(); ++i) {
        const auto at = static_cast<size_t>(i);
        const float expected = both.mask.keep[at] != 0 ? dense.values()[at] : 0.0f;
        ASSERT_EQ(values.values()[at], expected) << format.spelling() << " " << pattern.spelling();
      }
      const Matrix zeros = Matrix::zeros(weight.rows(), weight.cols());
      for (const double p : {1.0, 2.0, 3.0}) {
        const double total = norm_to_the(p, values.view(), weight.view(), nullptr, 0);
        const double kept = norm_to_the(p, dense.view(), weight.view(), &both.mask, 1);
        const double pruned = norm_to_the(p, zeros.view(), weight.view(), &both.mask, 0);
        const double all_quantized = norm_to_the(p, dense.view(), weight.view(), nullptr, 0);
        ASSERT_NEAR(total, kept + pruned, 1e-9 * total);
        ASSERT_LE(std::pow(total, 1 / p),
                  (std::pow(all_quantized, 1 / p) + std::pow(pruned, 1 / p)) * (1 + 1e-12));
      }
    }
  }
}

// Statement 2, any selections: every format, also those that no other statement covers.
TEST_F(OrdersTest, TheExcessIsTheSumOfGainsForAnySelectionsAtEqualScales) {
  uint64_t stream = 1000;
  for (const auto& spelling : number_format_examples(Role::kWeight)) {
    const Matrix weight = random_blocks(kBlockKinds, kCols, ++stream);
    const Matrix dense = quantized_values(weight, weights(spelling));
    std::array<Mask, 2> masks;
    std::array<Matrix, 2> values;
    for (size_t k = 0; k < 2; ++k) {
      masks[k] = Mask::all(weight.rows(), weight.cols());
      const CounterRandom random(k, stream);
      values[k] = Matrix::copy_of(dense.view());
      for (size_t i = 0; i < masks[k].keep.size(); ++i) masks[k].keep[i] = random.bits(i) % 2;
      prune_values(values[k].view(), masks[k], context);
    }
    const SelectionComparison comparison =
        compare_selections(weight.view(), dense.view(), masks[0], masks[1], context);
    const double size = norm_to_the(2, weight.view(), dense.view(), nullptr, 0) +
                        squared_error(weight.view(), values[0].view(), {}, context);
    ASSERT_NEAR(comparison.excess,
                squared_error(weight.view(), values[1].view(), {}, context) -
                    squared_error(weight.view(), values[0].view(), {}, context),
                1e-12 * size)
        << spelling;
    ASSERT_NEAR(comparison.excess_l1,
                norm_to_the(1, values[1].view(), weight.view(), nullptr, 0) -
                    norm_to_the(1, values[0].view(), weight.view(), nullptr, 0),
                1e-12 * norm_to_the(1, values[0].view(), weight.view(), nullptr, 0))
        << spelling;
  }
}

// The two selections of one N:M group that differ, and what statement 2 says about them.
struct Swaps {
  double pairs_sum = 0;     // sum of 2 v (|x_i| - |x_j|)
  double pairs_sum_l1 = 0;  // sum of 2 (min(|x_i|, v) - min(|x_j|, v))
  int64_t balance = 0;      // wrongly pruned - wrongly kept
  bool are_tied = true;     // all at one |v|
};

Swaps swaps_in(const float* x, const float* v, const uint8_t* by_weight, const uint8_t* by_value,
               int64_t count) {
  Swaps swaps;
  double tie = -1;
  for (int64_t i = 0; i < count; ++i) {
    if (by_weight[i] == by_value[i]) continue;
    const double sign = by_weight[i] != 0 ? 1 : -1;
    const double size = std::fabs(x[i]), value = std::fabs(v[i]);
    swaps.are_tied = swaps.are_tied && (tie < 0 || tie == value);
    tie = value;
    swaps.balance += by_weight[i] != 0 ? 1 : -1;
    swaps.pairs_sum += sign * 2 * value * size;
    swaps.pairs_sum_l1 += sign * 2 * std::min(size, value);
  }
  return swaps;
}

// Statement 2, one scale: the swapped weights are tied, and the excess is the sum over their pairs.
TEST_F(OrdersTest, InsideOneScaleQuantizeFirstLosesExactlyTheTiesThatItSwaps) {
  uint64_t stream = 5000;
  int64_t swapped = 0;
  for (const NumberFormat& format : max_scaled_formats()) {
    for (const SparsityPattern& pattern : groups_of_four_and_eight()) {
      const int64_t m = std::get<NOfMPattern>(pattern.pattern).m;
      const Matrix weight = random_blocks(kBlockKinds, kCols, ++stream);
      const CompressionProblem both = problem(weight, pattern, format);
      const Result first = first_of(both);
      const Result second = second_of(both);
      const Matrix dense = quantized_values(weight, format);
      double pairs = 0, pairs_l1 = 0, size = 0;
      for (int64_t r = 0; r < weight.rows(); ++r) {
        for (int64_t c = 0; c < kCols; c += m) {
          const Swaps swaps = swaps_in(weight.row(r) + c, dense.row(r) + c, first.mask.row(r) + c,
                                       second.mask.row(r) + c, m);
          ASSERT_EQ(swaps.balance, 0);
          if (!swaps.are_tied) {
            // The full integer grid has one code more below zero: only +-max themselves, whose
            // gains are equal, can swap without a tie.
            const auto* integers = std::get_if<IntElement>(&format.element);
            ASSERT_TRUE(integers != nullptr && integers->grid == IntElement::Grid::kFull);
            continue;
          }
          ASSERT_GE(swaps.pairs_sum, 0) << format.spelling() << " " << pattern.spelling();
          ASSERT_GE(swaps.pairs_sum_l1, 0);
          pairs += swaps.pairs_sum;
          pairs_l1 += swaps.pairs_sum_l1;
        }
      }
      for (const float x : weight.values()) size += static_cast<double>(x) * x;
      const SelectionComparison comparison =
          compare_selections(weight.view(), dense.view(), first.mask, second.mask, context);
      ASSERT_NEAR(comparison.excess, pairs, 1e-6 * size) << format.spelling();
      ASSERT_NEAR(comparison.excess_l1, pairs_l1, 1e-6 * std::sqrt(size * kCols));
      ASSERT_NEAR(comparison.excess, second.error - first.error, 1e-6 * size);
      swapped += comparison.wrongly_pruned;
    }
  }
  EXPECT_GT(swapped, 10000);  // the blocks do produce ties
}

TEST_F(OrdersTest, BreakingTiesByTheOriginalMagnitudeRemovesTheExcess) {
  uint64_t stream = 9000;
  int64_t cured = 0;
  for (const NumberFormat& format : max_scaled_formats()) {
    const Matrix weight = random_blocks(kBlockKinds, kCols, ++stream);
    const auto pattern = SparsityPattern::parse("2:4");
    const CompressionProblem both = problem(weight, pattern, format);
    const Matrix dense = quantized_values(weight, format);
    Mask broken = Mask::all(weight.rows(), kCols);
    for (int64_t r = 0; r < weight.rows(); ++r) {
      for (int64_t c = 0; c < kCols; c += 4) {
        std::array<int64_t, 4> order = {0, 1, 2, 3};
        std::ranges::stable_sort(order, {}, [&](int64_t i) {
          return std::pair(std::fabs(dense(r, c + i)), std::fabs(weight(r, c + i)));
        });
        broken.row(r)[c + order[0]] = broken.row(r)[c + order[1]] = 0;
      }
    }
    const double first = first_of(both).error;
    Matrix values = Matrix::copy_of(dense.view());
    prune_values(values.view(), broken, context);
    const double cure = squared_error(weight.view(), values.view(), {}, context);
    ASSERT_NEAR(cure, first, 1e-6 * first) << format.spelling();
    cured += second_of(both).error > first * (1 + 1e-3);
  }
  EXPECT_GT(cured, 50);
}

TEST_F(OrdersTest, AcrossScalesTheExcessHasEitherSign) {
  const NumberFormat format = weights("int3");
  const auto pattern = SparsityPattern::parse("50%");
  int lower = 0, higher = 0;
  for (uint64_t stream = 0; stream < 40; ++stream) {
    const Matrix weight = rows_of_unequal_scale(4, 16, 1.5f, 20000 + stream);
    const CompressionProblem both = problem(weight, pattern, format);
    const Matrix dense = quantized_values(weight, format);
    const SelectionComparison comparison = compare_selections(
        weight.view(), dense.view(), first_of(both).mask, second_of(both).mask, context);
    lower += comparison.excess < 0;
    higher += comparison.excess > 0;
  }
  EXPECT_GT(lower, 0);
  EXPECT_GT(higher, 0);
}

// All masks that keep `n` of `m`, as bits.
std::vector<uint32_t> masks_of(int n, int m) {
  std::vector<uint32_t> masks;
  for (uint32_t bits = 0; bits < 1u << m; ++bits) {
    if (std::popcount(bits) == n) masks.push_back(bits);
  }
  return masks;
}

// Statement 3.
TEST_F(OrdersTest, SparsifyFirstIsOptimalAmongAllMasksAtTheDenseScale) {
  uint64_t stream = 30000;
  for (const NumberFormat& format : max_scaled_formats()) {
    for (const SparsityPattern& pattern : groups_of_four_and_eight()) {
      const auto& groups = std::get<NOfMPattern>(pattern.pattern);
      const auto masks = masks_of(static_cast<int>(groups.n), static_cast<int>(groups.m));
      const Matrix weight = random_blocks(kBlockKinds, 32, ++stream);
      const Matrix dense = quantized_values(weight, format);
      const Mask mask = pattern.select({weight.view(), Scores::Kind::kMagnitude}, context);
      for (int64_t r = 0; r < weight.rows(); ++r) {
        for (int64_t c = 0; c < weight.cols(); c += groups.m) {
          double best = 0, ours = 0, size = 0;
          for (int64_t i = 0; i < groups.m; ++i) {
            const double x = weight(r, c + i);
            ours += mask(r, c + i) != 0 ? gain(x, dense(r, c + i)) : 0.0;
            size += x * x;
          }
          for (const uint32_t bits : masks) {
            double sum = 0;
            for (int64_t i = 0; i < groups.m; ++i) {
              if ((bits >> i & 1) != 0) sum += gain(weight(r, c + i), dense(r, c + i));
            }
            best = std::max(best, sum);
          }
          ASSERT_GE(ours, best - 1e-6 * size) << format.spelling() << " " << pattern.spelling();
        }
      }
    }
  }
}

TEST_F(OrdersTest, InsideOneScaleTheGainDoesNotDecreaseWithTheMagnitude) {
  uint64_t stream = 40000;
  for (const NumberFormat& format : max_scaled_formats()) {
    const Matrix weight = random_blocks(kBlockKinds, 16, ++stream);
    const Matrix dense = quantized_values(weight, format);
    for (int64_t r = 0; r < weight.rows(); ++r) {
      std::array<std::pair<double, double>, 16> pairs;
      for (int64_t c = 0; c < 16; ++c) {
        pairs[static_cast<size_t>(c)] = {std::fabs(weight(r, c)), gain(weight(r, c), dense(r, c))};
      }
      std::ranges::sort(pairs);
      const double size = pairs.back().first * pairs.back().first;
      for (size_t i = 1; i < pairs.size(); ++i) {
        ASSERT_GE(pairs[i].second, pairs[i - 1].second - 1e-6 * size) << format.spelling();
      }
    }
  }
}

TEST_F(OrdersTest, WithAScaleChosenAnewDroppingAnOutlierCanPay) {
  Matrix weight(1, 128);
  std::ranges::fill(weight.values(), 1.5f);
  weight(0, 0) = 10.0f;
  const NumberFormat format = weights("int3:narrow");
  const auto pattern = SparsityPattern::parse("50%:row");
  const CompressionProblem both = problem(weight, pattern, format);
  EXPECT_NEAR(first_of(both).error, 285.75, 1e-4);
  Mask without = Mask::all(1, 128);
  std::fill_n(without.keep.begin(), 64, uint8_t{0});
  QuantizeOptions options;
  options.mask = &without;
  Matrix dropped(1, 128);
  dequantize(quantize(weight.view(), format, options, context), dropped.view());
  EXPECT_TRUE(pattern.allows(without));
  EXPECT_NEAR(squared_error(weight.view(), dropped.view(), {}, context), 241.75, 1e-4);
}

// Statement 4.
TEST_F(OrdersTest, JointIsStrictlyBelowBothOrdersOnRowsOfUnequalScale) {
  for (const char* numbers : {"int3", "int4", "int4:g32", "fp4_e2m1", "mxfp4", "nvfp4", "hbfp4"}) {
    for (const char* spelling : {"50%", "70%", "50%:block=1x4", "50%:block=4x2"}) {
      const Matrix weight = rows_of_unequal_scale(32, 256, 1.1f, 7);
      const NumberFormat format = weights(numbers);
      const auto pattern = SparsityPattern::parse(spelling);
      const CompressionProblem both = problem(weight, pattern, format);
      const double joint = joint_of(both).error;
      EXPECT_LT(joint, first_of(both).error * (1 - 1e-7)) << numbers << " " << spelling;
      EXPECT_LT(joint, second_of(both).error * (1 - 1e-7)) << numbers << " " << spelling;
    }
  }
}

TEST_F(OrdersTest, JointIsSparsifyFirstForGroupsInsideOneScale) {
  uint64_t stream = 50000;
  for (const NumberFormat& format : max_scaled_formats()) {
    const Matrix weight = random_blocks(kBlockKinds, kCols, ++stream);
    const auto pattern = SparsityPattern::parse("2:4");
    const CompressionProblem both = problem(weight, pattern, format);
    const Result joint = joint_of(both);
    const Result first = first_of(both);
    ASSERT_EQ(joint.mask, first.mask) << format.spelling();
    ASSERT_EQ(joint.quantized.codes, first.quantized.codes) << format.spelling();
    ASSERT_EQ(joint.quantized.scales, first.quantized.scales) << format.spelling();
  }
}

TEST_F(OrdersTest, JointIsNeverWorseThanEitherOrderAlsoWithImportance) {
  const Matrix weight = random_blocks(kBlockKinds, 48, 60000);
  Matrix gram = Matrix::zeros(48, 48);
  const CounterRandom random(5, 5);
  for (int64_t c = 0; c < 48; ++c) gram(c, c) = std::exp(random.normal(static_cast<uint64_t>(c)));
  const InputStatistics inputs(std::move(gram));
  const Statistics statistics{&inputs};
  const auto spellings = number_format_examples(Role::kWeight);
  size_t at = 0;
  int strictly = 0;
  for (const SparsityPattern& pattern : SparsityPattern::examples()) {
    for (size_t i = at++ % 13; i < spellings.size(); i += 13) {
      const NumberFormat format = weights(spellings[i]);
      for (const Pruner& pruner : {magnitude, wanda_pruner()}) {
        const CompressionProblem both{weight.view(), pattern,    format, pruner,
                                      rtn,           statistics, 3,      4};
        const double first = first_of(both).error;
        const double second = second_of(both).error;
        const Result joint = joint_of(both);
        const double error = joint.error;
        ASSERT_LE(error, std::min(first, second) * (1 + 1e-12))
            << pruner.name << " " << spellings[i] << " " << pattern.spelling();
        ASSERT_TRUE(pattern.allows(joint.mask));
        strictly += error < std::min(first, second) * (1 - 1e-6);
      }
    }
  }
  EXPECT_GT(strictly, 200);
}

TEST_F(OrdersTest, AFixedScaleRankingByGainIsOptimalAmongAllMasks) {
  // Two rows of different scale, unstructured half of 2 x 5 weights: all 252 masks.
  for (uint64_t stream = 0; stream < 50; ++stream) {
    const Matrix weight = rows_of_unequal_scale(2, 5, 2.0f, 70000 + stream);
    const Matrix dense = quantized_values(weight, weights("int2"));
    Matrix gains(2, 5);
    for (int64_t i = 0; i < 10; ++i) {
      const auto k = static_cast<size_t>(i);
      gains.values()[k] = static_cast<float>(gain(weight.values()[k], dense.values()[k]));
    }
    const Mask mask =
        SparsityPattern::parse("50%").select({gains.view(), Scores::Kind::kAdditive}, context);
    double ours = 0, best = -1e30;
    for (size_t i = 0; i < 10; ++i) ours += mask.keep[i] != 0 ? gains.values()[i] : 0.0f;
    for (const uint32_t bits : masks_of(5, 10)) {
      double sum = 0;
      for (size_t i = 0; i < 10; ++i) sum += (bits >> i & 1) != 0 ? gains.values()[i] : 0.0f;
      best = std::max(best, sum);
    }
    ASSERT_NEAR(ours, best, 1e-6);
  }
}

}  // namespace
}  // namespace scant
