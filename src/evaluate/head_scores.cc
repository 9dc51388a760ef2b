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

}  // namespace

std::vector<HeadScores> score_batch(const Subject& subject, std::span<const State> states,
                                    const Subject* reference,
                                    std::span<const State> reference_states,
                                    std::span<const int64_t> first_scored, Context& context) {
  std::vector<HeadScores> scores;
  for (size_t i = 0; i < states.size(); ++i) {
    scores.push_back(empty_scores(states[i], first_scored[i], reference != nullptr));
  }
  const int64_t vocabulary = subject.model.head().vocabulary();
  const int64_t step = head_slice_rows(subject.model);
  ScratchPool pool;
  for (int64_t begin = 0; begin < vocabulary; begin += step) {
    const int64_t count = std::min(step, vocabulary - begin);
    const Matrix slice = subject.model.head().load_slice(subject.weights, begin, count);
    Matrix reference_slice;
    if (reference != nullptr) {
      reference_slice = reference->model.head().load_slice(reference->weights, begin, count);
    }
    context.threads.parallel_for(static_cast<int64_t>(states.size()), [&](int64_t index) {
      const auto i = static_cast<size_t>(index);
      HeadScores& sample = scores[i];
      const auto rows = static_cast<int64_t>(sample.size());
      const ScratchPool::Lease lease = pool.lease();
      const MatrixView logits = slice_logits(states[i], sample.first_scored, slice, *lease);
      pick_targets(states[i], sample.first_scored, begin, logits, sample.target_logit);
      MatrixView reference_logits;
      if (reference != nullptr) {
        reference_logits =
            slice_logits(reference_states[i], sample.first_scored, reference_slice, *lease);
        pick_targets(reference_states[i], sample.first_scored, begin, reference_logits,
                     sample.reference_target_logit);
      }
      for (int64_t r = 0; r < rows; ++r) {
        const auto p = static_cast<size_t>(r);
        if (reference == nullptr) {
          sample.normalizer[p].add(logits.row_span(r));
          continue;
        }
        sample.top[p].add(logits.row_span(r), begin);
        sample.reference_top[p].add(reference_logits.row_span(r), begin);
        sample.divergence[p].add(reference_logits.row_span(r), logits.row_span(r));
      }
    });
  }
  for (HeadScores& sample : scores) {
    for (size_t p = 0; p < sample.divergence.size(); ++p)
      sample.normalizer[p] = sample.divergence[p].model;
  }
  return scores;
}

}  // namespace scant
