#include "compress/interplay/layer_cells.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "compress/interplay/cell_grid.h"
#include "compress/interplay/layer_errors.h"
#include "core/error.h"
#include "core/stopwatch.h"
#include "methods/interplay.h"

namespace scant {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// One pattern with the wave's format in every order: a result, or why there is none.
struct PairResults {
  std::array<std::optional<CompressedMatrix>, std::size(kOrders)> by_order;
  std::optional<CompressedMatrix>& of(Order order) { return by_order[static_cast<size_t>(order)]; }
  const std::optional<CompressedMatrix>& of(Order order) const {
    return by_order[static_cast<size_t>(order)];
  }
};

class LayerWork {
 public:
  LayerWork(ConstMatrixView weight, const NumberFormat& plain, const Wave& wave,
            const Matrix* input, std::string_view layer, Context& context)
      : weight_(weight),
        plain_(plain),
        wave_(wave),
        input_(input),
        layer_(layer),
        context_(context) {
    result_.cells.resize(wave.cells.size());
  }

  LayerCells run() {
    if (wave_.format) quantize_alone();
    std::vector<SparsityPattern> patterns = wave_.figures;
    for (const CellSpec& cell : wave_.cells) {
      const bool known =
          cell.sparsity && std::ranges::find(patterns, *cell.sparsity) != patterns.end();
      if (cell.sparsity && !known) patterns.push_back(*cell.sparsity);
    }
    for (const SparsityPattern& pattern : patterns) {
      if (wave_.format) {
        both(pattern);
      } else {
        sparsify_alone(pattern);
      }
    }
    return std::move(result_);
  }

 private:
  struct Attempt {
    std::optional<CompressedMatrix> compressed;
    std::string failure;
  };

  Attempt attempt(const std::optional<SparsityPattern>& pattern,
                  const std::optional<NumberFormat>& format, const std::optional<Order>& order) {
    const Stopwatch watch;
    Attempt result;
    try {
      const Recipe recipe = recipe_of({pattern, format, order, false}, wave_.seed);
      result.compressed =
          compress_matrix(weight_, plan_layer(recipe, layer_).weights, Statistics{}, context_);
    } catch (const Error& error) {
      result.failure = error.what();
    }
    result_.compress_seconds += watch.seconds();
    return result;
  }

  /// Hands a result to every running cell of this kind.
  void deliver(const std::optional<SparsityPattern>& pattern, const std::optional<Order>& order,
               const CompressedMatrix* compressed, const std::string& failure) {
    for (size_t i = 0; i < wave_.cells.size(); ++i) {
      const CellSpec& cell = wave_.cells[i];
      if (cell.sparsity != pattern || cell.order != order) continue;
      LayerCells::OfCell& out = result_.cells[i];
      out.failure = failure;
      if (compressed == nullptr) continue;
      out.values = Matrix::copy_of(compressed->values.view());
      const int64_t kept = compressed->mask ? compressed->mask->kept() : weight_.size();
      out.size = stored_size(weight_.rows, weight_.cols, wave_.format ? *wave_.format : plain_,
                             pattern, kept);
    }
  }

  void quantize_alone() {
    Attempt alone = attempt(std::nullopt, wave_.format, std::nullopt);
    deliver(std::nullopt, std::nullopt, alone.compressed ? &*alone.compressed : nullptr,
            alone.failure);
    if (!alone.compressed) return;
    quantized_ = std::move(*alone.compressed);
    if (input_ == nullptr || wave_.figures.empty()) return;
    const Stopwatch watch;
    std::optional<NumberFormat> activation;
    if (wave_.activations) activation = activation_format(*wave_.format);
    errors_.emplace(input_->view(), weight_, quantized_->values.view(), activation);
    result_.figures_seconds += watch.seconds();
  }

  void sparsify_alone(const SparsityPattern& pattern) {
    const Attempt alone = attempt(pattern, std::nullopt, std::nullopt);
    deliver(pattern, std::nullopt, alone.compressed ? &*alone.compressed : nullptr, alone.failure);
  }

  void both(const SparsityPattern& pattern) {
    const bool figures = std::ranges::find(wave_.figures, pattern) != wave_.figures.end();
    PairResults pair;
    for (const Order order : wave_.orders) {
      const bool runs = std::ranges::any_of(wave_.cells, [&](const CellSpec& cell) {
        return cell.sparsity == pattern && cell.order == order;
      });
      if (!runs && !figures) continue;
      Attempt one = attempt(pattern, wave_.format, order);
      deliver(pattern, order, one.compressed ? &*one.compressed : nullptr, one.failure);
      pair.of(order) = std::move(one.compressed);
    }
    if (!figures || !quantized_) return;
    const Stopwatch watch;
    if (!wave_.activations) result_.tensors.push_back(tensor_figures(pattern, pair));
    if (errors_) layer_figures(pattern, pair);
    result_.figures_seconds += watch.seconds();
  }

  TensorFigures tensor_figures(const SparsityPattern& pattern, const PairResults& pair) {
    TensorFigures t;
    t.sparsity = pattern.spelling();
    t.format = wave_.format->spelling();
    double squared = 0;
    for (int64_t r = 0; r < weight_.rows; ++r) {
      for (const float w : weight_.row_span(r)) squared += static_cast<double>(w) * w;
    }
    t.weight = std::sqrt(squared);
    t.format_only = std::sqrt(quantized_->error.squared);
    const auto norm_of = [&](Order order) {
      return pair.of(order) ? std::sqrt(pair.of(order)->error.squared) : kNone;
    };
    t.sparsify_first = norm_of(Order::kSparsifyFirst);
    t.quantize_first = norm_of(Order::kQuantizeFirst);
    t.joint = norm_of(Order::kJoint);
    const ConstMatrixView quantized = quantized_->values.view();
    if (const auto collapsed = collapsed_weights(weight_, quantized, pattern, context_)) {
      t.collapsed = collapsed->collapsed;
    }
    const auto& first = pair.of(Order::kSparsifyFirst);
    const auto& second = pair.of(Order::kQuantizeFirst);
    t.sparsity_only = first ? std::sqrt(first->error.sparsity_squared) : kNone;
    if (!first || !second) {
      t.excess = t.exact_excess = kNone;
      t.premise = "the two orders are not both there";
      return t;
    }
    const SelectionComparison selections =
        compare_selections(weight_, quantized, *first->mask, *second->mask, context_);
    t.swapped = std::min(selections.wrongly_kept, selections.wrongly_pruned);
    t.excess = second->error.squared - first->error.squared;
    t.exact_excess = selections.excess;
    if (const int64_t changed = rescaled(*first)) {
      t.premise = fmt::format("pruning changed the scales of {} kept weights", changed);
    } else {
      // Both sides are sums of the same float32 values in double, in another order.
      const double rounding = 1e-9 * (second->error.squared + first->error.squared);
      t.agrees = std::fabs(t.excess - t.exact_excess) <= rounding;
    }
    return t;
  }

  /// Kept weights that have another value than in the dense quantized matrix.
  int64_t rescaled(const CompressedMatrix& first) const {
    int64_t count = 0;
    for (int64_t r = 0; r < weight_.rows; ++r) {
      const uint8_t* keep = first.mask->row(r);
      for (int64_t c = 0; c < weight_.cols; ++c) {
        count += keep[c] != 0 && first.values(r, c) != quantized_->values(r, c) ? 1 : 0;
      }
    }
    return count;
  }

  void layer_figures(const SparsityPattern& pattern, const PairResults& pair) {
    const auto& first = pair.of(Order::kSparsifyFirst);
    // Sparsify-first keeps the magnitude mask; without it the mask is made here.
    errors_->set_sparsity(first ? *first->mask : pattern.select_magnitude(weight_, context_));
    for (const Order order : wave_.orders) {
      const auto& compressed = pair.of(order);
      if (!compressed) continue;
      LayerFigures f = errors_->figures(compressed->values.view(), *compressed->mask);
      f.sparsity = pattern.spelling();
      f.format = wave_.format->spelling();
      f.order = order;
      f.activations = wave_.activations;
      result_.layers.push_back(std::move(f));
    }
  }

  ConstMatrixView weight_;
  const NumberFormat& plain_;
  const Wave& wave_;
  const Matrix* input_;
  std::string_view layer_;
  Context& context_;
  LayerCells result_;
  std::optional<CompressedMatrix> quantized_;
  std::optional<LayerErrors> errors_;
};

}  // namespace

LayerCells compress_cells(ConstMatrixView weight, const NumberFormat& plain, const Wave& wave,
                          const Matrix* input, std::string_view layer, Context& context) {
  return LayerWork(weight, plain, wave, input, layer, context).run();
}

}  // namespace scant
