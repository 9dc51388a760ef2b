#pragma once

#include <optional>
#include <span>

#include "compress/interplay/study.h"
#include "formats/mask.h"

namespace scant {

/// Output errors of one layer, O = X E^T in float32: what `LayerFigures` compares. Holds what all
/// patterns and orders share: the dense output's norm, the error of the format alone.
class LayerErrors {
 public:
  /// X tokens x inputs, W outputs x inputs, `quantized` q(W) of the same shape. With `activation`
  /// the inputs of quantized layers are q_a(X).
  LayerErrors(ConstMatrixView input, ConstMatrixView weight, ConstMatrixView quantized,
              const std::optional<NumberFormat>& activation);

  /// ||O_S|| and what depends on it: call before figures() of this pattern. `kept` is the magnitude
  /// mask.
  void set_sparsity(const Mask& kept);
  /// `values` are the compressed weights and `kept` their mask. Fills all but the names.
  LayerFigures figures(ConstMatrixView values, const Mask& kept) const;

 private:
  Matrix output_error(ConstMatrixView weight_error) const;
  Matrix output_error_of(ConstMatrixView values) const;
  Matrix pruned_output(ConstMatrixView inputs, const Mask& kept) const;

  ConstMatrixView input_, weight_;
  Matrix quantized_input_;  ///< q_a(X); empty without activations
  Matrix input_part_;       ///< (q_a(X) - X) W^T; empty without activations
  Matrix format_error_;     ///< O_Q
  Matrix sparsity_error_;   ///< O_S
  Mask magnitude_mask_;     ///< that O_S belongs to
  double dense_norm_ = 0;
};

}  // namespace scant
