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

/// Runs the heads over a batch of finished states, a slice of the vocabulary at a time: memory is
/// one slice of each head and one slice of logits per thread. `reference_states` is empty without a
/// reference.
std::vector<HeadScores> score_batch(const Subject& subject, std::span<const State> states,
                                    const Subject* reference,
                                    std::span<const State> reference_states,
                                    std::span<const int64_t> first_scored, Context& context);

}  // namespace scant
