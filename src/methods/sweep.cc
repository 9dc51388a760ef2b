#include "methods/sweep.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <variant>

#include "methods/scaled_columns.h"
#include "ops/gemm.h"

namespace scant {
namespace {

constexpr int64_t kBlock = 128;  // columns between two updates of all that follow
constexpr int64_t kRows = 64;    // rows of one task

/// Rounds kept weights to the grid of one element; without grid leaves them.
template <typename Element>
class Rounder {
 public:
  Rounder(const Element& element, const QuantizedMatrix& grid) : element_(element), grid_(grid) {}

  float operator()(int64_t row, int64_t col, float x) const {
    if constexpr (CodedElement<Element>) {
      const BlockScale scale = grid_.block_scale(row, grid_.block_of(row, col));
      return decode(element_, encode(element_, x, scale), scale);
    } else {
      return element_.round(x);
    }
  }

 private:
  const Element& element_;
  const QuantizedMatrix& grid_;
};

class SweepPass {
 public:
  SweepPass(const Sweep& sweep, MatrixView values, Context& context)
      : sweep_(sweep),
        upper_(sweep.factor.upper.view()),
        order_(sweep.factor.order),
        values_(values),
        context_(context),
        work_(values.rows, values.cols) {
    if (sweep.pattern != nullptr) n_of_m_ = std::get_if<NOfMPattern>(&sweep.pattern->pattern);
    if (n_of_m_ != nullptr && !std::ranges::is_sorted(order_)) {
      throw std::logic_error("sweep: N:M groups need columns from left to right");
    }
  }

  Mask run() {
    for_row_tiles([&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        for (int64_t j = 0; j < values_.cols; ++j) work_(r, j) = values_(r, column(j));
      }
    });
    choose_before();
    if (sweep_.grid == nullptr) {
      run_blocks([](int64_t, int64_t, float x) { return x; });
    } else {
      std::visit([&](const auto& element) { run_blocks(Rounder(element, *sweep_.grid)); },
                 sweep_.grid->format.element);
    }
    for_row_tiles([&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        for (int64_t j = 0; j < values_.cols; ++j) values_(r, column(j)) = work_(r, j);
      }
    });
    return std::move(mask_);
  }

 private:
  int64_t column(int64_t position) const { return order_[static_cast<size_t>(position)]; }

  template <typename Rows>
  void for_row_tiles(const Rows& rows) {
    context_.threads.parallel_for((values_.rows + kRows - 1) / kRows, [&](int64_t tile) {
      rows(tile * kRows, std::min(values_.rows, (tile + 1) * kRows));
    });
  }

  /// Masks that are known before the pass; whether the others are chosen by block.
  void choose_before() {
    if (sweep_.mask != nullptr) {
      mask_ = *sweep_.mask;
    } else if (sweep_.pattern != nullptr) {
      mask_ = Mask::all(values_.rows, values_.cols);
      if (n_of_m_ != nullptr) return;
      next_block_ = select_block(0);
      if (!next_block_) mask_ = select_by_loss(values_, *sweep_.pattern, sweep_.factor, context_);
    }
  }

  std::optional<Mask> select_block(int64_t begin) {
    const int64_t count = std::min(kBlock, values_.cols - begin);
    Matrix scores(values_.rows, count);
    for_row_tiles([&](int64_t first, int64_t last) {
      for (int64_t r = first; r < last; ++r) {
        for (int64_t j = 0; j < count; ++j) {
          scores(r, j) = work_(r, begin + j) / upper_(begin + j, begin + j);
        }
      }
    });
    return sweep_.pattern->select_columns({scores.view(), Scores::Kind::kMagnitude}, begin,
                                          values_.cols, context_);
  }

  template <typename Round>
  void run_blocks(const Round& round) {
    for (int64_t begin = 0; begin < values_.cols; begin += kBlock) {
      const int64_t end = std::min(values_.cols, begin + kBlock);
      if (next_block_) {
        if (begin > 0) next_block_ = select_block(begin);
        for (int64_t r = 0; r < values_.rows; ++r) {
          for (int64_t j = begin; j < end; ++j) {
            mask_.row(r)[column(j)] = (*next_block_)(r, j - begin);
          }
        }
      }
      for_row_tiles([&](int64_t first, int64_t last) {
        Matrix errors(last - first, end - begin);
        for (int64_t r = first; r < last; ++r) {
          run_row(r, begin, end, errors.row(r - first), round);
        }
        if (end == values_.cols) return;
        gemm(errors.view(), upper_.rows_from(begin, end - begin).cols_from(end, values_.cols - end),
             work_.view().rows_from(first, last - first).cols_from(end, values_.cols - end),
             {.alpha = -1.0f, .beta = 1.0f});
      });
    }
  }

  template <typename Round>
  void run_row(int64_t r, int64_t begin, int64_t end, float* errors, const Round& round) {
    float* work = work_.row(r);
    uint8_t* keep = mask_.empty() ? nullptr : mask_.row(r);
    for (int64_t j = begin; j < end; ++j) {
      if (n_of_m_ != nullptr && j % n_of_m_->m == 0) choose_group(work, j, keep);
      const float w = work[j];
      const int64_t c = column(j);
      const float value = keep == nullptr || keep[c] != 0 ? round(r, c, w) : 0.0f;
      const float* factor = upper_.row(j);
      const float error = (w - value) / factor[j];
      work[j] = value;
      errors[j - begin] = error;
      for (int64_t k = j + 1; k < end; ++k) work[k] -= error * factor[k];
    }
  }

  /// The group may reach beyond the block: its later weights then lack this block's last updates.
  void choose_group(const float* work, int64_t j, uint8_t* keep) const {
    std::array<uint32_t, NOfMPattern::kLargestGroup> keys;
    const int64_t count = std::min(n_of_m_->m, values_.cols - j);
    const Scores scores{{}, Scores::Kind::kMagnitude};
    for (int64_t i = 0; i < count; ++i) {
      keys[static_cast<size_t>(i)] = scores.key(work[j + i] / upper_(j + i, j + i));
    }
    keep_largest(keys.data(), count, n_of_m_->n, keep + j);
  }

  const Sweep& sweep_;
  ConstMatrixView upper_;
  std::span<const int64_t> order_;
  MatrixView values_;
  Context& context_;
  Matrix work_;  // columns in the order of elimination
  Mask mask_;
  const NOfMPattern* n_of_m_ = nullptr;
  std::optional<Mask> next_block_;  // of patterns that are chosen block by block
};

}  // namespace

Mask run_sweep(const Sweep& sweep, MatrixView values, Context& context) {
  if (sweep.grid == nullptr || sweep.grid->column_factors.empty()) {
    return SweepPass(sweep, values, context).run();
  }
  // Columns divided by their factors lie on a grid without them; the inverse's columns go along.
  const std::vector<float>& factors = sweep.grid->column_factors;
  const std::vector<float> inverse = inverses(factors);
  const InverseFactor& factor = sweep.factor;
  InverseFactor scaled{Matrix::copy_of(factor.upper.view()), factor.order, factor.damping};
  for (int64_t j = 0; j < values.cols; ++j) {
    for (int64_t k = j; k < values.cols; ++k) {
      scaled.upper(j, k) *= inverse[static_cast<size_t>(factor.order[static_cast<size_t>(k)])];
    }
  }
  scale_columns(values, inverse, values, context);
  const Sweep without{scaled, sweep.pattern, sweep.mask, sweep.grid};
  Mask mask = SweepPass(without, values, context).run();
  scale_columns(values, factors, values, context);
  return mask;
}

Mask select_by_loss(ConstMatrixView values, const SparsityPattern& pattern,
                    const InverseFactor& factor, Context& context) {
  std::vector<float> scale(static_cast<size_t>(values.cols));  // 1 / sqrt([H^-1]_cc)
  for (int64_t j = 0; j < values.cols; ++j) {
    double sum = 0;
    for (int64_t i = 0; i <= j; ++i) {
      const double u = factor.upper(i, j);
      sum += u * u;
    }
    scale[static_cast<size_t>(factor.order[static_cast<size_t>(j)])] =
        static_cast<float>(1.0 / std::sqrt(sum));
  }
  const Matrix scores = scaled_columns(values, scale, context);
  return pattern.select({scores.view(), Scores::Kind::kMagnitude}, context);
}

}  // namespace scant
