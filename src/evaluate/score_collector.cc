#include "evaluate/score_collector.h"

#include <algorithm>
#include <cmath>

namespace scant {
namespace {

double percentile(std::vector<float> values, double share) {
  if (values.empty()) return 0;
  const auto rank =
      static_cast<ptrdiff_t>(std::ceil(share * static_cast<double>(values.size())) - 1);
  const auto at =
      values.begin() + std::clamp<ptrdiff_t>(rank, 0, static_cast<ptrdiff_t>(values.size()) - 1);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

}  // namespace

void WindowSums::add(double sum, size_t positions) {
  metric_.sums.push_back(sum);
  metric_.counts.push_back(static_cast<double>(positions));
  total_ += sum;
  count_ += static_cast<double>(positions);
}

Metric WindowSums::finish() {
  metric_.value = total_ / count_;
  return std::move(metric_);
}

void ScoreCollector::add(const HeadScores& scores) {
  const size_t positions = scores.size();
  double nll = 0;
  for (size_t p = 0; p < positions; ++p) nll += scores.nll(p);
  nll_.add(nll, positions);
  if (scores.divergence.empty()) return;
  double reference = 0;
  double kl = 0;
  for (size_t p = 0; p < positions; ++p) {
    reference += scores.reference_nll(p);
    const double value = scores.divergence[p].value();
    kl += value;
    kl_values_.push_back(static_cast<float>(value));
    agreeing_ += scores.top[p].index == scores.reference_top[p].index ? 1 : 0;
  }
  reference_nll_.add(reference, positions);
  kl_.add(kl, positions);
}

TextScores ScoreCollector::finish() {
  TextScores result;
  result.nll = nll_.finish();
  if (kl_values_.empty()) return result;
  result.reference_nll = reference_nll_.finish();
  Divergence divergence;
  divergence.kl = kl_.finish();
  divergence.top1_agreement =
      static_cast<double>(agreeing_) / static_cast<double>(kl_values_.size());
  divergence.kl_p99 = percentile(std::move(kl_values_), 0.99);
  result.divergence = std::move(divergence);
  return result;
}

}  // namespace scant
