#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace scant {

enum class Better : uint8_t { kLower, kHigher };

/// One figure and what it was averaged from, so that intervals and paired differences can be made:
/// value = f(sum of `sums` / sum of `counts`), one entry per sample (window).
struct Metric {
  std::string name;  ///< "nll"
  double value = 0;
  Better better = Better::kLower;
  std::vector<double> sums;
  std::vector<double> counts;
};

struct Interval {
  double low = 0;
  double high = 0;
};

/// How often each of `samples` samples is drawn in resample `round` of a bootstrap. The same seed
/// gives the same draws, whatever is resampled: that makes differences of two metrics paired.
std::vector<int32_t> bootstrap_draws(int64_t samples, int64_t round, uint64_t seed);

constexpr int64_t kBootstrapRounds = 1000;

/// 95% percentile interval of the difference of two means over the same samples: both are resampled
/// with the same draws, so what they have in common cancels.
Interval bootstrap_difference(const Metric& metric, const Metric& baseline, uint64_t seed,
                              int64_t rounds = kBootstrapRounds);

/// 95% percentile interval of sum(sums) / sum(counts) under resampling of samples.
Interval bootstrap_mean(const Metric& metric, uint64_t seed, int64_t rounds = kBootstrapRounds);

}  // namespace scant
