#include "methods/descent.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <variant>

#include "ops/gemm.h"

namespace scant {
namespace {

constexpr int64_t kRows = 64;        // rows of one task
constexpr int64_t kWidth = 128;      // columns that are worked on at once
constexpr int64_t kWidest = 512;     // a group up to here is worked on as a whole
constexpr int kPasses = 4;           // over all columns
constexpr int kRounds = 4;           // over the columns of a block
constexpr double kLeastGain = 2e-3;  // of the objective, for another pass

/// The storable scale nearest to `wanted`.
float nearest_scale(double wanted, ScaleStorage storage) {
  const float up = round_up_scale(wanted, storage);
  const float down = round_down_scale(wanted, storage);
  return wanted - down < up - wanted ? down : up;
}

struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

/// Columns in blocks that no group of the format crosses.
std::vector<Range> blocks_of(int64_t cols, const Granularity& granularity) {
  int64_t width = kWidth;
  if (granularity.kind == Granularity::Kind::kGroup && granularity.size <= kWidest) {
    width = granularity.size * std::max<int64_t>(1, kWidth / granularity.size);
  }
  std::vector<Range> blocks;
  for (int64_t begin = 0; begin < cols; begin += width) {
    blocks.push_back({begin, std::min(cols, begin + width)});
  }
  return blocks;
}

/// Some rows of the weight, which nothing else depends on.
template <CodedElement Element>
class RowTile {
 public:
  RowTile(const DescentProblem& problem, const Element& element, MaskedCodes& state,
          MatrixView values, Range rows)
      : problem_(problem),
        element_(element),
        gram_(problem.inputs.gram()),
        grid_(state.quantized),
        mask_(state.mask),
        values_(values),
        rows_(rows),
        gradient_(rows.size(), values.cols) {
    if (problem.pattern != nullptr) {
      n_of_m_ = std::get_if<NOfMPattern>(&problem.pattern->pattern);
      swaps_freely_ = std::holds_alternative<UnstructuredPattern>(problem.pattern->pattern);
    }
  }

  void run() {
    measure();
    const std::vector<Range> blocks = blocks_of(values_.cols, grid_.format.granularity);
    double before = objective();
    for (int pass = 0; pass < kPasses; ++pass) {
      for (const Range& block : blocks) improve_block(block);
      if (grid_.format.granularity.kind == Granularity::Kind::kRow) refit_rows();
      const double after = objective();
      if (before - after <= kLeastGain * before) break;
      before = after;
    }
  }

 private:
  const Granularity& granularity() const { return grid_.format.granularity; }

  /// The gradient of half the objective, (What - W) H.
  void measure() {
    Matrix error(rows_.size(), values_.cols);
    for (int64_t r = 0; r < rows_.size(); ++r) {
      for (int64_t c = 0; c < values_.cols; ++c) error(r, c) = error_at(r, c);
    }
    gemm(error.view(), gram_, gradient_.view());
  }

  float error_at(int64_t r, int64_t c) const {
    return values_(rows_.begin + r, c) - problem_.target(rows_.begin + r, c);
  }

  double objective() const {
    double sum = 0;
    for (int64_t r = 0; r < rows_.size(); ++r) {
      for (int64_t c = 0; c < values_.cols; ++c) {
        sum += static_cast<double>(error_at(r, c)) * gradient_(r, c);
      }
    }
    return sum;
  }

  void improve_block(const Range& block) {
    Matrix change(rows_.size(), block.size());
    for (int64_t r = 0; r < rows_.size(); ++r) {
      float* values = values_.row(rows_.begin + r) + block.begin;
      float* delta = change.row(r);
      std::copy_n(values, block.size(), delta);
      local_.assign(gradient_.row(r) + block.begin, gradient_.row(r) + block.end);
      improve_row(rows_.begin + r, block);
      for (int64_t c = 0; c < block.size(); ++c) delta[c] = values[c] - delta[c];
    }
    gemm(change.view(), gram_.rows_from(block.begin, block.size()), gradient_.view(),
         {.beta = 1.0f});
  }

  void improve_row(int64_t row, const Range& block) {
    for (int round = 0; round < kRounds; ++round) {
      bool changed = choose_codes(row, block);
      if (n_of_m_ != nullptr) changed |= swap_in_groups(row, block);
      if (swaps_freely_) changed |= swap_in_block(row, block);
      if (granularity().kind == Granularity::Kind::kGroup && granularity().size <= kWidest) {
        changed |= refit_groups(row, block);
      }
      if (!changed) break;
    }
  }

  BlockScale scale_at(int64_t row, int64_t col) const {
    return grid_.block_scale(row, grid_.block_of(row, col));
  }
  float nearest(int64_t row, int64_t col, float x) const {
    const BlockScale scale = scale_at(row, col);
    return decode(element_, encode(element_, x, scale), scale);
  }
  bool kept(int64_t row, int64_t col) const { return mask_.empty() || mask_(row, col) != 0; }

  float curvature(int64_t col) const { return gram_(col, col); }
  /// By how much the objective grows when one weight changes by `delta`.
  double growth(const Range& block, int64_t col, double delta) const {
    return delta * (2.0 * local(block, col) + curvature(col) * delta);
  }
  float& local(const Range& block, int64_t col) {
    return local_[static_cast<size_t>(col - block.begin)];
  }
  float local(const Range& block, int64_t col) const {
    return local_[static_cast<size_t>(col - block.begin)];
  }

  void set(int64_t row, const Range& block, int64_t col, float value) {
    const float delta = value - values_(row, col);
    values_(row, col) = value;
    const float* coupled = gram_.row(col) + block.begin;
    for (int64_t c = 0; c < block.size(); ++c) {
      local_[static_cast<size_t>(c)] += delta * coupled[c];
    }
  }

  /// The grid value that is best for one weight while all others stay.
  float best_value(int64_t row, const Range& block, int64_t col) const {
    if (curvature(col) <= 0) return values_(row, col);
    return nearest(row, col, values_(row, col) - local(block, col) / curvature(col));
  }

  bool choose_codes(int64_t row, const Range& block) {
    bool changed = false;
    for (int64_t c = block.begin; c < block.end; ++c) {
      if (!kept(row, c)) continue;
      const float value = best_value(row, block, c);
      if (value == values_(row, c) || growth(block, c, value - values_(row, c)) >= 0) continue;
      set(row, block, c, value);
      changed = true;
    }
    return changed;
  }

  struct Swap {
    int64_t out = -1, in = -1;
    float value = 0;
    double growth = 0;
  };

  /// The best exchange of one kept column of `out` for one pruned column of `in`.
  void consider(int64_t row, const Range& block, int64_t out, int64_t in, float value,
                Swap& best) const {
    const double removed = -static_cast<double>(values_(row, out));
    const double total = growth(block, out, removed) + growth(block, in, value) +
                         2.0 * removed * value * gram_(out, in);
    // Rounding of the gradient must not let two positions change places for ever.
    const double least = -1e-5 * curvature(in) * value * value;
    if (total < std::min(best.growth, least)) best = {out, in, value, total};
  }

  void apply(int64_t row, const Range& block, const Swap& swap) {
    set(row, block, swap.out, 0.0f);
    mask_.row(row)[swap.out] = 0;
    set(row, block, swap.in, swap.value);
    mask_.row(row)[swap.in] = 1;
  }

  bool swap_in_groups(int64_t row, const Range& block) {
    bool changed = false;
    const int64_t m = n_of_m_->m;
    for (int64_t begin = (block.begin + m - 1) / m * m; begin < block.end; begin += m) {
      const int64_t end = std::min(begin + m, values_.cols);
      if (end > block.end) break;
      Swap best;
      for (int64_t in = begin; in < end; ++in) {
        if (kept(row, in)) continue;
        const float value = best_value(row, block, in);
        for (int64_t out = begin; out < end; ++out) {
          if (kept(row, out)) consider(row, block, out, in, value, best);
        }
      }
      if (best.in < 0) continue;
      apply(row, block, best);
      changed = true;
    }
    return changed;
  }

  /// Exchanges the cheapest kept weights for the most wanted pruned ones, one pair at a time.
  bool swap_in_block(int64_t row, const Range& block) {
    bool changed = false;
    for (int64_t count = block.size() / 8; count > 0; --count) {
      int64_t out = -1, in = -1;
      double cheapest = 0, dearest = 0;
      float value = 0;
      for (int64_t c = block.begin; c < block.end; ++c) {
        if (kept(row, c)) {
          const double cost = growth(block, c, -static_cast<double>(values_(row, c)));
          if (out < 0 || cost < cheapest) cheapest = cost, out = c;
        } else {
          const float wanted = best_value(row, block, c);
          const double cost = growth(block, c, wanted);
          if (cost < dearest) dearest = cost, in = c, value = wanted;
        }
      }
      Swap best;
      if (out >= 0 && in >= 0) consider(row, block, out, in, value, best);
      if (best.in < 0) break;
      apply(row, block, best);
      changed = true;
    }
    return changed;
  }

  /// The stored scale of a block becomes the best one for its codes; what the values are then.
  bool rescale(int64_t row, int64_t block_index, const Range& cols, double factor) {
    const auto index = static_cast<size_t>(block_index);
    const BlockScale old = grid_.block_scale(row, block_index);
    const float before = grid_.scales[index];
    const float wanted = nearest_scale(before * factor, grid_.format.scale_storage);
    if (wanted == before || !std::isfinite(wanted)) return false;
    grid_.scales[index] = wanted;
    const BlockScale fresh = grid_.block_scale(row, block_index);
    for (int64_t c = cols.begin; c < cols.end; ++c) {
      if (!kept(row, c)) continue;
      values_(row, c) = decode(element_, encode(element_, values_(row, c), old), fresh);
    }
    return true;
  }

  bool refit_groups(int64_t row, const Range& block) {
    bool changed = false;
    for (int64_t begin = block.begin; begin < block.end; begin += granularity().size) {
      const Range group{begin, std::min(block.end, begin + granularity().size)};
      changed |= refit_group(row, block, group);
    }
    return changed;
  }

  bool refit_group(int64_t row, const Range& block, const Range& group) {
    double slope = 0, bend = 0;
    for (int64_t r = group.begin; r < group.end; ++r) {
      const double v = values_(row, r);
      if (v == 0) continue;
      slope += v * local(block, r);
      const float* coupled = gram_.row(r);
      float sum = 0;
      for (int64_t c = group.begin; c < group.end; ++c) sum += coupled[c] * values_(row, c);
      bend += v * sum;
    }
    if (bend <= 0) return false;
    const int64_t index = grid_.block_of(row, group.begin);
    const float before = grid_.scales[static_cast<size_t>(index)];
    const std::vector<float> old(values_.row(row) + group.begin, values_.row(row) + group.end);
    if (!rescale(row, index, group, 1.0 - slope / bend)) return false;
    // The step in steps of the stored scale, which can be coarse.
    const double step = grid_.scales[static_cast<size_t>(index)] / static_cast<double>(before) - 1;
    if (step * (2 * slope + step * bend) >= -1e-6 * bend * step * step) {
      grid_.scales[static_cast<size_t>(index)] = before;
      std::ranges::copy(old, values_.row(row) + group.begin);
      return false;
    }
    for (int64_t c = group.begin; c < group.end; ++c) {
      const float value = values_(row, c);
      values_(row, c) = old[static_cast<size_t>(c - group.begin)];
      if (value != values_(row, c)) set(row, block, c, value);
    }
    return true;
  }

  /// One scale per row: with What H = gradient + W H the best one is known at once.
  void refit_rows() {
    Matrix target(rows_.size(), values_.cols), product(rows_.size(), values_.cols);
    for (int64_t r = 0; r < rows_.size(); ++r) {
      std::copy_n(values_.row(rows_.begin + r), values_.cols, target.row(r));
    }
    gemm(target.view(), gram_, product.view());
    for (int64_t r = 0; r < rows_.size(); ++r) {
      const int64_t row = rows_.begin + r;
      double slope = 0, bend = 0;
      for (int64_t c = 0; c < values_.cols; ++c) {
        slope += static_cast<double>(values_(row, c)) * gradient_(r, c);
        bend += static_cast<double>(values_(row, c)) * product(r, c);
      }
      if (bend > 0) rescale(row, grid_.block_of(row, 0), {0, values_.cols}, 1.0 - slope / bend);
    }
    measure();
  }

  const DescentProblem& problem_;
  const Element& element_;
  ConstMatrixView gram_;
  QuantizedMatrix& grid_;
  Mask& mask_;
  MatrixView values_;
  Range rows_;
  Matrix gradient_;
  std::vector<float> local_;  // the gradient inside a block of one row
  const NOfMPattern* n_of_m_ = nullptr;
  bool swaps_freely_ = false;
};

}  // namespace

void descend(const DescentProblem& problem, MaskedCodes& state, MatrixView values,
             Context& context) {
  const int64_t tiles = (values.rows + kRows - 1) / kRows;
  std::visit(
      [&]<typename Element>(const Element& element) {
        if constexpr (CodedElement<Element>) {
          context.threads.parallel_for(tiles, [&](int64_t tile) {
            const Range rows{tile * kRows, std::min(values.rows, (tile + 1) * kRows)};
            RowTile<Element>(problem, element, state, values, rows).run();
          });
        }
      },
      state.quantized.format.element);
  state.quantized =
      codes_on_grid(state.quantized, state.mask.empty() ? nullptr : &state.mask, values, context);
}

}  // namespace scant
