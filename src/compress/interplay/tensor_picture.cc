#include "compress/interplay/tensor_picture.h"

#include <algorithm>
#include <cmath>

#include "compress/interplay/cell_grid.h"

namespace scant {
namespace {

constexpr int64_t kBins = 81;  // odd: zero has a bin of its own
constexpr size_t kMostPairs = 12;

std::vector<int64_t> histogram(ConstMatrixView values, double range) {
  std::vector<int64_t> counts(static_cast<size_t>(kBins), 0);
  for (int64_t r = 0; r < values.rows; ++r) {
    for (const float value : values.row_span(r)) {
      const auto bin = static_cast<int64_t>(
          std::floor((value + range) / (2 * range) * static_cast<double>(kBins)));
      ++counts[static_cast<size_t>(std::clamp<int64_t>(bin, 0, kBins - 1))];
    }
  }
  return counts;
}

struct Place {
  float magnitude;
  int64_t row;
  int64_t col;
};

struct Pair {
  Place pruned;
  Place kept;
  double width() const { return static_cast<double>(pruned.magnitude) - kept.magnitude; }
};

/// Pairs of one selection group: the largest wrongly pruned with the smallest wrongly kept.
void add_pairs(std::vector<Place>& pruned, std::vector<Place>& kept, std::vector<Pair>& pairs) {
  std::ranges::stable_sort(pruned, std::greater{}, &Place::magnitude);
  std::ranges::stable_sort(kept, std::less{}, &Place::magnitude);
  for (size_t i = 0; i < std::min(pruned.size(), kept.size()); ++i) {
    pairs.push_back({pruned[i], kept[i]});
  }
}

std::vector<Pair> swapped_pairs(ConstMatrixView weight, const SparsityPattern& pattern,
                                const Mask& by_weight, const Mask& by_value) {
  const GroupShape group = pattern.ranking_group(weight.rows, weight.cols)
                               .value_or(GroupShape{weight.rows, weight.cols});
  std::vector<Pair> pairs;
  std::vector<Place> pruned;
  std::vector<Place> kept;
  for (int64_t r0 = 0; r0 < weight.rows; r0 += group.rows) {
    for (int64_t c0 = 0; c0 < weight.cols; c0 += group.cols) {
      pruned.clear();
      kept.clear();
      for (int64_t r = r0; r < std::min(weight.rows, r0 + group.rows); ++r) {
        for (int64_t c = c0; c < std::min(weight.cols, c0 + group.cols); ++c) {
          if (by_weight(r, c) == by_value(r, c)) continue;
          (by_weight(r, c) != 0 ? pruned : kept).push_back({std::fabs(weight(r, c)), r, c});
        }
      }
      add_pairs(pruned, kept, pairs);
    }
  }
  std::ranges::stable_sort(pairs, std::greater{}, &Pair::width);
  return pairs;
}

}  // namespace

TensorPicture picture_of(ConstMatrixView weight, const LinearInfo& info, int64_t number,
                         const SparsityPattern& pattern, const NumberFormat& format, uint64_t seed,
                         Context& context) {
  const auto compressed = [&](Order order) {
    const Recipe recipe = recipe_of({pattern, format, order, false}, seed);
    return compress_matrix(weight, plan_layer(recipe, info.name).weights, Statistics{}, context);
  };
  const CompressedMatrix first = compressed(Order::kSparsifyFirst);
  const CompressedMatrix second = compressed(Order::kQuantizeFirst);
  TensorPicture picture;
  picture.layer = number;
  picture.sparsity = pattern.spelling();
  picture.format = format.spelling();
  for (int64_t r = 0; r < weight.rows; ++r) {
    for (const float w : weight.row_span(r)) {
      picture.range = std::max(picture.range, static_cast<double>(std::fabs(w)));
    }
  }
  picture.range = std::max(picture.range, 1e-30);
  picture.before = histogram(weight, picture.range);
  picture.sparsify_first = histogram(first.values.view(), picture.range);
  picture.quantize_first = histogram(second.values.view(), picture.range);
  const std::vector<Pair> pairs = swapped_pairs(weight, pattern, *first.mask, *second.mask);
  picture.swapped = static_cast<int64_t>(pairs.size());
  const QuantizedMatrix& codes = *second.quantized;
  const Place shown = pairs.empty() ? Place{0, 0, 0} : pairs.front().pruned;
  if (!codes.format.is_plain()) {
    picture.scale = codes.block_scale(shown.row, codes.block_of(shown.row, shown.col)).scale;
  }
  for (size_t i = 0; i < std::min(kMostPairs, pairs.size()); ++i) {
    const Pair& pair = pairs[i];
    picture.pairs.push_back({weight(pair.pruned.row, pair.pruned.col),
                             weight(pair.kept.row, pair.kept.col),
                             std::fabs(second.values(pair.kept.row, pair.kept.col))});
  }
  return picture;
}

}  // namespace scant
