#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/context.h"
#include "models/kv_cache.h"
#include "models/model.h"

namespace scant {

/// A model with all its weights in memory, for generation: each step touches every weight once, so
/// streaming them would read the file once per token.
class ResidentModel {
 public:
  /// Loads all stages and the head through `weights`. Model and weights must outlive the result
  /// (embeddings are looked up in them). Throws Error like WeightSource.
  ResidentModel(const Model& model, const WeightSource& weights, Context& context);

  int64_t vocabulary() const { return head_.info.outputs; }
  /// Runs `tokens`, which follow what `cache` holds, adds them to it and returns the logits of the
  /// last one. On all threads of the context; the result does not depend on their number. Many
  /// tokens are taken in pieces of kPiece, so that memory stays bounded. Throws Error if there are
  /// none, one is not in the vocabulary, the cache has no room, or the user asked to stop.
  std::vector<float> next_logits(std::span<const int32_t> tokens, KvCache& cache,
                                 Context& context) const;
  /// The same for every token, tokens x vocabulary.
  Matrix all_logits(std::span<const int32_t> tokens, KvCache& cache, Context& context) const;

  static constexpr int64_t kPiece = 512;

 private:
  Matrix run(std::span<const int32_t> tokens, KvCache& cache, Context& context) const;

  std::vector<std::unique_ptr<LoadedStage>> stages_;
  LinearLayer head_;
};

}  // namespace scant
