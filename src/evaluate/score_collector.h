#pragma once

#include <string>
#include <vector>

#include "evaluate/head_scores.h"

namespace scant {

/// Sums of one figure per window, and its mean over all positions.
class WindowSums {
 public:
  explicit WindowSums(std::string name) { metric_.name = std::move(name); }
  void add(double sum, size_t positions);
  Metric finish();

 private:
  Metric metric_;
  double total_ = 0;
  double count_ = 0;
};

/// Collects the scores of a subject over the windows of a text, in their order.
class ScoreCollector {
 public:
  void add(const HeadScores& scores);
  /// What was collected; the collector is empty then.
  TextScores finish();

 private:
  WindowSums nll_{"nll"};
  WindowSums reference_nll_{"reference nll"};
  WindowSums kl_{"kl"};
  std::vector<float> kl_values_;
  int64_t agreeing_ = 0;
};

}  // namespace scant
