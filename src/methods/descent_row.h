#pragma once

#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "core/cpu.h"
#include "core/tensor.h"
#include "formats/mask.h"
#include "formats/pattern.h"
#include "formats/quantized.h"
#include "ops/descent/table.h"
#include "ops/quantize/quantize_plan.h"

namespace scant {

constexpr int64_t kWidestGroup = 512;  // a group up to here is worked on as a whole

struct ColumnRange {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

/// A format's elements as arithmetic, and the kernels for them.
class DescentGrid {
 public:
  explicit DescentGrid(const NumberFormat& format)
      : format_(format),
        plan_(QuantizePlan::make(format_)),
        grid_(plan_ != nullptr ? plan_->grid() : QuantizeGrid{Family::kOther}),
        kernels_(select_descent_kernels(grid_, active_isa())) {
    grid_.format = &format_;
  }
  const QuantizeGrid& elements() const { return grid_; }
  const DescentKernels& kernels() const { return kernels_; }

 private:
  using Family = QuantizeGrid::Family;
  NumberFormat format_;
  std::unique_ptr<const QuantizePlan> plan_;  // null: only the definition knows the format
  QuantizeGrid grid_;
  const DescentKernels& kernels_;
};

/// The curvature inside a block of columns, which all rows share.
struct BlockCurvature {
  BlockCurvature(ConstMatrixView gram, ColumnRange block)
      : inside(Matrix::copy_of(
            gram.rows_from(block.begin, block.size()).cols_from(block.begin, block.size()))) {
    for (int64_t c = 0; c < block.size(); ++c) {
      const float h = inside(c, c);
      diagonal.push_back(h);
      inverse.push_back(h > 0 ? 1.0f / h : 0.0f);
    }
  }
  Matrix inside;
  std::vector<float> diagonal, inverse;
};

/// A row in the columns of a block while it is worked on.
class DescentRowBlock {
 public:
  DescentRowBlock(const SparsityPattern* pattern, const DescentGrid& kernels, QuantizedMatrix& grid,
                  Mask& mask);

  /// Changes `values` (of the block) to something better. `gradient` is that of the row.
  void improve(int64_t row, const ColumnRange& block, const BlockCurvature& curvature,
               float* values, const float* gradient);

  /// The scale of a block of the format becomes the storable one nearest to `factor` times it (with
  /// super-blocks, the nearest integer); false, and nothing changes, if that is the same or of the
  /// other sign. `values` are what it holds, column `first` of the matrix
  /// on.
  bool rescale(int64_t row, int64_t first, int64_t count, float* values, double factor);

  /// Whether improve() chooses scales of groups as well.
  void refit_groups(bool whether) { refits_ = whether; }

 private:
  const Granularity& granularity() const { return grid_.format.granularity; }

  /// Where the scale of a block is stored for itself alone.
  float& own_scale(int64_t row, int64_t block);

  float nearest_own_scale(double wanted) const;

  void fill_scales(const ColumnRange& cols);

  void change_by(int64_t c, float change);

  void price(int64_t begin, int64_t count);

  struct Swap {
    int64_t out = -1, in = -1;
    float growth = 0;
  };

  /// A kept column for a pruned one, both priced; the change at `in` is its value.
  void consider(int64_t out, int64_t in, Swap& best) const;

  void apply(const Swap& swap);

  bool swap_in_groups();

  Swap best_in_group(const ColumnRange& group) const;

  /// Exchanges the cheapest kept weights for the most wanted pruned ones, one pair at a time.
  bool swap_in_block();

  bool refit_all_groups();

  /// slope and bend of the objective along what the scale of a group multiplies.
  std::pair<double, double> along(const ColumnRange& group);

  bool refit_group(const ColumnRange& group);

  const DescentGrid& kernels_;
  QuantizedMatrix& grid_;
  Mask& mask_;
  const NOfMPattern* n_of_m_ = nullptr;
  bool swaps_freely_ = false;
  bool has_groups_ = false;
  bool refits_ = true;
  int64_t row_ = 0;
  ColumnRange block_{};
  const uint8_t* keep_ = nullptr;
  DescentRow state_{};
  std::vector<uint8_t> all_;
  const SuperBlock* super_block_;  // null: scales are stored each alone
  std::vector<float> gradient_, scales_, offsets_, changes_, growths_;
  std::vector<int32_t> zero_points_, terms_;
  std::vector<float> factors_, products_, old_;
};

}  // namespace scant
