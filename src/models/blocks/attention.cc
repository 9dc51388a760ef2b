#include "models/blocks/attention.h"

namespace scant {
namespace {

// Heads lie side by side: each is a row of its own for the norm.
void norm_heads(const Norm& norm, MatrixView x, int64_t head_dim) {
  for (int64_t t = 0; t < x.rows; ++t) {
    const MatrixView heads(x.row(t), x.cols / head_dim, head_dim);
    norm.run(heads, heads);
  }
}

}  // namespace

AttentionBlock::AttentionBlock(const AttentionSpec& spec, const WeightSource& weights)
    : shape_(spec.shape), output_(weights.linear(spec.output)), rotary_(spec.rotary) {
  for (const LinearInfo& info : spec.projections) projections_.push_back(weights.linear(info));
  if (spec.query_norm) query_norm_.emplace(*spec.query_norm, weights);
  if (spec.key_norm) key_norm_.emplace(*spec.key_norm, weights);
}

void AttentionBlock::run(ConstMatrixView x, MatrixView residual, const Pass& pass) const {
  const int64_t q_width = shape_.heads * shape_.head_dim;
  const int64_t kv_width = shape_.kv_heads * shape_.head_dim;
  const MatrixView qkv = pass.scratch.take(x.rows, q_width + 2 * kv_width);
  const MatrixView q = qkv.cols_from(0, q_width);
  const MatrixView k = qkv.cols_from(q_width, kv_width);
  const MatrixView v = qkv.cols_from(q_width + kv_width, kv_width);
  if (projections_.size() == 1) {
    pass.linear(projections_[0], x, qkv);
  } else {
    pass.linear_shared(projections_, x, std::vector<MatrixView>{q, k, v});
  }
  if (query_norm_) norm_heads(*query_norm_, q, shape_.head_dim);
  if (key_norm_) norm_heads(*key_norm_, k, shape_.head_dim);
  if (rotary_) {
    rotary_->apply(q, pass.state.first_position);
    rotary_->apply(k, pass.state.first_position);
  }
  const int64_t size = attention_scratch_size(x.rows, shape_.head_dim);
  const MatrixView scratch = pass.scratch.take(1, size);
  const MatrixView heads = pass.scratch.take(x.rows, q_width);
  attention(shape_, q, k, v, heads, scratch.row_span(0));
  pass.linear(output_, heads, residual, LinearOutput::kAdd);
}

}  // namespace scant
