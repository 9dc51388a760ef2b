#pragma once

#include <optional>
#include <vector>

#include "compress/refit/adam.h"
#include "core/context.h"
#include "methods/compressed_matrix.h"

namespace scant {

/// One step of a LatentWeight.
struct LatentStep {
  AdamStep codes;   ///< moves codes
  AdamStep scales;  ///< moves the logarithms of scales
  float pull = 0;   ///< the share of their way from the start that codes go back (arXiv 1802.01483)
};

/// A compressed weight that can be fitted: real numbers that its kept codes are rounded from, in
/// units of their block's scale, and the logarithms of these scales. Gradients pass through the
/// rounding as if it were not there (the straight-through estimator, arXiv 1308.3432). The mask,
/// zero points and scales that are powers of two stay.
class LatentWeight {
 public:
  /// Starts at `compressed`, as near to `dense` as the same codes allow.
  LatentWeight(ConstMatrixView dense, const CompressedMatrix& compressed, Context& context);

  /// What mask, codes and scales evaluate to now.
  void evaluate(MatrixView values, Context& context);
  /// One step against the gradient of a loss for the `values` that evaluate() gave.
  void step(ConstMatrixView values, ConstMatrixView gradient, const LatentStep& step,
            Context& context);
  /// Writes what the last evaluate() gave.
  void store(ConstMatrixView values, CompressedMatrix& compressed) &&;

 private:
  int64_t segment_width() const;
  float scale_at(int64_t row, int64_t col) const;
  float offset_at(int64_t row, int64_t col) const;
  float factor_at(int64_t col) const;
  void start_from(ConstMatrixView dense, const CompressedMatrix& compressed, Context& context);
  void move_row(int64_t row, ConstMatrixView values, ConstMatrixView gradient,
                const LatentStep& step);
  void move_scales(const AdamStep& step);

  std::optional<Mask> mask_;
  std::optional<QuantizedMatrix> grid_;  ///< scales as they are now; nothing without codes
  std::vector<float> start_scales_;      ///< of the grid's blocks; without codes one per row
  bool fit_scales_ = false;
  float smallest_ = 0, largest_ = 0;  ///< values of codes
  float unit_ = 1;                    ///< what counts as one step of a code
  Matrix position_;                   ///< in units of the scale (and the column's factor)
  Matrix start_;                      ///< of position_
  AdamMoments position_moments_;
  std::vector<float> log_scales_;
  AdamMoments scale_moments_;
  std::vector<float> segment_slopes_;  ///< of the logarithms of scales, per row and segment
};

}  // namespace scant
