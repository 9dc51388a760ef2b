#include "methods/sweep.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <variant>

#include "core/cpu.h"
#include "methods/scaled_columns.h"
#include "ops/gemm.h"
#include "ops/lanes/table.h"
#include "ops/quantize/value_rounder.h"

namespace scant {
namespace {

constexpr int64_t kBlock = 128;  // columns that are finished before the next ones learn of it
constexpr int64_t kSpan = 4;     // blocks between two updates of all that follow
// Of one product of changes: large enough for sgemm at full speed.
constexpr int64_t kUpdateRows = 512, kUpdateCols = 512;

struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

/// Scales, zero points and offsets of a grid by block, one per row: what a column of a tile reads.
class GridColumns {
 public:
  explicit GridColumns(const QuantizedMatrix& grid)
      : rounder_(grid.format), factors_(grid.column_factors), inverses_(inverses(factors_)) {
    if (grid.format.is_plain()) return;
    const Granularity& granularity = grid.format.granularity;
    width_ = granularity.kind == Granularity::Kind::kGroup ? granularity.size : grid.cols;
    width_ = std::max<int64_t>(1, width_);
    const int64_t blocks = std::max<int64_t>(1, grid.blocks_per_row());
    padded_rows_ = (grid.rows + kLanes - 1) / kLanes * kLanes;
    scales_.assign(static_cast<size_t>(blocks * padded_rows_), 0.0f);
    if (!grid.zero_points.empty()) zero_points_.assign(scales_.size(), 0);
    if (!grid.offsets.empty()) offsets_.assign(scales_.size(), 0.0f);
    for (int64_t r = 0; r < grid.rows; ++r) {
      for (int64_t b = 0; b < blocks; ++b) {
        const BlockScale scale = grid.block_scale(r, grid.block_of(r, b * width_));
        const auto at = static_cast<size_t>(b * padded_rows_ + r);
        scales_[at] = scale.scale;
        if (!zero_points_.empty()) zero_points_[at] = scale.zero_point;
        if (!offsets_.empty()) offsets_[at] = scale.offset;
      }
    }
  }

  /// Of rows from `row` on, as many as a tile has, in column `col` of the weight.
  void round(int64_t row, int64_t col, float* values) const {
    const auto at = static_cast<size_t>(col / width_ * padded_rows_ + row);
    if (!factors_.empty()) scale_lanes(values, inverses_[static_cast<size_t>(col)]);
    rounder_.round({.values = values,
                    .count = kLanes,
                    .scales = scales_.empty() ? nullptr : scales_.data() + at,
                    .zero_points = zero_points_.empty() ? nullptr : zero_points_.data() + at,
                    .simulated = values,
                    .offsets = offsets_.empty() ? nullptr : offsets_.data() + at});
    if (!factors_.empty()) scale_lanes(values, factors_[static_cast<size_t>(col)]);
  }

 private:
  static void scale_lanes(float* values, float factor) {
    for (int64_t l = 0; l < kLanes; ++l) values[l] *= factor;
  }

  ValueRounder rounder_;
  std::vector<float> factors_, inverses_;  // of columns; empty: none
  int64_t width_ = 1;
  int64_t padded_rows_ = 0;
  std::vector<float> scales_;
  std::vector<int32_t> zero_points_;
  std::vector<float> offsets_;
};

/// Some rows in the columns of a block, column by column: row l of the tile is lane l.
struct Tile {
  Tile(Range rows_in, Range cols_in)
      : rows(rows_in),
        cols(cols_in),
        wanted(cols_in.size(), kLanes),
        weights(cols_in.size(), kLanes),
        changes(cols_in.size(), kLanes),
        keep(static_cast<size_t>(cols_in.size() * kLanes), -1) {}
  int32_t* keep_column(int64_t j) { return keep.data() + j * kLanes; }
  /// put(l, j) for every value, in an order in which rows and columns stay in the first-level
  /// cache.
  template <typename Put>
  void for_values(const Put& put) const {
    constexpr int64_t kCols = 16;
    for (int64_t begin = 0; begin < cols.size(); begin += kCols) {
      const int64_t end = std::min(cols.size(), begin + kCols);
      for (int64_t l = 0; l < rows.size(); ++l) {
        for (int64_t j = begin; j < end; ++j) put(l, j);
      }
    }
  }
  int64_t index() const { return rows.begin / kLanes; }

  Range rows, cols;
  Matrix wanted;              // what a column is best at after the changes of the columns before it
  Matrix weights;             // before the sweep
  Matrix changes;             // weights less what they became
  std::vector<int32_t> keep;  // -1 or 0
  std::array<float, kLanes> errors{};  // what the block adds to the squared error of a row
};

class SweepPass {
 public:
  SweepPass(const Sweep& sweep, ConstMatrixView weight, MatrixView values, Context& context)
      : sweep_(sweep),
        upper_(sweep.factor.upper.view()),
        order_(sweep.factor.order),
        in_order_(std::ranges::is_sorted(order_)),
        weight_(weight),
        values_(values),
        context_(context),
        lanes_(select_lanes_kernels(active_isa())),
        wanted_(values.rows, values.cols),
        errors_(static_cast<size_t>((values.rows + kLanes - 1) / kLanes), 0.0) {
    if (sweep.grid != nullptr) grid_.emplace(*sweep.grid);
    if (sweep.pattern != nullptr) n_of_m_ = std::get_if<NOfMPattern>(&sweep.pattern->pattern);
    if (n_of_m_ != nullptr) {
      if (!in_order_) {
        throw std::logic_error("sweep: N:M groups need columns from left to right");
      }
      block_ = n_of_m_->m * std::max<int64_t>(1, kBlock / n_of_m_->m);
    }
    coupling_ = Matrix(block_, block_);
    changes_ = PaddedMatrix(values_.rows, std::min(values_.cols, kSpan * block_));
  }

  Mask run() {
    const bool by_block = choose_before();
    for_row_tiles([&](Range rows) {
      for (int64_t r = rows.begin; r < rows.end; ++r) {
        for (int64_t j = 0; j < values_.cols; ++j) wanted_(r, j) = weight_(r, column(j));
        if (!in_order_) std::copy_n(wanted_.row(r), values_.cols, values_.row(r));
      }
    });
    for (int64_t begin = 0; begin < values_.cols; begin += kSpan * block_) {
      span_ = {begin, std::min(values_.cols, begin + kSpan * block_)};
      for (int64_t at = span_.begin; at < span_.end; at += block_) {
        const Range cols{at, std::min(span_.end, at + block_)};
        take_coupling(cols);
        if (by_block) choose_block(cols);
        for_row_tiles([&](Range rows) { run_tile(rows, cols); });
        update_columns(cols, {cols.end, span_.end});
      }
      update_columns(span_, {span_.end, values_.cols});
    }
    put_back_in_order();
    if (sweep_.squared_error != nullptr) {
      *sweep_.squared_error = std::accumulate(errors_.begin(), errors_.end(), 0.0);
    }
    return std::move(mask_);
  }

 private:
  int64_t column(int64_t position) const { return order_[static_cast<size_t>(position)]; }
  float diagonal(int64_t position) const {
    return sweep_.factor.diagonal[static_cast<size_t>(position)];
  }

  template <typename Rows>
  void for_row_tiles(const Rows& rows) {
    context_.threads.parallel_for((values_.rows + kLanes - 1) / kLanes, [&](int64_t tile) {
      rows(Range{tile * kLanes, std::min(values_.rows, (tile + 1) * kLanes)});
    });
  }

  /// From the order of elimination; what was wanted is not needed any more.
  void put_back_in_order() {
    if (in_order_) return;
    for_row_tiles([&](Range rows) {
      for (int64_t r = rows.begin; r < rows.end; ++r) {
        std::copy_n(values_.row(r), values_.cols, wanted_.row(r));
        for (int64_t j = 0; j < values_.cols; ++j) values_(r, column(j)) = wanted_(r, j);
      }
    });
  }

  /// Masks that are known before the pass; true if those of blocks are chosen on the way.
  bool choose_before() {
    if (sweep_.mask != nullptr) {
      mask_ = *sweep_.mask;
    } else if (sweep_.pattern != nullptr) {
      mask_ = Mask::all(values_.rows, values_.cols);
      if (n_of_m_ != nullptr) return false;
      if (std::holds_alternative<UnstructuredPattern>(sweep_.pattern->pattern)) return true;
      mask_ = select_by_loss(weight_, *sweep_.pattern, sweep_.factor, context_);
    }
    return false;
  }

  void take_coupling(Range cols) {
    for (int64_t i = 0; i < cols.size(); ++i) {
      for (int64_t j = i; j < cols.size(); ++j) {
        coupling_(j, i) = upper_(cols.begin + i, cols.begin + j);
      }
    }
  }

  void choose_block(Range cols) {
    Matrix losses(values_.rows, cols.size());
    for_row_tiles([&](Range rows) {
      Tile tile(rows, cols);
      load(tile);
      free_columns(tile, {0, cols.size()}, 0);
      for (int64_t l = 0; l < rows.size(); ++l) {
        for (int64_t j = 0; j < cols.size(); ++j) {
          losses(rows.begin + l, j) = tile.wanted(j, l) * diagonal(cols.begin + j);
        }
      }
    });
    const std::optional<Mask> chosen = sweep_.pattern->select_columns(
        {losses.view(), Scores::Kind::kMagnitude}, cols.begin, values_.cols, context_);
    for (int64_t r = 0; r < values_.rows; ++r) {
      for (int64_t j = 0; j < cols.size(); ++j) {
        mask_.row(r)[column(cols.begin + j)] = (*chosen)(r, j);
      }
    }
  }

  void run_tile(Range rows, Range cols) {
    Tile tile(rows, cols);
    load(tile);
    for (int64_t j = 0; j < cols.size(); ++j) finish_column(tile, j);
    tile.for_values([&](int64_t l, int64_t j) {
      values_(rows.begin + l, cols.begin + j) = tile.wanted(j, l);
      changes_(rows.begin + l, cols.begin - span_.begin + j) = tile.changes(j, l);
    });
    for (int64_t l = 0; l < rows.size(); ++l) {
      errors_[static_cast<size_t>(tile.index())] += tile.errors[static_cast<size_t>(l)];
    }
  }

  void load(Tile& tile) const {
    const ConstMatrixView before = in_order_ ? weight_ : values_;
    for (int64_t j = 0; j < tile.cols.size(); ++j) {
      std::fill_n(tile.wanted.row(j), kLanes, 0.0f);
      std::fill_n(tile.weights.row(j), kLanes, 0.0f);
    }
    tile.for_values([&](int64_t l, int64_t j) {
      const int64_t r = tile.rows.begin + l;
      tile.wanted(j, l) = wanted_(r, tile.cols.begin + j);
      tile.weights(j, l) = before(r, tile.cols.begin + j);
    });
    if (mask_.empty() || n_of_m_ != nullptr) return;
    tile.for_values([&](int64_t l, int64_t j) {
      const bool kept = mask_(tile.rows.begin + l, column(tile.cols.begin + j)) != 0;
      tile.keep_column(j)[l] = kept ? -1 : 0;
    });
  }

  /// Adds the changes of the columns `from`, of the span, to what the columns `to` want to be.
  void update_columns(Range from, Range to) {
    const int64_t across = (to.size() + kUpdateCols - 1) / kUpdateCols;
    const int64_t down = (values_.rows + kUpdateRows - 1) / kUpdateRows;
    const ConstMatrixView changes =
        changes_.view().cols_from(from.begin - span_.begin, from.size());
    const ConstMatrixView upper = upper_.rows_from(from.begin, from.size());
    context_.threads.parallel_for(down * across, [&](int64_t index) {
      const int64_t r = index / across * kUpdateRows;
      const int64_t c = to.begin + index % across * kUpdateCols;
      const int64_t rows = std::min(kUpdateRows, values_.rows - r);
      const int64_t cols = std::min(kUpdateCols, to.end - c);
      gemm(changes.rows_from(r, rows), upper.cols_from(c, cols),
           wanted_.view().rows_from(r, rows).cols_from(c, cols), {.beta = 1.0f});
    });
  }

  /// Adds the changes of columns [begin, end) of the block to what column j wants to be.
  void spread(Tile& tile, int64_t begin, int64_t end, int64_t j) const {
    if (begin == end) return;
    lanes_.add_products(tile.changes.row(begin), coupling_.row(j) + begin, end - begin,
                        tile.wanted.row(j));
  }

  /// What columns [begin, end) would be if they were neither pruned nor rounded: its distance to 0
  /// is what pruning them costs. Changes of columns before `seen` have reached them.
  void free_columns(Tile& tile, Range cols, int64_t seen) const {
    for (int64_t j = cols.begin; j < cols.end; ++j) {
      spread(tile, seen, j, j);
      const float* wanted = tile.wanted.row(j);
      const float* weights = tile.weights.row(j);
      float* changes = tile.changes.row(j);
      for (int64_t l = 0; l < kLanes; ++l) changes[l] = weights[l] - wanted[l];
    }
  }

  void finish_column(Tile& tile, int64_t j) const {
    int64_t seen = 0;  // columns of the block whose changes have reached this one
    if (n_of_m_ != nullptr) {
      seen = j - j % n_of_m_->m;
      if (seen == j) choose_groups(tile, j);
    }
    spread(tile, seen, j, j);
    float* wanted = tile.wanted.row(j);
    std::array<float, kLanes> best;
    std::copy_n(wanted, kLanes, best.begin());
    if (grid_) grid_->round(tile.rows.begin, column(tile.cols.begin + j), wanted);
    const float d = diagonal(tile.cols.begin + j);
    lanes_.finish_column({.wanted = wanted,
                          .best = best.data(),
                          .weights = tile.weights.row(j),
                          .keep = tile.keep_column(j),
                          .cost = d * d,
                          .damping = static_cast<float>(sweep_.factor.damping),
                          .changes = tile.changes.row(j),
                          .errors = tile.errors.data()});
  }

  void choose_groups(Tile& tile, int64_t j) const {
    const int64_t count = std::min(n_of_m_->m, tile.cols.size() - j);
    for (int64_t i = j; i < j + count; ++i) spread(tile, 0, j, i);
    const int64_t floats = count * kLanes;
    const std::vector<float> before(tile.wanted.row(j), tile.wanted.row(j) + floats);
    free_columns(tile, {j, j + count}, j);
    const LanesKernels& lanes = count <= kLargestLaneGroup ? lanes_ : kLanesReference;
    lanes.keep_largest(tile.wanted.row(j), sweep_.factor.diagonal.data() + tile.cols.begin + j,
                       count, n_of_m_->n, tile.keep_column(j));
    for (int64_t l = 0; l < tile.rows.size(); ++l) {
      uint8_t* keep = mask_.row(tile.rows.begin + l) + tile.cols.begin + j;
      for (int64_t i = 0; i < count; ++i) keep[i] = tile.keep_column(j + i)[l] != 0 ? 1 : 0;
    }
    std::copy_n(before.begin(), floats, tile.wanted.row(j));
  }

  const Sweep& sweep_;
  ConstMatrixView upper_;
  std::span<const int64_t> order_;
  bool in_order_;  // from left to right
  ConstMatrixView weight_;
  MatrixView values_;  // during the pass with columns in the order of elimination; weights at first
                       // where that is not from left to right
  Context& context_;
  const LanesKernels& lanes_;
  PaddedMatrix wanted_;         // columns in the order of elimination
  Range span_{0, 0};            // what has changed and not yet reached all that follows
  PaddedMatrix changes_;        // of the span
  std::vector<double> errors_;  // by tile
  std::optional<GridColumns> grid_;
  mutable Mask mask_;  // tiles write their own rows
  const NOfMPattern* n_of_m_ = nullptr;
  int64_t block_ = kBlock;  // no group crosses it
  Matrix coupling_;         // the factor inside the block, transposed
};

Mask select_by_scaled(ConstMatrixView values, const SparsityPattern& pattern,
                      std::span<const float> scale, Context& context) {
  const Matrix scores = scaled_columns(values, scale, context);
  return pattern.select({scores.view(), Scores::Kind::kMagnitude}, context);
}

}  // namespace

Mask run_sweep(const Sweep& sweep, ConstMatrixView weight, MatrixView values, Context& context) {
  return SweepPass(sweep, weight, values, context).run();
}

std::vector<float> grid_importance(const NumberFormat& format, const InputStatistics& inputs) {
  return format.super_block() != nullptr ? inputs.squared_norms() : std::vector<float>{};
}

Mask select_by_loss(ConstMatrixView values, const SparsityPattern& pattern,
                    const GramFactor& factor, Context& context) {
  std::vector<float> scale(factor.order.size());
  const std::vector<float> inverse = inverse_diagonal(factor, context);
  for (size_t j = 0; j < scale.size(); ++j) {
    scale[static_cast<size_t>(factor.order[j])] = 1.0f / std::sqrt(inverse[j]);
  }
  return select_by_scaled(values, pattern, scale, context);
}

Mask likely_mask(ConstMatrixView values, const SparsityPattern& pattern, const GramFactor& factor,
                 Context& context) {
  if (!std::holds_alternative<NOfMPattern>(pattern.pattern)) {
    return select_by_loss(values, pattern, factor, context);
  }
  std::vector<float> scale(factor.order.size());
  for (size_t j = 0; j < scale.size(); ++j) {
    scale[static_cast<size_t>(factor.order[j])] = factor.diagonal[j];
  }
  return select_by_scaled(values, pattern, scale, context);
}

}  // namespace scant
