#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/context.h"
#include "core/tensor.h"

namespace scant {

/// The weight of a linear layer and what a loss says about it.
struct MatrixParameter {
  std::string name;  ///< of the layer: "model.layers.0.self_attn.q_proj"
  Matrix value;      ///< outputs x inputs
  Matrix gradient;   ///< of the same shape
};

/// The same for a vector: weight or bias of a norm, bias of a linear layer.
struct VectorParameter {
  std::string tensor;  ///< "model.layers.0.input_layernorm.weight"
  std::vector<float> value;
  std::vector<float> gradient;
};

/// A stage that can be fitted: it runs on a batch of windows and says how a loss of its outputs
/// changes with its parameters. Parameters may be written between two calls of forward(). Works in
/// float32 on all threads; results do not depend on their number.
class DifferentiableStage {
 public:
  virtual ~DifferentiableStage() = default;
  /// In the order of Stage::linears().
  virtual std::vector<MatrixParameter*> matrices() = 0;
  virtual std::vector<VectorParameter*> vectors() = 0;
  /// The outputs for `x`, (windows * tokens) x features, windows of `tokens` rows below each other.
  /// `x` must live until backward(); the result until the next forward().
  virtual ConstMatrixView forward(ConstMatrixView x, int64_t tokens, Context& context) = 0;
  /// From the gradient of the loss with respect to the last outputs to those of the parameters,
  /// which are overwritten.
  virtual void backward(ConstMatrixView gradient, Context& context) = 0;
};

}  // namespace scant
