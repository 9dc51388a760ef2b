#include "models/generate/resident_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"

namespace scant {

ResidentModel::ResidentModel(const Model& model, const WeightSource& weights, Context& context)
    : stages_(model.stages().size()) {
  const auto count = static_cast<int64_t>(stages_.size());
  context.threads.parallel_for(count + 1, [&](int64_t piece) {
    if (context.cancelled()) throw Error("", "stopped");
    if (piece == 0) {
      head_ = weights.linear(model.head().linear());  // first: it is the largest
    } else {
      const auto i = static_cast<size_t>(piece - 1);
      stages_[i] = model.stages()[i]->load(weights);
    }
  });
}

Matrix ResidentModel::run(std::span<const int32_t> tokens, KvCache& cache, Context& context) const {
  State state;
  state.tokens.assign(tokens.begin(), tokens.end());
  state.first_position = cache.positions();
  state.cache = &cache;
  state.threads = &context.threads;
  for (const auto& stage : stages_) {
    if (context.cancelled()) throw Error("", "stopped");
    stage->run(state, 0, nullptr);
  }
  return std::move(state.hidden);
}

namespace {

void check_room(std::span<const int32_t> tokens, const KvCache& cache) {
  if (tokens.empty()) throw Error("tokens", "there are none; expected at least one");
  const int64_t needed = cache.positions() + static_cast<int64_t>(tokens.size());
  if (needed > cache.capacity()) {
    throw Error("tokens",
                fmt::format("{} positions do not fit the context of {}", needed, cache.capacity()));
  }
}

}  // namespace

std::vector<float> ResidentModel::next_logits(std::span<const int32_t> tokens, KvCache& cache,
                                              Context& context) const {
  check_room(tokens, cache);
  Matrix hidden;
  while (!tokens.empty()) {
    const auto piece = tokens.first(std::min<size_t>(kPiece, tokens.size()));
    hidden = run(piece, cache, context);
    tokens = tokens.subspan(piece.size());
  }
  std::vector<float> logits(static_cast<size_t>(vocabulary()));
  linear(head_, hidden.view().rows_from(hidden.rows() - 1, 1),
         MatrixView(logits.data(), 1, vocabulary()), LinearOutput::kAssign, &context.threads);
  return logits;
}

Matrix ResidentModel::all_logits(std::span<const int32_t> tokens, KvCache& cache,
                                 Context& context) const {
  check_room(tokens, cache);
  Matrix logits(static_cast<int64_t>(tokens.size()), vocabulary());
  for (int64_t done = 0; done < logits.rows(); done += kPiece) {
    const int64_t count = std::min(kPiece, logits.rows() - done);
    const Matrix hidden =
        run(tokens.subspan(static_cast<size_t>(done), static_cast<size_t>(count)), cache, context);
    linear(head_, hidden.view(), logits.view().rows_from(done, count), LinearOutput::kAssign,
           &context.threads);
  }
  return logits;
}

}  // namespace scant
