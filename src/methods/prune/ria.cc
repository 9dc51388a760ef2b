#include <cmath>

#include "methods/prune/pruner.h"

namespace scant {
namespace {

double share(float weight, double sum) { return sum > 0 ? std::fabs(weight) / sum : 0.0; }

PrunedMatrix prune_ria(ConstMatrixView weight, const PruneTask& task, Context& context) {
  std::vector<double> of_row(static_cast<size_t>(weight.rows), 0.0);
  std::vector<double> of_col(static_cast<size_t>(weight.cols), 0.0);
  for (int64_t r = 0; r < weight.rows; ++r) {
    for (int64_t c = 0; c < weight.cols; ++c) {
      const double magnitude = std::fabs(weight(r, c));
      of_row[static_cast<size_t>(r)] += magnitude;
      of_col[static_cast<size_t>(c)] += magnitude;
    }
  }
  std::vector<float> factors = task.statistics.inputs->squared_norms();
  for (float& factor : factors) factor = std::pow(factor, 0.25f);  // sqrt of the norm
  Matrix scores(weight.rows, weight.cols);
  const RowPieces pieces(weight.rows, weight.cols);
  context.threads.parallel_for(pieces.count(), [&](int64_t piece) {
    for (int64_t r = pieces.begin(piece); r < pieces.end(piece); ++r) {
      for (int64_t c = 0; c < weight.cols; ++c) {
        const auto col = static_cast<size_t>(c);
        const double relative =
            share(weight(r, c), of_row[static_cast<size_t>(r)]) + share(weight(r, c), of_col[col]);
        scores(r, c) = static_cast<float>(relative) * factors[col];
      }
    }
  });
  return {task.pattern.select({scores.view(), Scores::Kind::kMagnitude}, context), {}};
}

}  // namespace

Pruner ria_pruner() {
  return {"ria", "prunes the least weights relative to their row and column, by their input", true,
          prune_ria, importance_of_inputs};
}

}  // namespace scant
