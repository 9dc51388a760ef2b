#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/context.h"
#include "evaluate/metric.h"
#include "evaluate/sample_source.h"
#include "models/model.h"

namespace scant {

/// A model and the weights to evaluate it with (its own, or substitutes).
struct Subject {
  const Model& model;
  const WeightSource& weights;
  explicit Subject(const Model& m) : model(m), weights(m.weights()) {}
  Subject(const Model& m, const WeightSource& w) : model(m), weights(w) {}
};

/// How one distribution over the next token departs from another's, over all scored positions.
struct Divergence {
  Metric kl;                  ///< mean KL(reference || subject), nats
  double kl_p99 = 0;          ///< 99th percentile over positions
  double top1_agreement = 0;  ///< share of positions with the same most likely token
};

/// What a model says of a text, one entry per window.
struct TextScores {
  Metric nll;  ///< mean negative log-likelihood, nats per token
  std::optional<Divergence> divergence;
  std::optional<Metric> reference_nll;
};

struct Evaluation : TextScores {
  double perplexity = 0;
  Interval perplexity_interval;  ///< 95%, bootstrap over windows
  int64_t tokens = 0;            ///< ids read
  int64_t predictions = 0;       ///< positions scored
  int64_t windows = 0;
  double seconds = 0;
  double tokens_per_second = 0;
};

struct EvaluateOptions {
  int64_t batch = 16;  ///< windows whose hidden states are kept at once
  uint64_t bootstrap_seed = 0;
  std::string task = "perplexity";  ///< named in progress
};

/// Perplexity of `subject` over `source`; with `reference`, divergence from it on the same samples
/// (both models must have the same vocabulary; throws Error otherwise). Memory: one block's or one
/// slice of the head's weights, and `batch` hidden states.
Evaluation evaluate(const Subject& subject, const Subject* reference, const TextWindows& source,
                    const EvaluateOptions& options, Context& context);

/// evaluate() of several subjects against one reference, which is run once: one result each.
/// `options.task` names the whole in progress.
std::vector<Evaluation> evaluate_all(std::span<const Subject> subjects, const Subject* reference,
                                     const TextWindows& source, const EvaluateOptions& options,
                                     Context& context);

/// How long evaluate() would take, measured on one window per thread.
double estimate_evaluation_seconds(const Subject& subject, const TextWindows& source,
                                   Context& context);

/// Negative log-likelihood of each scored position of one sample: for tests against
/// other implementations.
std::vector<float> token_nll(const Subject& subject, const Sample& sample, Context& context);

}  // namespace scant
