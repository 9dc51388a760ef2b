#include "methods/interplay.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

namespace scant {
namespace {

uint32_t magnitude_bits(float value) { return std::bit_cast<uint32_t>(value) & 0x7fffffffu; }

// The collapsed and tied weights of one group; `pairs` is room for (quantized, weight) magnitudes.
CollapsedWeights in_group(ConstMatrixView weight, ConstMatrixView quantized, const Mask& kept,
                          int64_t row, int64_t col, std::vector<uint64_t>& pairs) {
  pairs.clear();
  uint32_t least_kept = UINT32_MAX;
  uint32_t most_pruned = 0;
  bool any_pruned = false;
  for (int64_t r = 0; r < weight.rows; ++r) {
    for (int64_t c = 0; c < weight.cols; ++c) {
      const uint32_t value = magnitude_bits(quantized(r, c));
      pairs.push_back(uint64_t{value} << 32 | magnitude_bits(weight(r, c)));
      if (kept(row + r, col + c) != 0) {
        least_kept = std::min(least_kept, value);
      } else {
        most_pruned = std::max(most_pruned, value);
        any_pruned = true;
      }
    }
  }
  std::ranges::sort(pairs);
  CollapsedWeights result;
  for (size_t begin = 0; begin < pairs.size();) {
    size_t end = begin;
    while (end < pairs.size() && pairs[end] >> 32 == pairs[begin] >> 32) ++end;
    const auto count = static_cast<int64_t>(end - begin);
    if (pairs[begin] != pairs[end - 1]) result.collapsed += count;
    const bool at_threshold =
        any_pruned && least_kept == most_pruned && pairs[begin] >> 32 == least_kept;
    if (at_threshold) result.tied_at_threshold += count;
    begin = end;
  }
  return result;
}

}  // namespace

SelectionComparison compare_selections(ConstMatrixView weight, ConstMatrixView quantized,
                                       const Mask& kept_sparsify_first,
                                       const Mask& kept_quantize_first, Context& context) {
  const RowPieces pieces(weight.rows, weight.cols);
  std::vector<SelectionComparison> parts(static_cast<size_t>(pieces.count()));
  context.threads.parallel_for(pieces.count(), [&](int64_t piece) {
    SelectionComparison part;
    for (int64_t r = pieces.begin(piece); r < pieces.end(piece); ++r) {
      const uint8_t* by_weight = kept_sparsify_first.row(r);
      const uint8_t* by_value = kept_quantize_first.row(r);
      for (int64_t c = 0; c < weight.cols; ++c) {
        if (by_weight[c] == by_value[c]) continue;
        const double x = weight(r, c);
        const double v = quantized(r, c);
        const int sign = by_weight[c] != 0 ? 1 : -1;
        (sign > 0 ? part.wrongly_pruned : part.wrongly_kept) += 1;
        part.excess += sign * gain(x, v);
        part.excess_l1 += sign * (std::fabs(x) - std::fabs(x - v));
      }
    }
    parts[static_cast<size_t>(piece)] = part;
  });
  SelectionComparison total;
  for (const SelectionComparison& part : parts) {
    total.wrongly_pruned += part.wrongly_pruned;
    total.wrongly_kept += part.wrongly_kept;
    total.excess += part.excess;
    total.excess_l1 += part.excess_l1;
  }
  return total;
}

std::optional<CollapsedWeights> collapsed_weights(ConstMatrixView weight, ConstMatrixView quantized,
                                                  const SparsityPattern& pattern,
                                                  Context& context) {
  const auto group = pattern.ranking_group(weight.rows, weight.cols);
  if (!group) return std::nullopt;
  const Mask kept = pattern.select({quantized, Scores::Kind::kMagnitude}, context);
  CollapsedWeights total;
  std::vector<uint64_t> pairs;
  for (int64_t r = 0; r < weight.rows; r += group->rows) {
    for (int64_t c = 0; c < weight.cols; c += group->cols) {
      const int64_t rows = std::min(group->rows, weight.rows - r);
      const int64_t cols = std::min(group->cols, weight.cols - c);
      const CollapsedWeights part =
          in_group(weight.rows_from(r, rows).cols_from(c, cols),
                   quantized.rows_from(r, rows).cols_from(c, cols), kept, r, c, pairs);
      total.collapsed += part.collapsed;
      total.tied_at_threshold += part.tied_at_threshold;
    }
  }
  return total;
}

DotInteraction dot_interaction(std::span<const float> activations,
                               std::span<const float> quantized_activations,
                               std::span<const float> weights,
                               std::span<const float> quantized_weights,
                               std::span<const uint8_t> keep) {
  DotInteraction result;
  double dense = 0, pruned_part = 0;
  double e_a2 = 0, e_s2 = 0, qa_p2 = 0, e_q_p2 = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double a = activations[i], qa = quantized_activations[i];
    const double w = weights[i], qw = quantized_weights[i];
    const double e_a = qa - a, e_q = qw - w;
    dense += a * w;
    result.quantization += qa * qw;
    e_a2 += e_a * e_a;
    if (keep[i] != 0) {
      result.combined += qa * qw;
      continue;
    }
    result.sparsity -= a * w;
    pruned_part += e_a * -w - qa * e_q;
    e_s2 += w * w;
    qa_p2 += qa * qa;
    e_q_p2 += e_q * e_q;
  }
  result.combined -= dense;
  result.quantization -= dense;
  result.interaction = pruned_part;
  result.bound = std::sqrt(e_a2) * std::sqrt(e_s2) + std::sqrt(qa_p2) * std::sqrt(e_q_p2);
  return result;
}

}  // namespace scant
