#include "evaluate/perplexity.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/error.h"
#include "evaluate/head_scores.h"

namespace scant {
namespace {

using Clock = std::chrono::steady_clock;

/// A batch of samples, ready to run.
struct Batch {
  std::vector<State> states;
  std::vector<int64_t> first_scored;
};

Batch load_batch(const SampleSource& source, int64_t begin, int64_t count) {
  Batch batch;
  for (int64_t i = begin; i < begin + count; ++i) {
    Sample sample = source.sample(i);
    batch.states.push_back(std::move(sample.state));
    batch.first_scored.push_back(sample.first_scored);
  }
  return batch;
}

/// Sums of one figure per window, and the mean over all positions.
class WindowMean {
 public:
  explicit WindowMean(const char* name) { metric_.name = name; }
  template <typename Value>
  void add(size_t positions, Value value) {
    double sum = 0;
    for (size_t p = 0; p < positions; ++p) sum += value(p);
    metric_.sums.push_back(sum);
    metric_.counts.push_back(static_cast<double>(positions));
    total_ += sum;
    count_ += static_cast<double>(positions);
  }
  Metric finish() {
    metric_.value = total_ / count_;
    return std::move(metric_);
  }

 private:
  Metric metric_;
  double total_ = 0;
  double count_ = 0;
};

double percentile(std::vector<float> values, double share) {
  if (values.empty()) return 0;
  const auto rank =
      static_cast<ptrdiff_t>(std::ceil(share * static_cast<double>(values.size())) - 1);
  const auto at =
      values.begin() + std::clamp<ptrdiff_t>(rank, 0, static_cast<ptrdiff_t>(values.size()) - 1);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

/// Everything that is collected over the windows of one evaluation.
struct Collector {
  WindowMean nll{"nll"};
  WindowMean reference_nll{"reference nll"};
  WindowMean kl{"kl"};
  std::vector<float> kl_values;
  int64_t agreeing = 0;

  void add(const HeadScores& scores) {
    nll.add(scores.size(), [&](size_t p) { return scores.nll(p); });
    if (scores.divergence.empty()) return;
    reference_nll.add(scores.size(), [&](size_t p) { return scores.reference_nll(p); });
    kl.add(scores.size(), [&](size_t p) {
      const double value = scores.divergence[p].value();
      kl_values.push_back(static_cast<float>(value));
      return value;
    });
    for (size_t p = 0; p < scores.size(); ++p) {
      agreeing += scores.top[p].index == scores.reference_top[p].index ? 1 : 0;
    }
  }
};

void require_same_vocabulary(const Subject& subject, const Subject& reference) {
  const int64_t own = subject.model.head().vocabulary();
  const int64_t other = reference.model.head().vocabulary();
  if (own != other) {
    throw Error(reference.model.checkpoint().path(),
                "has a vocabulary of " + std::to_string(other) + " tokens; expected " +
                    std::to_string(own) + " as in " + subject.model.checkpoint().path());
  }
}

void run_batch(const Subject& subject, Batch& batch, Context& context,
               const std::function<void(size_t)>& after_stage) {
  run_stages(subject.model, subject.weights, batch.states, nullptr, context, after_stage);
}

}  // namespace

Evaluation evaluate(const Subject& subject, const Subject* reference, const TextWindows& source,
                    const EvaluateOptions& options, Context& context) {
  if (reference != nullptr) require_same_vocabulary(subject, *reference);
  const auto start = Clock::now();
  Collector collector;
  Evaluation result;
  result.windows = source.size();
  result.tokens = source.tokens_used();
  result.predictions = source.predictions();
  const double models = reference == nullptr ? 1 : 2;
  for (int64_t begin = 0; begin < source.size(); begin += options.batch) {
    const int64_t count = std::min(options.batch, source.size() - begin);
    // Progress inside a batch: a stage is a part of it, the heads are counted as two stages.
    const double per_window =
        static_cast<double>(source.tokens_used()) / static_cast<double>(source.size());
    const auto report = [&](double share) {
      const double windows = static_cast<double>(begin) + static_cast<double>(count) * share;
      context.progress(
          {options.task, static_cast<int64_t>(windows * per_window), result.tokens, "tokens"});
      if (context.cancelled()) throw Error(options.task, "stopped");
    };
    double first = 0;
    const auto stage_share = [&](const Subject& which) {
      const auto stages = static_cast<double>(which.model.stages().size() + 2);
      return [&report, &first, stages, models](size_t stage) {
        report((first + static_cast<double>(stage + 1) / stages) / models);
      };
    };
    Batch batch = load_batch(source, begin, count);
    Batch reference_batch;
    if (reference != nullptr) {
      reference_batch = load_batch(source, begin, count);
      run_batch(*reference, reference_batch, context, stage_share(*reference));
      first = 1;
    }
    run_batch(subject, batch, context, stage_share(subject));
    for (const HeadScores& scores :
         score_batch(subject, batch.states, reference, reference_batch.states, batch.first_scored,
                     context)) {
      collector.add(scores);
    }
    report(1);
  }
  result.nll = collector.nll.finish();
  result.perplexity = std::exp(result.nll.value);
  const Interval nll = bootstrap_mean(result.nll, options.bootstrap_seed);
  result.perplexity_interval = {std::exp(nll.low), std::exp(nll.high)};
  if (reference != nullptr) {
    result.reference_nll = collector.reference_nll.finish();
    Divergence divergence;
    divergence.kl = collector.kl.finish();
    divergence.top1_agreement =
        static_cast<double>(collector.agreeing) / static_cast<double>(collector.kl_values.size());
    divergence.kl_p99 = percentile(std::move(collector.kl_values), 0.99);
    result.divergence = std::move(divergence);
  }
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  result.tokens_per_second = static_cast<double>(result.tokens) / result.seconds;
  if (!std::isfinite(result.nll.value)) {
    throw Error(subject.model.checkpoint().path(), "its logits are not finite on this text");
  }
  return result;
}

double estimate_evaluation_seconds(const Subject& subject, const TextWindows& source,
                                   Context& context) {
  const int64_t windows = std::min<int64_t>(context.threads.size(), source.size());
  Batch batch = load_batch(source, 0, windows);
  const auto start = Clock::now();
  run_batch(subject, batch, context, {});
  score_batch(subject, batch.states, nullptr, {}, batch.first_scored, context);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return seconds * static_cast<double>(source.size()) / static_cast<double>(windows);
}

std::vector<float> token_nll(const Subject& subject, const Sample& sample, Context& context) {
  Batch batch;
  batch.states.push_back(
      {.tokens = sample.state.tokens, .first_position = sample.state.first_position, .hidden = {}});
  batch.first_scored.push_back(sample.first_scored);
  run_batch(subject, batch, context, {});
  const HeadScores scores = std::move(
      score_batch(subject, batch.states, nullptr, {}, batch.first_scored, context).front());
  std::vector<float> result;
  for (size_t p = 0; p < scores.size(); ++p) result.push_back(static_cast<float>(scores.nll(p)));
  return result;
}

}  // namespace scant
