#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

namespace scant {

// Reductions over the logits of one position when the vocabulary arrives in slices. Each holds what
// has been seen so far; add the slices in any order.

/// log sum_i e^(x_i), as max + log(sum): exact to float32 rounding for any magnitude.
struct OnlineLogSumExp {
  float max = -std::numeric_limits<float>::infinity();
  double sum = 0;  ///< of e^(x - max)

  void add(std::span<const float> logits);
  /// -infinity before the first logit.
  double value() const;
};

/// The largest logit and where it is: the first of equals.
struct OnlineArgmax {
  float value = -std::numeric_limits<float>::infinity();
  int64_t index = -1;

  /// `first`: index of logits[0] in the vocabulary. Slices in ascending order.
  void add(std::span<const float> logits, int64_t first);
};

/// KL(p || q) = sum_i p_i (log p_i - log q_i) in nats, p = softmax of the reference's logits a, q =
/// softmax of the model's logits b. With log p_i = a_i - A and log q_i = b_i - B this is
/// sum_i p_i (a_i - b_i) - A + B.
struct OnlineDivergence {
  OnlineLogSumExp reference;
  OnlineLogSumExp model;
  double weighted = 0;  ///< sum of e^(a - max) (a - b), max the reference's

  void add(std::span<const float> reference_logits, std::span<const float> model_logits);
  double value() const;
};

/// The row of the kernel table that runs now, for messages and tests.
std::string_view softmax_kernel();

}  // namespace scant
