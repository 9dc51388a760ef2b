#include <cmath>

#include "methods/prune/pruner.h"
#include "methods/scaled_columns.h"

namespace scant {
namespace {

PrunedMatrix prune_wanda(ConstMatrixView weight, const PruneTask& task, Context& context) {
  std::vector<float> norms = task.statistics.inputs->squared_norms();
  for (float& norm : norms) norm = std::sqrt(norm);
  const Matrix scores = scaled_columns(weight, norms, context);
  return {task.pattern.select({scores.view(), Scores::Kind::kMagnitude}, context), {}};
}

}  // namespace

Pruner wanda_pruner() {
  return {"wanda", "prunes the least products of weight and norm of its input", true, prune_wanda,
          importance_of_inputs};
}

}  // namespace scant
