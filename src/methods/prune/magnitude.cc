#include "methods/prune/pruner.h"

namespace scant {
namespace {

Mask select_magnitude(ConstMatrixView values, const SparsityPattern& pattern, const Statistics&,
                      Context& context) {
  return pattern.select({values, Scores::Kind::kMagnitude}, context);
}

std::vector<float> same_importance(const Statistics&) { return {}; }

}  // namespace

Pruner magnitude_pruner() {
  return {"magnitude", "prunes the weights of least magnitude", select_magnitude, same_importance};
}

}  // namespace scant
