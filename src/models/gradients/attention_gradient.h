#pragma once

#include "models/blocks/attention.h"
#include "models/gradients/linear_gradient.h"
#include "models/gradients/norm_gradient.h"

namespace scant {

/// Causal self-attention over a batch of windows, and its derivatives. Scores are computed again on
/// the way back instead of being kept.
class AttentionGradient {
 public:
  AttentionGradient(const AttentionSpec& spec, const WeightSource& weights);

  void collect(std::vector<MatrixParameter*>& matrices, std::vector<VectorParameter*>& vectors);
  /// residual += attention(x), windows of `tokens` rows. `x` must live until backward().
  void forward(ConstMatrixView x, int64_t tokens, MatrixView residual, Context& context);
  /// dx += the gradient for x.
  void backward(ConstMatrixView dresidual, MatrixView dx, Context& context);

 private:
  void norm_and_rotate(Context& context);
  void attend_back(int64_t window, int64_t kv_head, Matrix& scores, Matrix& gradient);
  void scores_of(ConstMatrixView q, ConstMatrixView k, MatrixView scores) const;
  /// Gradients of q and k, as they entered attention, to those of the projections' outputs.
  void undo_rotation_and_norm(Context& context);

  AttentionShape shape_;
  std::vector<LinearGradient> projections_;
  LinearGradient output_;
  std::optional<NormGradient> query_norm_, key_norm_;
  std::shared_ptr<const Rotary> rotary_;
  int64_t tokens_ = 0;
  ConstMatrixView x_;
  Matrix qkv_;    // as projected
  Matrix q_, k_;  // as they enter attention
  Matrix heads_;  // what attention makes
  Matrix dqkv_, dq_, dk_, dheads_;
};

}  // namespace scant
