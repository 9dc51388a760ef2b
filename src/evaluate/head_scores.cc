#include "evaluate/head_scores.h"

#include <algorithm>

#include "models/scratch.h"

namespace scant {
namespace {

/// Logits of the positions that predict a scored token: position p - 1 predicts token p.
MatrixView slice_logits(const State& state, int64_t first_scored, const Matrix& slice,
                        Scratch& scratch) {
  const int64_t positions = static_cast<int64_t>(state.tokens.size()) - first_scored;
  const MatrixView logits = scratch.take(positions, slice.rows());
  head_logits(state.hidden.view().rows_from(first_scored - 1, positions), slice.view(), logits);
  return logits;
}

void pick_targets(const State& state, int64_t first_scored, int64_t first_id,
                  ConstMatrixView logits, std::vector<float>& targets) {
  for (int64_t r = 0; r < logits.rows; ++r) {
    const int64_t id = state.tokens[static_cast<size_t>(first_scored + r)] - first_id;
    if (id >= 0 && id < logits.cols) targets[static_cast<size_t>(r)] = logits(r, id);
  }
}

HeadScores empty_scores(const State& state, int64_t first_scored, bool reference) {
  HeadScores scores;
  scores.first_scored = first_scored;
  const size_t count = state.tokens.size() - static_cast<size_t>(first_scored);
  scores.target_logit.resize(count);
  scores.top.resize(count);
  scores.normalizer.resize(count);
  if (reference) {
    scores.divergence.resize(count);
    scores.reference_target_logit.resize(count);
    scores.reference_top.resize(count);
  }
  return scores;
}

/// Slices [begin, begin + count) of the heads; subjects that share their weights with the
/// reference share its slice.
class HeadSlices {
 public:
  HeadSlices(std::span<const FinishedStates> subjects, const FinishedStates* reference,
             int64_t begin, int64_t count)
      : of_subject_(subjects.size(), nullptr) {
    if (reference != nullptr) reference_ = load(*reference->subject, begin, count);
    own_.reserve(subjects.size());
    for (size_t s = 0; s < subjects.size(); ++s) {
      const Subject& subject = *subjects[s].subject;
      const bool shared = reference != nullptr && &subject.weights == &reference->subject->weights;
      if (!shared) own_.push_back(load(subject, begin, count));
      of_subject_[s] = shared ? &reference_ : &own_.back();
    }
  }
  const Matrix& reference() const { return reference_; }
  const Matrix& of(size_t subject) const { return *of_subject_[subject]; }

 private:
  static Matrix load(const Subject& subject, int64_t begin, int64_t count) {
    return subject.model.head().load_slice(subject.weights, begin, count);
  }
  Matrix reference_;
  std::vector<Matrix> own_;
  std::vector<const Matrix*> of_subject_;
};

/// One slice of the vocabulary for one sample: the reference's logits once, then every subject's.
void score_sample(std::span<const FinishedStates> subjects, const FinishedStates* reference,
                  const HeadSlices& slices, int64_t begin, size_t sample,
                  std::vector<std::vector<HeadScores>>& scores, Scratch& scratch) {
  MatrixView reference_logits;
  HeadScores& first = scores[0][sample];
  if (reference != nullptr) {
    const State& state = reference->states[sample];
    reference_logits = slice_logits(state, first.first_scored, slices.reference(), scratch);
    pick_targets(state, first.first_scored, begin, reference_logits, first.reference_target_logit);
    for (int64_t r = 0; r < reference_logits.rows; ++r) {
      first.reference_top[static_cast<size_t>(r)].add(reference_logits.row_span(r), begin);
    }
  }
  for (size_t s = 0; s < subjects.size(); ++s) {
    const State& state = subjects[s].states[sample];
    HeadScores& own = scores[s][sample];
    const MatrixView logits = slice_logits(state, own.first_scored, slices.of(s), scratch);
    pick_targets(state, own.first_scored, begin, logits, own.target_logit);
    for (int64_t r = 0; r < logits.rows; ++r) {
      const auto p = static_cast<size_t>(r);
      if (reference == nullptr) {
        own.normalizer[p].add(logits.row_span(r));
        continue;
      }
      own.top[p].add(logits.row_span(r), begin);
      own.divergence[p].add(reference_logits.row_span(r), logits.row_span(r));
    }
    scratch.give_back(1);
  }
}

}  // namespace

std::vector<std::vector<HeadScores>> score_heads(std::span<const FinishedStates> subjects,
                                                 const FinishedStates* reference,
                                                 std::span<const int64_t> first_scored,
                                                 Context& context,
                                                 const std::function<void(double)>& after_slice) {
  std::vector<std::vector<HeadScores>> scores(subjects.size());
  if (subjects.empty()) return scores;
  const size_t samples = subjects[0].states.size();
  for (size_t s = 0; s < subjects.size(); ++s) {
    for (size_t i = 0; i < samples; ++i) {
      scores[s].push_back(
          empty_scores(subjects[s].states[i], first_scored[i], reference != nullptr));
    }
  }
  const Model& model = subjects[0].subject->model;
  const int64_t vocabulary = model.head().vocabulary();
  const int64_t step = head_slice_rows(model);
  ScratchPool pool;
  for (int64_t begin = 0; begin < vocabulary; begin += step) {
    const int64_t count = std::min(step, vocabulary - begin);
    const HeadSlices slices(subjects, reference, begin, count);
    context.threads.parallel_for(static_cast<int64_t>(samples), [&](int64_t sample) {
      const ScratchPool::Lease lease = pool.lease();
      score_sample(subjects, reference, slices, begin, static_cast<size_t>(sample), scores, *lease);
    });
    if (after_slice) {
      after_slice(static_cast<double>(begin + count) / static_cast<double>(vocabulary));
    }
  }
  for (std::vector<HeadScores>& of_subject : scores) {
    for (size_t i = 0; i < of_subject.size(); ++i) {
      HeadScores& own = of_subject[i];
      for (size_t p = 0; p < own.divergence.size(); ++p)
        own.normalizer[p] = own.divergence[p].model;
      own.reference_target_logit = scores[0][i].reference_target_logit;
      own.reference_top = scores[0][i].reference_top;
    }
  }
  return scores;
}

}  // namespace scant
