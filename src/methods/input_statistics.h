#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "core/context.h"
#include "core/tensor.h"
#include "ops/gram_factor.h"
#include "ops/symmetric_eigen.h"

namespace scant {

/// N^-1 (H + damping I) N^-1, of unit diagonal, by its eigenvectors.
struct NormalisedGram {
  std::vector<float> norms;  ///< the diagonal of N: square roots of the damped one of H
  SymmetricEigen eigen;
};

/// What calibration text says about the inputs X (tokens x features) of a layer. Shared by the
/// layers that read the same input; what is derived from it is computed once, when it is asked for.
class InputStatistics {
 public:
  /// `gram` is H = X^T X, symmetric and finite. `cross` is Y^T X with Y the inputs of the same
  /// layer in the dense model, where X comes out of compressed blocks; empty where X = Y.
  explicit InputStatistics(Matrix gram, Matrix cross = {})
      : gram_(std::move(gram)), cross_(std::move(cross)) {}

  ConstMatrixView gram() const { return gram_.view(); }
  int64_t features() const { return gram_.rows(); }
  /// The diagonal of H: the squared norm of every feature.
  std::vector<float> squared_norms() const;

  /// The factor of damped H with columns from left to right.
  const GramFactor& factor(Context& context) const { return get(in_order_, false, context); }
  /// The same with the columns of the largest inputs first ("act-order").
  const GramFactor& factor_by_norm(Context& context) const { return get(by_norm_, true, context); }

  /// With the damping of factor().
  const NormalisedGram& normalised(Context& context) const;

  /// Part of the way from `weight` to the weight whose outputs on X are nearest to those of
  /// `weight` on Y: W + W (Y^T X - H) H^-1 / 4, with damping. What GPTAQ (arXiv 2504.02692)
  /// compresses towards when a layer's inputs have already changed; the whole way fits the
  /// calibration text too closely (its authors take a quarter too). Empty where X = Y.
  Matrix matched_target(ConstMatrixView weight, Context& context) const;

 private:
  struct Derived {
    std::once_flag once;
    std::optional<GramFactor> factor;
  };
  /// Throws Error if H cannot be factorised even with damping.
  const GramFactor& get(Derived& derived, bool by_norm, Context& context) const;

  Matrix gram_, cross_;
  mutable Derived in_order_, by_norm_;
  mutable std::once_flag normalise_once_;
  mutable NormalisedGram normalised_;
};

/// tr(E H E^T) with E = values - weight: the squared error of the layer's output.
double output_squared_error(ConstMatrixView weight, ConstMatrixView values,
                            const InputStatistics& inputs, Context& context);

/// sqrt(tr(E H E^T) / tr(W H W^T)); 0 if the dense output is zero.
double relative_output_error(ConstMatrixView weight, ConstMatrixView values,
                             const InputStatistics& inputs, Context& context);

}  // namespace scant
