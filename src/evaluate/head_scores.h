#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "evaluate/perplexity.h"
#include "kernels/softmax/softmax.h"

namespace scant {

/// What the head says about the scored positions of one sample.
struct HeadScores {
  int64_t first_scored = 1;
  std::vector<OnlineLogSumExp> normalizer;  ///< one per scored position
  std::vector<float> target_logit;
  std::vector<OnlineArgmax> top;
  /// Only with a reference: the same of the reference, and the divergence from it.
  std::vector<OnlineDivergence> divergence;
  std::vector<float> reference_target_logit;
  std::vector<OnlineArgmax> reference_top;

  double nll(size_t position) const {
    return normalizer[position].value() - static_cast<double>(target_logit[position]);
  }
  double reference_nll(size_t position) const {
    return divergence[position].reference.value() -
           static_cast<double>(reference_target_logit[position]);
  }
  size_t size() const { return target_logit.size(); }
};

/// A subject and its states of some samples after all stages.
struct FinishedStates {
  const Subject* subject = nullptr;
  std::span<const State> states;
};

/// Runs the heads over finished states of the same samples, a slice of the vocabulary at a time:
/// memory is a slice of every distinct head and two slices of logits per thread. The reference's
/// logits are computed once for all subjects; without a reference pass null. The result is by
/// subject, then by sample. `after_slice(share done)` reports progress.
std::vector<std::vector<HeadScores>> score_heads(
    std::span<const FinishedStates> subjects, const FinishedStates* reference,
    std::span<const int64_t> first_scored, Context& context,
    const std::function<void(double)>& after_slice = {});

}  // namespace scant
