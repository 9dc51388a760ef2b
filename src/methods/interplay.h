#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/context.h"
#include "core/tensor.h"
#include "formats/mask.h"
#include "formats/pattern.h"

namespace scant {

// How sparsity and quantization errors combine, in exact quantities (docs/theory.md).
// The question and the terms are those of Harma et al., "Effective Interplay between Sparsity and
// Quantization: From Theory to Practice" (ICLR 2025, arXiv 2405.20935).

/// What keeping x at its code's value v takes off the squared error against zeroing it:
/// x^2 - (x - v)^2 = 2 v x - v^2.
inline double gain(double x, double v) { return (2 * x - v) * v; }

/// Two selections at equal scales: s keeps K_S (chosen on the weights), q keeps K_Q (chosen on the
/// quantized weights). Holds for any two selections.
struct SelectionComparison {
  int64_t wrongly_pruned = 0;  ///< weights of K_S \ K_Q
  int64_t wrongly_kept = 0;    ///< weights of K_Q \ K_S
  /// ||s(q(x)) - x||^2 - ||q(s(x)) - x||^2 = sum over K_S \ K_Q of b - sum over K_Q \ K_S of b.
  double excess = 0;
  /// The same difference of sums of absolute values.
  double excess_l1 = 0;
};

/// `quantized` are the dense quantized values: those of both results where they are kept.
SelectionComparison compare_selections(ConstMatrixView weight, ConstMatrixView quantized,
                                       const Mask& kept_sparsify_first,
                                       const Mask& kept_quantize_first, Context& context);

/// How many magnitudes quantization makes equal.
struct CollapsedWeights {
  /// Weights whose quantized magnitude is that of another weight of the same selection group
  /// although their magnitudes differ.
  int64_t collapsed = 0;
  /// Weights that are tied with the last one kept of their group while one of the ties is pruned:
  /// among these the index decides what quantize-first keeps.
  int64_t tied_at_threshold = 0;
};

/// Nothing for patterns that rank blocks, rows or columns rather than weights. Takes 8 bytes per
/// weight of a group.
std::optional<CollapsedWeights> collapsed_weights(ConstMatrixView weight, ConstMatrixView quantized,
                                                  const SparsityPattern& pattern, Context& context);

/// A dot product of activations a, quantized to qa, with weights w, quantized to qw and pruned to
/// `keep`: how far its error is from the sum of two separate errors.
struct DotInteraction {
  double combined = 0;      ///< qa . C(w) - a . w, with C(w) = qw where kept, 0 elsewhere
  double sparsity = 0;      ///< a . e_s: pruned weights alone
  double quantization = 0;  ///< qa . qw - a . w: weights and activations quantized, nothing pruned
  /// combined - (sparsity + quantization) = e_a . e_s - qa . (e_q on the pruned positions), by the
  /// right-hand side.
  double interaction = 0;
  /// ||e_a|| ||e_s|| + ||qa on the pruned positions|| ||e_q on the pruned positions||, never below
  /// |interaction|.
  double bound = 0;
};

/// All spans have the same length; `keep` is 1 where the weight is kept.
DotInteraction dot_interaction(std::span<const float> activations,
                               std::span<const float> quantized_activations,
                               std::span<const float> weights,
                               std::span<const float> quantized_weights,
                               std::span<const uint8_t> keep);

}  // namespace scant
