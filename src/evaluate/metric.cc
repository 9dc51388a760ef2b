#include "evaluate/metric.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"

namespace scant {

std::vector<int32_t> bootstrap_draws(int64_t samples, int64_t round, uint64_t seed) {
  const CounterRandom random(seed, static_cast<uint64_t>(round));
  std::vector<int32_t> draws(static_cast<size_t>(samples), 0);
  for (int64_t i = 0; i < samples; ++i) {
    ++draws[random.below(static_cast<uint64_t>(i), static_cast<uint32_t>(samples))];
  }
  return draws;
}

namespace {

double resampled_mean(const Metric& metric, const std::vector<int32_t>& draws) {
  double sum = 0;
  double count = 0;
  for (size_t i = 0; i < draws.size(); ++i) {
    sum += draws[i] * metric.sums[i];
    count += draws[i] * metric.counts[i];
  }
  return sum / count;
}

/// 95% percentile interval of a figure of the draws.
template <typename Figure>
Interval bootstrap(size_t samples, uint64_t seed, int64_t rounds, Figure figure) {
  std::vector<double> values;
  values.reserve(static_cast<size_t>(rounds));
  for (int64_t round = 0; round < rounds; ++round) {
    values.push_back(figure(bootstrap_draws(static_cast<int64_t>(samples), round, seed)));
  }
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<size_t>(
        std::llround(share * static_cast<double>(values.size() - 1)))];
  };
  return {at(0.025), at(0.975)};
}

}  // namespace

Interval bootstrap_mean(const Metric& metric, uint64_t seed, int64_t rounds) {
  return bootstrap(metric.sums.size(), seed, rounds, [&](const std::vector<int32_t>& draws) {
    return resampled_mean(metric, draws);
  });
}

Interval bootstrap_difference(const Metric& metric, const Metric& baseline, uint64_t seed,
                              int64_t rounds) {
  return bootstrap(metric.sums.size(), seed, rounds, [&](const std::vector<int32_t>& draws) {
    return resampled_mean(metric, draws) - resampled_mean(baseline, draws);
  });
}

}  // namespace scant
