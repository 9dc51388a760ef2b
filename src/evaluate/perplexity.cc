#include "evaluate/perplexity.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/stopwatch.h"
#include "evaluate/head_scores.h"
#include "evaluate/score_collector.h"

namespace scant {
namespace {

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

/// Progress inside a batch: a stage is a part of it, the heads are counted as two stages.
class BatchProgress {
 public:
  BatchProgress(const std::string& task, const TextWindows& source, int64_t begin, int64_t count,
                size_t runs, Context& context)
      : task_(task),
        total_(source.tokens_used()),
        runs_(static_cast<double>(runs)),
        context_(context) {
    per_window_ = static_cast<double>(total_) / static_cast<double>(source.size());
    begin_ = static_cast<double>(begin) * per_window_;
    tokens_ = static_cast<double>(count) * per_window_;
  }
  /// Called after each stage of run number `run`.
  std::function<void(size_t)> of_run(size_t run, const Model& model) const {
    const auto stages = static_cast<double>(model.stages().size() + 2);
    return [this, run, stages](size_t stage) {
      report((static_cast<double>(run) + static_cast<double>(stage + 1) / stages) / runs_);
    };
  }
  void finished() const { report(1); }

 private:
  void report(double share) const {
    context_.progress({task_, static_cast<int64_t>(begin_ + tokens_ * share), total_, "tokens"});
    if (context_.cancelled()) throw Error(task_, "stopped");
  }
  const std::string& task_;
  int64_t total_;
  double runs_, per_window_ = 0, begin_ = 0, tokens_ = 0;
  Context& context_;
};

Evaluation finish(ScoreCollector& collector, const Subject& subject, const TextWindows& source,
                  const EvaluateOptions& options) {
  Evaluation result;
  static_cast<TextScores&>(result) = collector.finish();
  if (!std::isfinite(result.nll.value)) {
    throw Error(subject.model.checkpoint().path(), "its logits are not finite on this text");
  }
  result.windows = source.size();
  result.tokens = source.tokens_used();
  result.predictions = source.predictions();
  result.perplexity = std::exp(result.nll.value);
  const Interval nll = bootstrap_mean(result.nll, options.bootstrap_seed);
  result.perplexity_interval = {std::exp(nll.low), std::exp(nll.high)};
  return result;
}

}  // namespace

Evaluation evaluate(const Subject& subject, const Subject* reference, const TextWindows& source,
                    const EvaluateOptions& options, Context& context) {
  return std::move(
      evaluate_all(std::span(&subject, 1), reference, source, options, context).front());
}

std::vector<Evaluation> evaluate_all(std::span<const Subject> subjects, const Subject* reference,
                                     const TextWindows& source, const EvaluateOptions& options,
                                     Context& context) {
  if (reference != nullptr) {
    for (const Subject& subject : subjects) require_same_vocabulary(subject, *reference);
  }
  const Stopwatch watch;
  std::vector<ScoreCollector> collectors(subjects.size());
  for (int64_t begin = 0; begin < source.size(); begin += options.batch) {
    const int64_t count = std::min(options.batch, source.size() - begin);
    const BatchProgress progress(options.task, source, begin, count,
                                 subjects.size() + (reference != nullptr ? 1 : 0), context);
    std::vector<Batch> batches;
    for (size_t s = 0; s < subjects.size(); ++s) {
      batches.push_back(load_batch(source, begin, count));
      run_batch(subjects[s], batches[s], context, progress.of_run(s, subjects[s].model));
    }
    Batch reference_batch;
    FinishedStates finished_reference{reference, {}};
    if (reference != nullptr) {
      reference_batch = load_batch(source, begin, count);
      run_batch(*reference, reference_batch, context,
                progress.of_run(subjects.size(), reference->model));
      finished_reference.states = reference_batch.states;
    }
    std::vector<FinishedStates> finished;
    for (size_t s = 0; s < subjects.size(); ++s) {
      finished.push_back({&subjects[s], batches[s].states});
    }
    const auto scores = score_heads(finished, reference != nullptr ? &finished_reference : nullptr,
                                    batches[0].first_scored, context);
    for (size_t s = 0; s < subjects.size(); ++s) {
      for (const HeadScores& sample : scores[s]) collectors[s].add(sample);
    }
    progress.finished();
  }
  const double seconds = watch.seconds();
  std::vector<Evaluation> results;
  for (size_t s = 0; s < subjects.size(); ++s) {
    results.push_back(finish(collectors[s], subjects[s], source, options));
    results.back().seconds = seconds;
    results.back().tokens_per_second = static_cast<double>(source.tokens_used()) / seconds;
  }
  return results;
}

double estimate_evaluation_seconds(const Subject& subject, const TextWindows& source,
                                   Context& context) {
  const int64_t windows = std::min<int64_t>(context.threads.size(), source.size());
  Batch batch = load_batch(source, 0, windows);
  const Stopwatch watch;
  run_batch(subject, batch, context, {});
  const FinishedStates finished{&subject, batch.states};
  score_heads(std::span(&finished, 1), nullptr, batch.first_scored, context);
  const double seconds = watch.seconds();
  return seconds * static_cast<double>(source.size()) / static_cast<double>(windows);
}

std::vector<float> token_nll(const Subject& subject, const Sample& sample, Context& context) {
  Batch batch;
  batch.states.push_back(
      {.tokens = sample.state.tokens, .first_position = sample.state.first_position, .hidden = {}});
  batch.first_scored.push_back(sample.first_scored);
  run_batch(subject, batch, context, {});
  const FinishedStates finished{&subject, batch.states};
  const HeadScores scores = std::move(
      score_heads(std::span(&finished, 1), nullptr, batch.first_scored, context)[0].front());
  std::vector<float> result;
  for (size_t p = 0; p < scores.size(); ++p) result.push_back(static_cast<float>(scores.nll(p)));
  return result;
}

}  // namespace scant
