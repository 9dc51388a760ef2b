#include "compress/interplay/analysis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compress/interplay/testing_study.h"
#include "core/error.h"

namespace scant {
namespace {

constexpr Order kSQ = Order::kSparsifyFirst;
constexpr Order kQS = Order::kQuantizeFirst;

/// Dense, 2:4, int4 and 2:4+int4 sparsify-first with these windows.
Study four_cells(const std::vector<double>& dense, const std::vector<double>& sparse,
                 const std::vector<double>& quantized, const std::vector<double>& both) {
  Study study = empty_study();
  study.cells = {measured_cell(cell_spec("", ""), dense),
                 measured_cell(cell_spec("2:4", ""), sparse),
                 measured_cell(cell_spec("", "int4"), quantized),
                 measured_cell(cell_spec("2:4", "int4", kSQ), both)};
  return study;
}

void expect_exactly(const Estimate& estimate, double value) {
  EXPECT_EQ(estimate.value, value);
  EXPECT_EQ(estimate.interval.low, value);
  EXPECT_EQ(estimate.interval.high, value);
}

/// Values that are multiples of 1/1024, so that sums of them are exact.
std::vector<double> dyadic_windows(int64_t windows, uint64_t stream) {
  std::vector<double> values = noisy_windows(windows, 3, 0.5, stream);
  for (double& value : values) value = std::round(value * 1024) / 1024;
  return values;
}

TEST(StudyAnalysis, IdenticalCellsDifferByExactlyZero) {
  const std::vector<double> same = noisy_windows(20, 3, 0.5, 1);
  Study study = four_cells(same, same, same, same);
  study.cells.push_back(measured_cell(cell_spec("2:4", "int4", kQS), same));
  const StudyAnalysis analysis = analyze(study);
  for (const auto& cell : analysis.cells) expect_exactly(cell->nll_difference, 0);
  ASSERT_EQ(analysis.combinations.size(), 2u);
  for (const Combination& combination : analysis.combinations) {
    expect_exactly(combination.nll.excess, 0);
    expect_exactly(combination.perplexity.excess, 0);
    EXPECT_FALSE(combination.nll.ratio.has_value());
    EXPECT_FALSE(combination.perplexity.ratio.has_value());
    EXPECT_EQ(combination.dominant, Dominant::kNeither);
    EXPECT_EQ(combination.verdict, Verdict::kOrthogonal);
    EXPECT_EQ(combination.reason, "at the threshold in both");
  }
  ASSERT_EQ(analysis.orders.size(), 1u);
  expect_exactly(analysis.orders[0].nll, 0);
  expect_exactly(analysis.orders[0].perplexity, 0);
  EXPECT_FALSE(analysis.orders[0].better.has_value());
}

TEST(StudyAnalysis, AConstantShiftOfEveryWindowHasAnIntervalOfNoWidth) {
  const std::vector<double> dense = dyadic_windows(16, 2);
  const StudyAnalysis analysis =
      analyze(four_cells(dense, shifted(dense, 0.25), shifted(dense, 0.5), shifted(dense, 0.875)));
  // Sums of dyadic values are exact; the division by the count rounds, hence the tolerance.
  const auto near = [](const Estimate& estimate, double value) {
    EXPECT_NEAR(estimate.value, value, 1e-14);
    EXPECT_NEAR(estimate.interval.low, value, 1e-14);
    EXPECT_NEAR(estimate.interval.high, value, 1e-14);
  };
  near(analysis.cells[1]->nll_difference, 0.25);
  near(analysis.cells[2]->nll_difference, 0.5);
  const Combination& combination = analysis.combinations.at(0);
  near(combination.nll.excess, 0.125);
  near(*combination.nll.ratio, 0.875 / 0.75);
  near(combination.imbalance, -0.25);
  EXPECT_EQ(combination.dominant, Dominant::kFormat);
  EXPECT_EQ(combination.verdict, Verdict::kCompounding);
  EXPECT_EQ(combination.reason, "above in both");
}

TEST(StudyAnalysis, LossesThatAddInNllAreNotCompoundingAndMultiplyInPerplexity) {
  for (uint64_t stream = 0; stream < 50; ++stream) {
    const std::vector<double> dense = noisy_windows(24, 3, 0.5, 4 * stream);
    const std::vector<double> s = noisy_windows(24, 0.2, 0.05, 4 * stream + 1);
    const std::vector<double> q = noisy_windows(24, 0.3, 0.05, 4 * stream + 2);
    std::vector<double> sparse = dense, quantized = dense, both = dense;
    for (size_t i = 0; i < dense.size(); ++i) {
      sparse[i] += s[i];
      quantized[i] += q[i];
      both[i] += s[i] + q[i];
    }
    const StudyAnalysis analysis = analyze(four_cells(dense, sparse, quantized, both));
    const Combination& combination = analysis.combinations.at(0);
    expect_exactly(combination.nll.excess, 0);
    EXPECT_EQ(combination.verdict, Verdict::kDependsOnScale);
    EXPECT_EQ(combination.reason, "above in perplexity, at the threshold in NLL");
  }
}

TEST(StudyAnalysis, SavingsInBothScalesAreOrthogonal) {
  const std::vector<double> dense = noisy_windows(16, 3, 0.5, 3);
  const StudyAnalysis analysis =
      analyze(four_cells(dense, shifted(dense, 0.25), shifted(dense, 0.5), shifted(dense, 0.5)));
  EXPECT_EQ(analysis.combinations.at(0).verdict, Verdict::kOrthogonal);
  EXPECT_EQ(analysis.combinations.at(0).reason, "below in both");
}

TEST(StudyAnalysis, NoiseIsNeverCalledADifference) {
  // Windows whose losses are random signs in equal number: every mean is equal by construction.
  int called = 0;
  for (uint64_t stream = 0; stream < 40; ++stream) {
    const std::vector<double> dense = noisy_windows(32, 3, 0.5, stream);
    const auto balanced = [&](uint64_t own) {
      std::vector<double> values = dense;
      const std::vector<double> jitter = noisy_windows(16, 0, 0.1, 1000 + own);
      for (size_t i = 0; i < 16; ++i) {
        values[2 * i] += jitter[i];
        values[2 * i + 1] -= jitter[i];
      }
      return values;
    };
    Study study =
        four_cells(dense, balanced(4 * stream), balanced(4 * stream + 1), balanced(4 * stream + 2));
    study.cells.push_back(measured_cell(cell_spec("2:4", "int4", kQS), balanced(4 * stream + 3)));
    const StudyAnalysis analysis = analyze(study);
    for (const Combination& combination : analysis.combinations) {
      called += combination.nll.excess.outside_noise();
      called += combination.dominant != Dominant::kNeither;
      called += combination.nll.ratio.has_value();
      EXPECT_NE(combination.verdict, Verdict::kCompounding);
    }
    called += analysis.orders.at(0).better.has_value();
    for (size_t i = 1; i < 5; ++i) called += analysis.cells[i]->nll_difference.outside_noise();
  }
  EXPECT_EQ(called, 0);
}

TEST(StudyAnalysis, WithFewerThanSixWindowsNothingIsOutsideNoise) {
  for (const int64_t windows : {1, 2, 5}) {
    const std::vector<double> dense = noisy_windows(windows, 3, 0.5, 3);
    const StudyAnalysis analysis =
        analyze(four_cells(dense, shifted(dense, 1), shifted(dense, 1), shifted(dense, 4)));
    const Combination& combination = analysis.combinations.at(0);
    EXPECT_NEAR(combination.nll.excess.value, 2, 1e-12);
    EXPECT_TRUE(std::isnan(combination.nll.excess.interval.low));
    EXPECT_FALSE(combination.nll.ratio.has_value());
    EXPECT_EQ(combination.verdict, Verdict::kDependsOnScale);
    EXPECT_THAT(combination.reason, testing::HasSubstr("too few windows"));
  }
}

/// The plain reference: everything for one figure, from the definitions.
Interval reference_interval(const Study& study,
                            const std::function<double(std::vector<double>)>& f) {
  std::vector<double> figures;
  for (int64_t round = 0; round < kBootstrapRounds; ++round) {
    const auto windows = static_cast<int64_t>(study.cells[0].nll.sums.size());
    const std::vector<int32_t> draws = bootstrap_draws(windows, round, study.input.seed);
    std::vector<double> means;
    for (const Cell& cell : study.cells) {
      double sum = 0, count = 0;
      for (size_t i = 0; i < draws.size(); ++i) {
        sum += draws[i] * cell.nll.sums[i];
        count += draws[i] * cell.nll.counts[i];
      }
      means.push_back(sum / count);
    }
    figures.push_back(f(means));
  }
  std::sort(figures.begin(), figures.end());
  return {figures[25], figures[974]};
}

TEST(StudyAnalysis, ThresholdsAndRatiosAreThoseOfAPlainReference) {
  const Study study = four_cells(noisy_windows(30, 3, 0.5, 1), noisy_windows(30, 3.4, 0.5, 2),
                                 noisy_windows(30, 3.9, 0.5, 3), noisy_windows(30, 4.6, 0.5, 4));
  const StudyAnalysis analysis = analyze(study);
  const Combination& combination = analysis.combinations.at(0);
  using Means = std::vector<double>;
  const auto check = [&](const Estimate& estimate, const std::function<double(Means)>& f) {
    const Interval expected = reference_interval(study, f);
    EXPECT_NEAR(estimate.interval.low, expected.low, 1e-11);
    EXPECT_NEAR(estimate.interval.high, expected.high, 1e-11);
    Means means;
    for (const Cell& cell : study.cells) means.push_back(cell.nll.value);
    EXPECT_NEAR(estimate.value, f(means), 1e-11);
  };
  const auto p = [](double nll) { return std::exp(nll); };
  check(combination.nll.threshold, [](const Means& m) { return m[1] + m[2] - m[0]; });
  check(combination.nll.excess, [](const Means& m) { return m[3] - m[1] - m[2] + m[0]; });
  check(*combination.nll.ratio,
        [](const Means& m) { return (m[3] - m[0]) / (m[1] + m[2] - 2 * m[0]); });
  check(combination.perplexity.threshold,
        [&](const Means& m) { return p(m[1]) + p(m[2]) - p(m[0]); });
  check(combination.perplexity.excess,
        [&](const Means& m) { return p(m[3]) - p(m[1]) - p(m[2]) + p(m[0]); });
  check(*combination.perplexity.ratio,
        [&](const Means& m) { return (p(m[3]) - p(m[0])) / (p(m[1]) + p(m[2]) - 2 * p(m[0])); });
  check(analysis.cells[3]->nll_difference, [](const Means& m) { return m[3] - m[0]; });
  check(analysis.cells[3]->perplexity, [&](const Means& m) { return p(m[3]); });
}

TEST(StudyAnalysis, IntervalsOfOneCellAreThoseOfBootstrapMean) {
  const Study study = made_up_study({"2:4"}, {"int4"}, [](const CellSpec&) { return 0.5; });
  const StudyAnalysis analysis = analyze(study);
  for (size_t i = 0; i < study.cells.size(); ++i) {
    const Interval expected = bootstrap_mean(study.cells[i].nll, study.input.seed);
    EXPECT_DOUBLE_EQ(analysis.cells[i]->nll.interval.low, expected.low);
    EXPECT_DOUBLE_EQ(analysis.cells[i]->nll.interval.high, expected.high);
  }
  const Interval expected =
      bootstrap_difference(study.cells[3].nll, study.cells[1].nll, study.input.seed);
  const Estimate paired = mean_difference(analysis, {3}, {1});
  EXPECT_NEAR(paired.interval.low, expected.low, 1e-14);
  EXPECT_NEAR(paired.interval.high, expected.high, 1e-14);
}

TEST(StudyAnalysis, CombinationsPairWithTheFormatCellOfTheSameActivations) {
  const Study study = made_up_study(
      {"50%", "2:4"}, {"int8", "int4"}, [](const CellSpec&) { return 0.1; }, 0.001, true);
  const StudyAnalysis analysis = analyze(study);
  EXPECT_EQ(analysis.combinations.size(), 2u * 2 * 2 * 3);
  EXPECT_EQ(analysis.orders.size(), 2u * 2 * 2 * 3);
  for (const Combination& combination : analysis.combinations) {
    const CellSpec& both = study.cells[combination.cell].spec;
    const CellSpec& sparsity = study.cells[combination.sparsity_cell].spec;
    const CellSpec& format = study.cells[combination.format_cell].spec;
    EXPECT_EQ(sparsity.name(), both.sparsity->spelling());
    EXPECT_EQ(format.name(), both.format->spelling() + (both.activations ? " activations" : ""));
  }
  for (const OrderDifference& order : analysis.orders) {
    CellSpec a = study.cells[order.cell].spec;
    const CellSpec& b = study.cells[order.against_cell].spec;
    EXPECT_NE(*a.order, *b.order);
    a.order = b.order;
    EXPECT_EQ(a.name(), b.name());
  }
}

TEST(StudyAnalysis, AFailedCellTakesOnlyItsOwnFiguresWithIt) {
  Study study =
      made_up_study({"50%", "2:4"}, {"int8", "int4"}, [](const CellSpec&) { return 0.1; });
  const auto fail = [&](const std::string& name) {
    for (Cell& cell : study.cells) {
      if (cell.spec.name() != name) continue;
      const CellSpec spec = cell.spec;
      cell = Cell{};
      cell.spec = spec;
      cell.failure = "out of memory";
    }
  };
  fail("int8");
  fail("2:4+int4 joint");
  const StudyAnalysis analysis = analyze(study);
  EXPECT_EQ(std::count_if(analysis.cells.begin(), analysis.cells.end(),
                          [](const auto& cell) { return !cell.has_value(); }),
            2);
  EXPECT_EQ(analysis.combinations.size(), 3u + 2);  // 50%+int4, and two orders of 2:4+int4
  EXPECT_EQ(analysis.orders.size(), 12u - 2);
  fail("dense");
  const StudyAnalysis without = analyze(study);
  EXPECT_TRUE(without.combinations.empty());
  EXPECT_TRUE(std::isnan(without.cells[1]->nll_difference.value));
  EXPECT_GT(without.cells[1]->perplexity.value, 1);
}

TEST(StudyAnalysis, OrdersAreNamedBetterOnlyOutsideTheInterval) {
  Study study = made_up_study({"2:4"}, {"int8", "int4"}, [](const CellSpec& spec) {
    const bool late = spec.order == Order::kQuantizeFirst;
    return late && spec.format->code_bits() == 4 ? 0.5 : 0.25;
  });
  const StudyAnalysis analysis = analyze(study);
  for (const OrderDifference& order : analysis.orders) {
    const CellSpec& spec = study.cells[order.cell].spec;
    EXPECT_EQ(order.nll.above(0), order.perplexity.above(0));
    EXPECT_EQ(order.nll.below(0), order.perplexity.below(0));
    if (spec.format->code_bits() == 4 && spec.order == Order::kQuantizeFirst) {
      EXPECT_EQ(order.better, Order::kSparsifyFirst);
      EXPECT_NEAR(order.nll.value, 0.25, 0.01);
    }
  }
}

TEST(StudyAnalysis, CellsOfDifferentWindowsAreAnError) {
  Study study = four_cells({1, 2, 3}, {1, 2, 3}, {1, 2, 3}, {1, 2, 3});
  study.cells[2].nll.sums.pop_back();
  EXPECT_THROW(analyze(study), Error);
}

TEST(StudyAnalysis, AStudyWithoutAnyResultHasNoFigures) {
  Study study = empty_study();
  EXPECT_TRUE(analyze(study).cells.empty());
  Cell cell;
  cell.failure = "stopped";
  study.cells = {cell, cell};
  const StudyAnalysis analysis = analyze(study);
  ASSERT_EQ(analysis.cells.size(), 2u);
  EXPECT_FALSE(analysis.cells[0].has_value());
  EXPECT_FALSE(analysis.cells[1].has_value());
}

TEST(StudyAnalysis, SensitivityIsPairedWithDenseAndWithTheFullCell) {
  Study study = four_cells({1, 2, 3}, {1, 2, 3}, {1, 2, 3}, {1, 2, 3});
  const std::vector<double> dense = dyadic_windows(8, 5);
  Sensitivity ranking;
  ranking.dense = window_metric("nll", dense);
  ranking.full = window_metric("nll", shifted(dense, 1));
  ranking.layers.push_back(
      {0, window_metric("nll", shifted(dense, 0.25)), window_metric("nll", shifted(dense, 0.5))});
  study.sensitivity = ranking;
  const StudyAnalysis analysis = analyze(study);
  ASSERT_EQ(analysis.sensitivity.size(), 1u);
  expect_exactly(analysis.sensitivity[0].alone, 0.25);
  expect_exactly(analysis.sensitivity[0].exempt, 0.5);
}

TEST(StudyAnalysis, MeanDifferencesOfPairsAreThoseOfPooledWindows) {
  const Study study = made_up_study(
      {"2:4"}, {"int8", "int4"}, [](const CellSpec&) { return 0.5; }, 0.1);
  const StudyAnalysis analysis = analyze(study);
  Metric first = study.cells[1].nll, second = study.cells[2].nll;
  for (size_t i = 0; i < first.sums.size(); ++i) {
    first.sums[i] += study.cells[3].nll.sums[i];
    second.sums[i] += study.cells[5].nll.sums[i];
    first.counts[i] *= 2;
    second.counts[i] *= 2;
  }
  const Interval expected = bootstrap_difference(first, second, study.input.seed);
  const Estimate estimate = mean_difference(analysis, {1, 3}, {2, 5});
  EXPECT_NEAR(estimate.interval.low, expected.low, 1e-13);
  EXPECT_NEAR(estimate.interval.high, expected.high, 1e-13);
}

}  // namespace
}  // namespace scant
