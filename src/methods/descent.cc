#include "methods/descent.h"

#include <algorithm>

#include "methods/descent_row.h"
#include "ops/gemm.h"

namespace scant {
namespace {

constexpr int64_t kWidth = 128;  // columns that are worked on at once
constexpr int64_t kChunk = 512;  // columns of the curvature that are copied at once
constexpr int kPasses = 2;       // over all columns; six win a seventh more and take twice as long
constexpr double kLeastGain = 2e-3;  // of the objective, for another pass

/// Rows of one task: few enough that a small matrix has work for every thread, as many as make the
/// copies of the curvature cheap.
int64_t rows_of_task(int64_t rows) { return rows < 2048 ? 64 : 128; }

/// Rows of one product with the Gram matrix, which is copied for each.
int64_t rows_of_product(int64_t rows) { return rows < 2048 ? 64 : 512; }

/// Columns in blocks that no group of the format crosses.
std::vector<ColumnRange> blocks_of(int64_t cols, const Granularity& granularity) {
  int64_t width = kWidth;
  if (granularity.kind == Granularity::Kind::kGroup && granularity.size <= kWidestGroup) {
    width = granularity.size * std::max<int64_t>(1, kWidth / granularity.size);
  }
  std::vector<ColumnRange> blocks;
  for (int64_t begin = 0; begin < cols; begin += width) {
    blocks.push_back({begin, std::min(cols, begin + width)});
  }
  return blocks;
}

/// Of half the objective, (What - W) H.
void measure_gradient(ConstMatrixView values, ConstMatrixView target, ConstMatrixView gram,
                      MatrixView gradient) {
  PaddedMatrix error(values.rows, values.cols);
  for (int64_t r = 0; r < values.rows; ++r) {
    for (int64_t c = 0; c < values.cols; ++c) error(r, c) = values(r, c) - target(r, c);
  }
  gemm(error.view(), gram, gradient);
}

/// Some rows of the weight, which nothing else depends on.
class RowTile {
 public:
  /// `gradient`: that of all rows, of the values as they are.
  RowTile(const DescentProblem& problem, const DescentGrid& kernels, MaskedCodes& state,
          MatrixView values, MatrixView gradient, ColumnRange rows)
      : kernels_(kernels.kernels()),
        granularity_(state.quantized.format.granularity),
        gram_(problem.inputs.gram()),
        values_(values.rows_from(rows.begin, rows.size())),
        target_(problem.target.rows_from(rows.begin, rows.size())),
        first_row_(rows.begin),
        row_block_(problem.pattern, kernels, state.quantized, state.mask),
        gradient_(gradient.rows_from(rows.begin, rows.size())) {}

  /// The objective before and after.
  std::pair<double, double> run() {
    const std::vector<ColumnRange> blocks = blocks_of(values_.cols, granularity_);
    const double start = objective();
    double before = start, after = start;
    for (int pass = 0; pass < kPasses; ++pass) {
      // A new scale changes every value of its group, which is what costs time afterwards.
      const bool refits = pass % 2 == 1;
      row_block_.refit_groups(refits);
      for (const ColumnRange& block : blocks) improve_block(block);
      if (granularity_.kind == Granularity::Kind::kRow) refit_rows();
      after = objective();
      if (refits && before - after <= kLeastGain * before) break;
      before = after;
    }
    return {start, after};
  }

 private:
  double objective() const {
    double sum = 0;
    for (int64_t r = 0; r < values_.rows; ++r) {
      for (int64_t c = 0; c < values_.cols; ++c) {
        sum += static_cast<double>(values_(r, c) - target_(r, c)) * gradient_(r, c);
      }
    }
    return sum;
  }

  /// What changed in a block, row by row: few values do, after the first pass.
  struct Changes {
    std::vector<int32_t> columns;  // in the block
    std::vector<float> by;
    std::vector<size_t> begins = {0};  // of rows, and the end
  };

  void improve_block(const ColumnRange& block) {
    const BlockCurvature curvature(gram_, block);
    Changes changes;
    std::vector<float> before(static_cast<size_t>(block.size()));
    for (int64_t r = 0; r < values_.rows; ++r) {
      float* values = values_.row(r) + block.begin;
      std::copy_n(values, block.size(), before.begin());
      row_block_.improve(first_row_ + r, block, curvature, values, gradient_.row(r));
      for (int64_t c = 0; c < block.size(); ++c) {
        const float by = values[c] - before[static_cast<size_t>(c)];
        if (by == 0) continue;
        changes.columns.push_back(static_cast<int32_t>(c));
        changes.by.push_back(by);
      }
      changes.begins.push_back(changes.by.size());
    }
    if (!changes.by.empty()) update_gradient(block, changes);
  }

  void update_gradient(const ColumnRange& block, const Changes& changes) {
    for (int64_t begin = 0; begin < values_.cols; begin += kChunk) {
      const int64_t count = std::min(kChunk, values_.cols - begin);
      // Side by side: rows of H that are a power of two apart would fall on each other in a cache.
      const Matrix rows =
          Matrix::copy_of(gram_.rows_from(block.begin, block.size()).cols_from(begin, count));
      for (int64_t r = 0; r < values_.rows; ++r) {
        const size_t from = changes.begins[static_cast<size_t>(r)];
        const size_t to = changes.begins[static_cast<size_t>(r + 1)];
        kernels_.add_rows({rows.data(), count, changes.columns.data() + from,
                           changes.by.data() + from, static_cast<int64_t>(to - from)},
                          count, gradient_.row(r) + begin);
      }
    }
  }

  /// One scale per row: with What H = gradient + W H the best one is known at once.
  void refit_rows() {
    Matrix product(values_.rows, values_.cols);
    gemm(values_, gram_, product.view());
    for (int64_t r = 0; r < values_.rows; ++r) {
      double slope = 0, bend = 0;
      for (int64_t c = 0; c < values_.cols; ++c) {
        slope += static_cast<double>(values_(r, c)) * gradient_(r, c);
        bend += static_cast<double>(values_(r, c)) * product(r, c);
      }
      if (bend <= 0) continue;
      row_block_.rescale(first_row_ + r, 0, values_.cols, values_.row(r), 1.0 - slope / bend);
    }
    measure_gradient(values_, target_, gram_, gradient_);
  }

  const DescentKernels& kernels_;
  Granularity granularity_;
  ConstMatrixView gram_;
  MatrixView values_;  // of the tile's rows
  ConstMatrixView target_;
  int64_t first_row_;
  DescentRowBlock row_block_;
  MatrixView gradient_;
};

}  // namespace

DescentResult descend(const DescentProblem& problem, MaskedCodes& state, MatrixView values,
                      Context& context) {
  DescentResult result;
  if (!state.quantized.format.is_plain()) {
    const DescentGrid kernels(state.quantized.format);
    const int64_t height = rows_of_task(values.rows);
    const int64_t tiles = (values.rows + height - 1) / height;
    PaddedMatrix gradient(values.rows, values.cols);
    const int64_t strip = rows_of_product(values.rows);
    context.threads.parallel_for((values.rows + strip - 1) / strip, [&](int64_t index) {
      const int64_t r = index * strip, count = std::min(strip, values.rows - r);
      measure_gradient(values.rows_from(r, count), problem.target.rows_from(r, count),
                       problem.inputs.gram(), gradient.view().rows_from(r, count));
    });
    std::vector<std::pair<double, double>> objectives(static_cast<size_t>(tiles));
    context.threads.parallel_for(tiles, [&](int64_t tile) {
      const ColumnRange rows{tile * height, std::min(values.rows, (tile + 1) * height)};
      objectives[static_cast<size_t>(tile)] =
          RowTile(problem, kernels, state, values, gradient.view(), rows).run();
    });
    for (const auto& [before, after] : objectives) {
      result.before += before;
      result.after += after;
    }
  }
  state.quantized =
      codes_on_grid(state.quantized, state.mask.empty() ? nullptr : &state.mask, values, context);
  return result;
}

}  // namespace scant
