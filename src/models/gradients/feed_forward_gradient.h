#pragma once

#include "models/blocks/feed_forward.h"
#include "models/gradients/linear_gradient.h"

namespace scant {

/// f'(x) of an activation.
float activation_slope(Activation kind, float x);

/// down(f(up x)) or down(f(gate x) * up x) over a batch, and its derivatives.
class FeedForwardGradient {
 public:
  FeedForwardGradient(const FeedForwardSpec& spec, const WeightSource& weights);

  void collect(std::vector<MatrixParameter*>& matrices, std::vector<VectorParameter*>& vectors);
  /// residual += feed_forward(x). `x` must live until backward().
  void forward(ConstMatrixView x, MatrixView residual, Context& context);
  /// dx += the gradient for x.
  void backward(ConstMatrixView dresidual, MatrixView dx, Context& context);

 private:
  Activation activation_;
  std::optional<LinearGradient> gate_;
  LinearGradient up_;
  LinearGradient down_;
  ConstMatrixView x_;
  Matrix gated_, up_out_;  // before the activation
  Matrix inner_;           // what goes down
  Matrix dinner_, dgated_;
};

}  // namespace scant
