#include "models/blocks/decoder_block.h"

#include "models/gradients/block_gradient.h"
#include "models/structure.h"

namespace scant {
namespace {

class LoadedDecoderBlock : public LoadedStage {
 public:
  LoadedDecoderBlock(const DecoderBlockSpec& spec, const WeightSource& weights,
                     std::shared_ptr<ScratchPool> scratch)
      : norm_first_(spec.norm_first),
        attention_norm_(spec.attention_norm, weights),
        attention_(spec.attention, weights),
        feed_forward_norm_(spec.feed_forward_norm, weights),
        feed_forward_(spec.feed_forward, weights),
        scratch_(std::move(scratch)) {}

  void run(State& state, int64_t sample, Tap* tap) const override {
    const MatrixView x = state.hidden.view();
    {
      const auto scratch = scratch_->lease();
      half(attention_norm_, attention_, x, {state, sample, tap, *scratch});
    }
    const auto scratch = scratch_->lease();
    half(feed_forward_norm_, feed_forward_, x, {state, sample, tap, *scratch});
  }

 private:
  template <typename Inner>
  void half(const Norm& norm, const Inner& inner, MatrixView x, const Pass& pass) const {
    const MatrixView input = pass.scratch.take(x.rows, x.cols);
    if (norm_first_) {
      run_norm(norm, x, input, pass);
      inner.run(input, x, pass);
    } else {
      inner.run(x, x, pass);
      run_norm(norm, x, x, pass);
    }
  }

  static void run_norm(const Norm& norm, ConstMatrixView x, MatrixView y, const Pass& pass) {
    pass.for_rows(x.rows, [&](int64_t begin, int64_t count) {
      norm.run(x.rows_from(begin, count), y.rows_from(begin, count));
    });
  }

  bool norm_first_;
  Norm attention_norm_;
  AttentionBlock attention_;
  Norm feed_forward_norm_;
  FeedForward feed_forward_;
  std::shared_ptr<ScratchPool> scratch_;
};

}  // namespace

DecoderBlock::DecoderBlock(DecoderBlockSpec spec, std::shared_ptr<ScratchPool> scratch)
    : spec_(std::move(spec)),
      scratch_(std::move(scratch)),
      name_("block " + std::to_string(spec_.index)),
      linears_(spec_.attention.projections) {
  linears_.push_back(spec_.attention.output);
  if (spec_.feed_forward.gate) linears_.push_back(*spec_.feed_forward.gate);
  linears_.push_back(spec_.feed_forward.up);
  linears_.push_back(spec_.feed_forward.down);
}

void DecoderBlock::describe(ModelStructure& structure) const {
  structure.stages.emplace_back(spec_);
  const AttentionSpec& attention = spec_.attention;
  const FeedForwardSpec& feed_forward = spec_.feed_forward;
  std::vector<LinearInfo> inner = {feed_forward.up};
  if (feed_forward.gate) inner.push_back(*feed_forward.gate);
  structure.norms.push_back({spec_.attention_norm, attention.projections});
  structure.norms.push_back({spec_.feed_forward_norm, inner});
  if (!spec_.norm_first) structure.obstacles.emplace_back("blocks have their norms last");
  structure.writers.push_back(attention.output);
  structure.writers.push_back(feed_forward.down);
  const AttentionShape& shape = attention.shape;
  const int64_t width = shape.kv_heads * shape.head_dim;
  const LinearInfo& values = attention.projections.back();
  structure.feeds.push_back({.from = values,
                             .first = values.outputs - width,
                             .count = width,
                             .into = attention.output,
                             .head_dim = shape.head_dim,
                             .repeats = shape.heads / shape.kv_heads});
  structure.downs.push_back(feed_forward.down);
  if (!feed_forward.gate && feed_forward.activation != Activation::kRelu) return;
  structure.feeds.push_back({.from = feed_forward.up,
                             .count = feed_forward.up.outputs,
                             .into = feed_forward.down,
                             .head_dim = feed_forward.up.outputs});
}

std::unique_ptr<LoadedStage> DecoderBlock::load(const WeightSource& weights) const {
  return std::make_unique<LoadedDecoderBlock>(spec_, weights, scratch_);
}

std::unique_ptr<DifferentiableStage> DecoderBlock::differentiable(
    const WeightSource& weights) const {
  return differentiable_block(spec_, weights);
}

}  // namespace scant
