#include "formats/patterns/scores.h"

#include <algorithm>
#include <numeric>

namespace scant {

void score_keys(const Scores& scores, const float* values, int64_t count, uint32_t* keys) {
  for (int64_t i = 0; i < count; ++i) keys[i] = scores.key(values[i]);
}

PruneThreshold prune_threshold(std::span<uint32_t> keys, int64_t pruned) {
  const auto last = keys.begin() + (pruned - 1);
  std::nth_element(keys.begin(), last, keys.end());
  return {*last, std::count(keys.begin(), last + 1, *last)};
}

void keep_above(const Scores& scores, std::span<const float> values, PruneThreshold& threshold,
                uint8_t* keep) {
  int64_t ties = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const uint32_t key = scores.key(values[i]);
    keep[i] = key >= threshold.key;
    ties += key == threshold.key;
  }
  if (ties == 0 || threshold.ties == 0) return;
  for (size_t i = 0; i < values.size() && threshold.ties > 0; ++i) {
    if (scores.key(values[i]) != threshold.key) continue;
    keep[i] = 0;
    --threshold.ties;
  }
}

std::vector<uint8_t> keep_largest_units(std::span<const double> sums, int64_t pruned) {
  std::vector<int64_t> order(sums.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto smaller = [&](int64_t a, int64_t b) {
    const double left = sums[static_cast<size_t>(a)];
    const double right = sums[static_cast<size_t>(b)];
    return left < right || (left == right && a < b);
  };
  std::nth_element(order.begin(), order.begin() + pruned, order.end(), smaller);
  std::vector<uint8_t> keep(sums.size(), 1);
  for (int64_t i = 0; i < pruned; ++i) {
    keep[static_cast<size_t>(order[static_cast<size_t>(i)])] = 0;
  }
  return keep;
}

RowPieces::RowPieces(int64_t rows_in, int64_t cols)
    : rows(rows_in), rows_per_piece(std::max<int64_t>(1, 65536 / std::max<int64_t>(1, cols))) {}

}  // namespace scant
