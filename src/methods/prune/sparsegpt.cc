#include "methods/prune/pruner.h"
#include "methods/sweep.h"

namespace scant {
namespace {

PrunedMatrix prune_sparsegpt(ConstMatrixView weight, const PruneTask& task, Context& context) {
  PrunedMatrix result;
  result.values = Matrix(weight.rows, weight.cols);
  const Sweep sweep{.factor = task.statistics.inputs->factor(context),
                    .pattern = &task.pattern,
                    .grid = task.grid};
  result.mask = run_sweep(sweep, weight, result.values.view(), context);
  return result;
}

}  // namespace

Pruner sparsegpt_pruner() {
  return {"sparsegpt", "prunes column by column, the kept weights make good for it", true,
          prune_sparsegpt, importance_of_inputs};
}

}  // namespace scant
