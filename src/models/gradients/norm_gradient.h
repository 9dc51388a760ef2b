#pragma once

#include "models/blocks/norm.h"
#include "models/gradients/differentiable.h"

namespace scant {

/// A norm over runs of `width` features and its derivatives. With `width` below the number of
/// columns every row holds several runs: the heads of a query.
class NormGradient {
 public:
  NormGradient(const NormSpec& spec, int64_t width, const WeightSource& weights);

  /// Empty if the norm has none.
  VectorParameter& weight() { return weight_; }
  VectorParameter& bias() { return bias_; }

  /// y may be x.
  void forward(ConstMatrixView x, MatrixView y, Context& context) const;
  /// The parameters' gradients; dx += the gradient for x. dx may not be dy.
  void backward(ConstMatrixView x, ConstMatrixView dy, MatrixView dx, Context& context);

 private:
  void backward_run(const float* x, const float* dy, float* dx, double* dweight,
                    double* dbias) const;

  NormSpec::Kind kind_;
  float epsilon_;
  int64_t width_;
  VectorParameter weight_, bias_;
};

}  // namespace scant
