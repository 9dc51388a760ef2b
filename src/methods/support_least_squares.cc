#include "methods/support_least_squares.h"

#include <algorithm>
#include <vector>

#include "ops/gemm.h"

namespace scant {
namespace {

constexpr int64_t kRows = 64;  // rows of one task

/// Rows that share products with H; nothing else depends on them.
class RowTile {
 public:
  RowTile(const SupportProblem& problem, MatrixView values, int64_t first, int64_t count,
          std::span<const float> preconditioner)
      : problem_(problem),
        values_(values),
        preconditioner_(preconditioner),
        residual_(count, values.cols),
        direction_(count, values.cols),
        product_(count, values.cols) {
    for (int64_t i = 0; i < count; ++i) rows_.push_back({first + i});
  }

  void run(const SupportEffort& effort) {
    start();
    for (int i = 0; i < effort.iterations; ++i) {
      retire(effort.tolerance * effort.tolerance);
      if (rows_.empty()) return;
      multiply(direction_);
      for (size_t slot = 0; slot < rows_.size(); ++slot) step(slot);
    }
  }

 private:
  /// One row that has not converged; it lives in the slot of the same index.
  struct Row {
    int64_t row;
    double squared = 0;  // of the residual, in the norm of the preconditioner
    double first = 0;    // the same before the first step
  };

  /// product = x (H + damping I) for the rows that are left.
  void multiply(Matrix& x) {
    const auto count = static_cast<int64_t>(rows_.size());
    gemm(x.view().rows_from(0, count), problem_.gram, product_.view().rows_from(0, count));
    const auto damping = static_cast<float>(problem_.damping);
    if (damping == 0) return;
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t c = 0; c < values_.cols; ++c) product_(i, c) += damping * x(i, c);
    }
  }

  /// The residual is half the negative gradient, 0 where weights are fixed.
  void start() {
    for (size_t slot = 0; slot < rows_.size(); ++slot) {
      float* error = direction_.row(static_cast<int64_t>(slot));
      const int64_t row = rows_[slot].row;
      for (int64_t c = 0; c < values_.cols; ++c)
        error[c] = problem_.target(row, c) - values_(row, c);
    }
    multiply(direction_);
    for (size_t slot = 0; slot < rows_.size(); ++slot) {
      const auto i = static_cast<int64_t>(slot);
      const uint8_t* free = problem_.free.row(rows_[slot].row);
      double squared = 0;
      for (int64_t c = 0; c < values_.cols; ++c) {
        const float r = free[c] != 0 ? product_(i, c) : 0.0f;
        const float z = r * preconditioner_[static_cast<size_t>(c)];
        residual_(i, c) = r;
        direction_(i, c) = z;
        squared += static_cast<double>(r) * z;
      }
      rows_[slot].squared = rows_[slot].first = squared;
    }
  }

  /// Takes converged rows out; the others move up.
  void retire(double least) {
    size_t left = 0;
    for (size_t slot = 0; slot < rows_.size(); ++slot) {
      const Row row = rows_[slot];
      if (!(row.squared > least * row.first)) continue;
      if (left != slot) {
        const auto from = static_cast<int64_t>(slot), to = static_cast<int64_t>(left);
        std::ranges::copy(residual_.row_span(from), residual_.row(to));
        std::ranges::copy(direction_.row_span(from), direction_.row(to));
      }
      rows_[left++] = row;
    }
    rows_.resize(left);
  }

  void step(size_t slot) {
    Row& row = rows_[slot];
    const auto i = static_cast<int64_t>(slot);
    const uint8_t* free = problem_.free.row(row.row);
    float* values = values_.row(row.row);
    float* residual = residual_.row(i);
    float* direction = direction_.row(i);
    const float* product = product_.row(i);
    double curvature = 0;
    for (int64_t c = 0; c < values_.cols; ++c) {
      curvature += static_cast<double>(direction[c]) * product[c];
    }
    if (!(curvature > 0)) {  // rounding is all that is left
      row.squared = 0;
      return;
    }
    const auto length = static_cast<float>(row.squared / curvature);
    double squared = 0;
    for (int64_t c = 0; c < values_.cols; ++c) {
      if (free[c] == 0) continue;
      values[c] += length * direction[c];
      residual[c] -= length * product[c];
      const float r = residual[c];
      squared += static_cast<double>(r) * r * preconditioner_[static_cast<size_t>(c)];
    }
    const auto turn = static_cast<float>(squared / row.squared);
    for (int64_t c = 0; c < values_.cols; ++c) {
      direction[c] = residual[c] * preconditioner_[static_cast<size_t>(c)] + turn * direction[c];
    }
    row.squared = squared;
  }

  const SupportProblem& problem_;
  MatrixView values_;
  std::span<const float> preconditioner_;
  std::vector<Row> rows_;
  Matrix residual_, direction_, product_;
};

}  // namespace

void solve_on_support(const SupportProblem& problem, MatrixView values, const SupportEffort& effort,
                      Context& context) {
  std::vector<float> preconditioner(static_cast<size_t>(values.cols));
  for (int64_t c = 0; c < values.cols; ++c) {
    const double diagonal = problem.gram(c, c) + problem.damping;
    // A weight whose input is always 0 changes nothing: it stays.
    preconditioner[static_cast<size_t>(c)] =
        diagonal > 0 ? static_cast<float>(1.0 / diagonal) : 0.0f;
  }
  context.threads.parallel_for((values.rows + kRows - 1) / kRows, [&](int64_t tile) {
    const int64_t first = tile * kRows, count = std::min(kRows, values.rows - first);
    RowTile(problem, values, first, count, preconditioner).run(effort);
  });
}

}  // namespace scant
