#include <algorithm>
#include <cmath>

#include "methods/orders.h"
#include "methods/prune/pruner.h"
#include "methods/scaled_columns.h"
#include "methods/support_least_squares.h"
#include "methods/sweep.h"
#include "ops/gemm.h"

namespace scant {
namespace {

constexpr int64_t kRows = 128;         // rows of one task
constexpr int kIterations = 300;       // at most
constexpr int kBetweenChecks = 3;      // iterations with one penalty
constexpr double kFirstPenalty = 0.1;  // of the mean eigenvalue, which is 1

/// min tr((W - V) G (W - V)^T) with V = D, D of the pattern, by the method of multipliers; G has
/// unit diagonal and is given by its eigenvectors, so that (G + penalty I)^-1 costs two products
/// for any penalty. State between iterations is U = V + (multiplier / penalty) alone: D is U where
/// it is kept, and the multiplier is penalty U where it is pruned.
class Admm {
 public:
  Admm(ConstMatrixView weight, const SymmetricEigen& eigen, const SparsityPattern& pattern,
       Context& context)
      : eigen_(eigen),
        pattern_(pattern),
        context_(context),
        state_(Matrix::copy_of(weight)),
        goal_(weight.rows, weight.cols),
        mask_(Mask::all(weight.rows, weight.cols)) {
    for_row_tiles([&](int64_t begin, int64_t count) {
      const MatrixView goal = goal_.view().rows_from(begin, count);
      gemm(weight.rows_from(begin, count), eigen_.vectors.view(), goal, {.b = Transpose::kYes});
      for (int64_t r = 0; r < count; ++r) {
        for (int64_t i = 0; i < goal.cols; ++i) goal(r, i) *= eigenvalue(i);
      }
    });
  }

  /// Until the mask has settled.
  void run() {
    Mask last;
    for (int i = 0; i < kIterations; ++i) {
      iterate();
      mask_ = pattern_.select_magnitude(state_.view(), context_);
      if (i % kBetweenChecks != 0) continue;
      if (!last.empty()) {
        const double growth = penalty_growth(changes(last));
        if (growth == 1.0) break;
        raise_penalty(growth);
      }
      last = mask_;
    }
  }

  /// D, and where it is not 0.
  PrunedMatrix take() {
    prune_values(state_.view(), mask_, context_);
    return {std::move(mask_), std::move(state_)};
  }

 private:
  float eigenvalue(int64_t i) const {
    return std::max(0.0f, eigen_.values[static_cast<size_t>(i)]);
  }

  template <typename Rows>
  void for_row_tiles(const Rows& rows) {
    context_.threads.parallel_for((state_.rows() + kRows - 1) / kRows, [&](int64_t tile) {
      rows(tile * kRows, std::min(kRows, state_.rows() - tile * kRows));
    });
  }

  /// V = (W G - multiplier + penalty D) (G + penalty I)^-1, then U = V + multiplier / penalty.
  void iterate() {
    const ConstMatrixView vectors = eigen_.vectors.view();
    const auto penalty = static_cast<float>(penalty_);
    for_row_tiles([&](int64_t begin, int64_t count) {
      const MatrixView state = state_.view().rows_from(begin, count);
      Matrix pulled(count, state.cols), in_basis(count, state.cols);
      for (int64_t r = 0; r < count; ++r) {
        const uint8_t* keep = mask_.row(begin + r);
        for (int64_t c = 0; c < state.cols; ++c) {
          pulled(r, c) = keep[c] != 0 ? state(r, c) : -state(r, c);
          if (keep[c] != 0) state(r, c) = 0.0f;
        }
      }
      gemm(pulled.view(), vectors, in_basis.view(), {.b = Transpose::kYes});
      for (int64_t r = 0; r < count; ++r) {
        for (int64_t i = 0; i < state.cols; ++i) {
          in_basis(r, i) =
              (goal_(begin + r, i) + penalty * in_basis(r, i)) / (eigenvalue(i) + penalty);
        }
      }
      gemm(in_basis.view(), vectors, state, {.beta = 1.0f});
    });
  }

  int64_t changes(const Mask& last) const {
    int64_t count = 0;
    for (size_t i = 0; i < last.keep.size(); ++i) count += last.keep[i] != mask_.keep[i];
    return count;
  }

  /// As published: the fewer places of the mask have changed, the slower.
  double penalty_growth(int64_t changed) const {
    const auto kept = static_cast<double>(mask_.kept());
    const auto count = static_cast<double>(changed);
    if (count >= 0.1 * kept) return 1.3;
    if (count >= 0.005 * kept) return 1.2;
    return count >= 1 ? 1.1 : 1.0;
  }

  /// The multiplier stays.
  void raise_penalty(double growth) {
    penalty_ *= growth;
    for_row_tiles([&](int64_t begin, int64_t count) {
      for (int64_t r = begin; r < begin + count; ++r) {
        for (int64_t c = 0; c < state_.cols(); ++c) {
          if (mask_(r, c) == 0) state_(r, c) /= static_cast<float>(growth);
        }
      }
    });
  }

  const SymmetricEigen& eigen_;
  const SparsityPattern& pattern_;
  Context& context_;
  Matrix state_;  // U
  Matrix goal_;   // W G in the basis of the eigenvectors
  Mask mask_;
  double penalty_ = kFirstPenalty;
};

PrunedMatrix solve(ConstMatrixView weight, const PruneTask& task, Context& context) {
  const InputStatistics& inputs = *task.statistics.inputs;
  const NormalisedGram& normalised = inputs.normalised(context);
  Admm admm(scaled_columns(weight, normalised.norms, context).view(), normalised.eigen,
            task.pattern, context);
  admm.run();
  PrunedMatrix result = admm.take();
  if (task.grid != nullptr) {  // the grid takes another solver: only the mask counts
    run_sweep({.factor = inputs.factor(context), .mask = &result.mask, .grid = task.grid}, weight,
              result.values.view(), context);
    return result;
  }
  scale_columns(result.values.view(), inverses(normalised.norms), result.values.view(), context);
  solve_on_support({weight, inputs.gram(), inputs.factor(context).damping, result.mask},
                   result.values.view(), {.iterations = 20, .tolerance = 1e-3}, context);
  return result;
}

PrunedMatrix prune_alps(ConstMatrixView weight, const PruneTask& task, Context& context) {
  PrunedMatrix ours = solve(weight, task, context);
  PrunedMatrix sweep = sparsegpt_pruner().prune(weight, task, context);
  const auto error = [&](const PrunedMatrix& pruned) {
    return output_squared_error(weight, pruned.values.view(), *task.statistics.inputs, context);
  };
  return error(ours) < error(sweep) ? std::move(ours) : std::move(sweep);
}

}  // namespace

Pruner alps_pruner() {
  return {"alps", "chooses the mask by ADMM, then solves for the kept weights", true, prune_alps,
          importance_of_inputs};
}

}  // namespace scant
