#pragma once

#include "models/gradients/differentiable.h"
#include "models/linear.h"

namespace scant {

/// y = x W^T + b and its derivatives, x rotated where the layer does it. Inputs are not quantized:
/// what is fitted is the weight.
class LinearGradient {
 public:
  LinearGradient(const LinearInfo& info, const WeightSource& weights);

  MatrixParameter& weight() { return weight_; }
  /// Empty if the layer has none.
  VectorParameter& bias() { return bias_; }
  int64_t outputs() const { return weight_.value.rows(); }
  int64_t inputs() const { return weight_.value.cols(); }

  /// y = layer(x), or y += layer(x).
  void forward(ConstMatrixView x, MatrixView y, LinearOutput output, Context& context) const;
  /// The parameters' gradients; dx = dy W, or dx += dy W.
  void backward(ConstMatrixView x, ConstMatrixView dy, MatrixView dx, LinearOutput output,
                Context& context);

 private:
  std::shared_ptr<const Rotation> rotation_;  ///< of the inputs; may be null
  MatrixParameter weight_;
  VectorParameter bias_;
};

}  // namespace scant
