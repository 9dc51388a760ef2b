#include "methods/prune/pruner.h"
#include "ops/simulate/simulate.h"

namespace scant {
namespace {

PrunedMatrix prune_magnitude(ConstMatrixView weight, const PruneTask& task, Context& context) {
  return {select_magnitude_mask(weight, task.pattern, context), {}};
}

std::vector<float> same_importance(const Statistics&) { return {}; }

}  // namespace

Pruner magnitude_pruner() {
  return {"magnitude", "prunes the weights of least magnitude", false, prune_magnitude,
          same_importance};
}

}  // namespace scant
