#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/random.h"
#include "evaluate/metric.h"
#include "evaluate/sample_source.h"

namespace scant {
namespace {

std::vector<int32_t> counting_ids(int32_t count) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

TEST(TextWindows, FixedWindowsDoNotOverlapAndTheRemainderIsDropped) {
  const TextWindows windows(counting_ids(1050), {.window = 100}, "text");
  EXPECT_EQ(windows.size(), 10);
  EXPECT_EQ(windows.tokens_used(), 1000);
  EXPECT_EQ(windows.predictions(), 10 * 99);
  EXPECT_EQ(windows.sample(3).state.tokens.front(), 300);
  EXPECT_EQ(windows.sample(3).first_scored, 1);
}

TEST(TextWindows, MaxTokensKeepsTheFirstIds) {
  const TextWindows windows(counting_ids(1050), {.window = 100, .max_tokens = 250}, "text");
  EXPECT_EQ(windows.size(), 2);
}

TEST(TextWindows, StridedWindowsScoreEveryTokenButTheFirstExactlyOnce) {
  for (const int64_t stride : {1, 7, 50, 99}) {
    const TextWindows windows(counting_ids(433), {.window = 100, .stride = stride}, "text");
    std::vector<int> scored(433, 0);
    for (int64_t i = 0; i < windows.size(); ++i) {
      const Sample sample = windows.sample(i);
      EXPECT_LE(sample.state.tokens.size(), 100u);
      for (size_t p = static_cast<size_t>(sample.first_scored); p < sample.state.tokens.size();
           ++p) {
        ++scored[static_cast<size_t>(sample.state.tokens[p])];
      }
    }
    EXPECT_EQ(scored[0], 0);
    EXPECT_EQ(std::count(scored.begin() + 1, scored.end(), 1), 432) << stride;
    EXPECT_EQ(windows.predictions(), 432);
  }
}

TEST(TextWindows, ATextShorterThanOneWindowIsAnError) {
  EXPECT_THROW(TextWindows(counting_ids(99), {.window = 100}, "text"), Error);
  EXPECT_THROW(TextWindows(counting_ids(1), {.window = 100, .stride = 5}, "text"), Error);
  EXPECT_THROW(TextWindows(counting_ids(200), {.window = 100, .stride = 101}, "text"), Error);
  EXPECT_THROW(TextWindows(counting_ids(200), {.window = 1}, "text"), Error);
}

Metric normal_metric(uint64_t stream, double mean, double deviation, int64_t samples) {
  const CounterRandom random(3, stream);
  Metric metric;
  for (int64_t i = 0; i < samples; ++i) {
    metric.counts.push_back(10);
    metric.sums.push_back(10 * (mean + deviation * random.normal(static_cast<uint64_t>(i))));
  }
  return metric;
}

TEST(Bootstrap, TheIntervalHasTheWidthOfTheStandardError) {
  const Metric metric = normal_metric(1, 2.0, 0.5, 400);
  const Interval interval = bootstrap_mean(metric, 0);
  EXPECT_NEAR(interval.high - interval.low, 2 * 1.96 * 0.5 / 20, 0.015);
  EXPECT_LT(interval.low, 2.05);
  EXPECT_GT(interval.high, 1.95);
}

TEST(Bootstrap, APairedDifferenceIsNarrowerThanTheIntervalsOfItsTerms) {
  const Metric baseline = normal_metric(1, 2.0, 0.5, 400);
  Metric shifted = baseline;
  const Metric noise = normal_metric(2, 0.1, 0.01, 400);
  for (size_t i = 0; i < shifted.sums.size(); ++i) shifted.sums[i] += noise.sums[i];
  const Interval difference = bootstrap_difference(shifted, baseline, 0);
  EXPECT_NEAR((difference.low + difference.high) / 2, 0.1, 0.002);
  EXPECT_LT(difference.high - difference.low, 0.005);
}

TEST(Bootstrap, TheSameSeedGivesTheSameDrawsAndAnotherSeedOthers) {
  EXPECT_EQ(bootstrap_draws(50, 3, 1), bootstrap_draws(50, 3, 1));
  EXPECT_NE(bootstrap_draws(50, 3, 1), bootstrap_draws(50, 3, 2));
  const auto draws = bootstrap_draws(50, 3, 1);
  EXPECT_EQ(std::accumulate(draws.begin(), draws.end(), 0), 50);
}

}  // namespace
}  // namespace scant
