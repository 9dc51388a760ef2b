#include "models/blocks/attention.h"

#include <fmt/format.h>

#include "core/error.h"

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
  pass.for_rows(x.rows, [&](int64_t begin, int64_t count) {
    place(q.rows_from(begin, count), query_norm_, pass.state.first_position + begin);
    place(k.rows_from(begin, count), key_norm_, pass.state.first_position + begin);
  });
  const MatrixView heads = pass.scratch.take(x.rows, q_width);
  KvLayer* const cached = remember(k, v, pass);
  if (cached != nullptr && cached->positions() > x.rows) {
    attend_cached(*cached, q, heads, pass);
  } else {
    attend(q, k, v, heads, pass);
  }
  pass.linear(output_, heads, residual, LinearOutput::kAdd);
}

void AttentionBlock::place(MatrixView x, const std::optional<Norm>& norm, int64_t position) const {
  if (norm) norm_heads(*norm, x, shape_.head_dim);
  if (rotary_) rotary_->apply(x, position);
}

KvLayer* AttentionBlock::remember(ConstMatrixView k, ConstMatrixView v, const Pass& pass) const {
  if (pass.state.cache == nullptr) return nullptr;
  const LinearInfo& info = output_.info;
  KvLayer& layer = pass.state.cache->layer(info.block, shape_.kv_heads, shape_.head_dim);
  if (layer.positions() != pass.state.first_position) {
    throw Error(info.name, fmt::format("the cache holds {} positions; expected {}",
                                       layer.positions(), pass.state.first_position));
  }
  layer.append(k, v);
  return &layer;
}

// Head by head, so that threads share the work; each is computed as if it were alone.
void AttentionBlock::attend(ConstMatrixView q, ConstMatrixView k, ConstMatrixView v, MatrixView out,
                            const Pass& pass) const {
  const int64_t size = attention_scratch_size(q.rows, shape_.head_dim);
  if (pass.state.threads == nullptr) {
    const MatrixView scratch = pass.scratch.take(1, size);
    attention(shape_, q, k, v, out, scratch.row_span(0));
    return;
  }
  const MatrixView scratch = pass.scratch.take(shape_.heads, size);
  AttentionShape one = shape_;
  one.heads = one.kv_heads = 1;
  const int64_t dim = shape_.head_dim;
  pass.for_pieces(shape_.heads, [&](int64_t head) {
    const int64_t kv = head / (shape_.heads / shape_.kv_heads);
    attention(one, q.cols_from(head * dim, dim), k.cols_from(kv * dim, dim),
              v.cols_from(kv * dim, dim), out.cols_from(head * dim, dim), scratch.row_span(head));
  });
}

void AttentionBlock::attend_cached(const KvLayer& cached, ConstMatrixView q, MatrixView out,
                                   const Pass& pass) const {
  const int64_t size = cached_attention_scratch_size(shape_, q.rows, cached.positions());
  const MatrixView scratch = pass.scratch.take(1, size);
  cached_attention(shape_, cached.view(), q, out, scratch.row_span(0), pass.state.threads);
}

}  // namespace scant
