#include <cmath>

#include "methods/prune/pruner.h"

namespace scant {
namespace {

PrunedMatrix prune_wanda(ConstMatrixView weight, const PruneTask& task, Context& context) {
  std::vector<float> norms = task.statistics.inputs->squared_norms();
  for (float& norm : norms) norm = std::sqrt(norm);
  Matrix scores(weight.rows, weight.cols);
  const RowPieces pieces(weight.rows, weight.cols);
  context.threads.parallel_for(pieces.count(), [&](int64_t piece) {
    for (int64_t r = pieces.begin(piece); r < pieces.end(piece); ++r) {
      for (int64_t c = 0; c < weight.cols; ++c) {
        scores(r, c) = weight(r, c) * norms[static_cast<size_t>(c)];
      }
    }
  });
  return {task.pattern.select({scores.view(), Scores::Kind::kMagnitude}, context), {}};
}

}  // namespace

Pruner wanda_pruner() {
  return {"wanda", "prunes the least products of weight and norm of its input", true, prune_wanda,
          importance_of_inputs};
}

}  // namespace scant
