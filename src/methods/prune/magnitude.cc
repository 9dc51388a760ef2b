#include "methods/prune/pruner.h"
#include "ops/simulate/simulate.h"

namespace scant {
namespace {

Mask select_magnitude(ConstMatrixView values, const SparsityPattern& pattern, const Statistics&,
                      Context& context) {
  return select_magnitude_mask(values, pattern, context);
}

std::vector<float> same_importance(const Statistics&) { return {}; }

}  // namespace

Pruner magnitude_pruner() {
  return {"magnitude", "prunes the weights of least magnitude", select_magnitude, same_importance};
}

}  // namespace scant
