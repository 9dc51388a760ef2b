#include "models/gradients/block_gradient.h"

#include "models/gradients/attention_gradient.h"
#include "models/gradients/feed_forward_gradient.h"
#include "models/gradients/norm_gradient.h"
#include "models/gradients/tiles.h"

namespace scant {
namespace {

/// One residual connection: y = x + inner(norm(x)), or y = norm(x + inner(x)).
template <typename Inner>
class Half {
 public:
  template <typename Spec>
  Half(const NormSpec& norm, const Spec& inner, int64_t width, bool norm_first,
       const WeightSource& weights)
      : norm_first_(norm_first), norm_(norm, width, weights), inner_(inner, weights) {}

  void collect(std::vector<MatrixParameter*>& matrices, std::vector<VectorParameter*>& vectors) {
    inner_.collect(matrices, vectors);
    vectors.push_back(&norm_.weight());
    vectors.push_back(&norm_.bias());
  }

  ConstMatrixView forward(ConstMatrixView x, int64_t tokens, Context& context) {
    x_ = x;
    sized(y_, x.rows, x.cols);
    copy_values(x, y_.view());
    if (norm_first_) {
      sized(normed_, x.rows, x.cols);
      norm_.forward(x, normed_.view(), context);
      run_inner(normed_.view(), tokens, y_.view(), context);
      return y_.view();
    }
    run_inner(x, tokens, y_.view(), context);
    sized(normed_, x.rows, x.cols);
    norm_.forward(y_.view(), normed_.view(), context);
    return normed_.view();
  }

  /// `gradient` of the outputs becomes that of the inputs.
  void backward(MatrixView gradient, Context& context) {
    dinner_ = Matrix::zeros(gradient.rows, gradient.cols);
    if (norm_first_) {
      inner_.backward(gradient, dinner_.view(), context);
      norm_.backward(x_, dinner_.view(), gradient, context);
      return;
    }
    norm_.backward(y_.view(), gradient, dinner_.view(), context);
    copy_values(dinner_.view(), gradient);
    inner_.backward(dinner_.view(), gradient, context);
  }

 private:
  void run_inner(ConstMatrixView x, int64_t tokens, MatrixView residual, Context& context) {
    if constexpr (std::is_same_v<Inner, AttentionGradient>) {
      inner_.forward(x, tokens, residual, context);
    } else {
      inner_.forward(x, residual, context);
    }
  }

  bool norm_first_;
  NormGradient norm_;
  Inner inner_;
  ConstMatrixView x_;
  Matrix normed_;  // what the norm makes
  Matrix y_;       // the sum
  Matrix dinner_;
};

class BlockGradient : public DifferentiableStage {
 public:
  BlockGradient(const DecoderBlockSpec& spec, const WeightSource& weights)
      : attention_(spec.attention_norm, spec.attention, spec.attention.output.outputs,
                   spec.norm_first, weights),
        feed_forward_(spec.feed_forward_norm, spec.feed_forward, spec.feed_forward.down.outputs,
                      spec.norm_first, weights) {
    attention_.collect(matrices_, vectors_);
    feed_forward_.collect(matrices_, vectors_);
    std::erase_if(vectors_, [](const VectorParameter* vector) { return vector->value.empty(); });
  }

  std::vector<MatrixParameter*> matrices() override { return matrices_; }
  std::vector<VectorParameter*> vectors() override { return vectors_; }

  ConstMatrixView forward(ConstMatrixView x, int64_t tokens, Context& context) override {
    return feed_forward_.forward(attention_.forward(x, tokens, context), tokens, context);
  }

  void backward(ConstMatrixView gradient, Context& context) override {
    Matrix flowing = Matrix::copy_of(gradient);
    feed_forward_.backward(flowing.view(), context);
    attention_.backward(flowing.view(), context);
  }

 private:
  Half<AttentionGradient> attention_;
  Half<FeedForwardGradient> feed_forward_;
  std::vector<MatrixParameter*> matrices_;
  std::vector<VectorParameter*> vectors_;
};

}  // namespace

std::unique_ptr<DifferentiableStage> differentiable_block(const DecoderBlockSpec& spec,
                                                          const WeightSource& weights) {
  return std::make_unique<BlockGradient>(spec, weights);
}

}  // namespace scant
