#include "models/gradients/attention_gradient.h"

#include <algorithm>
#include <cmath>

#include "models/gradients/tiles.h"

namespace scant {
namespace {

int64_t q_width(const AttentionShape& shape) { return shape.heads * shape.head_dim; }
int64_t kv_width(const AttentionShape& shape) { return shape.kv_heads * shape.head_dim; }

std::optional<NormGradient> norm_of(const std::optional<NormSpec>& spec, int64_t width,
                                    const WeightSource& weights) {
  if (!spec) return std::nullopt;
  return NormGradient(*spec, width, weights);
}

/// dx += the norm's or, without one, dy itself.
void norm_back(std::optional<NormGradient>& norm, ConstMatrixView x, ConstMatrixView dy,
               MatrixView dx, Context& context) {
  if (!norm) return copy_values(dy, dx);
  for (int64_t r = 0; r < dx.rows; ++r) std::fill_n(dx.row(r), dx.cols, 0.0f);
  norm->backward(x, dy, dx, context);
}

}  // namespace

AttentionGradient::AttentionGradient(const AttentionSpec& spec, const WeightSource& weights)
    : shape_(spec.shape),
      output_(spec.output, weights),
      query_norm_(norm_of(spec.query_norm, spec.shape.head_dim, weights)),
      key_norm_(norm_of(spec.key_norm, spec.shape.head_dim, weights)),
      rotary_(spec.rotary) {
  for (const LinearInfo& info : spec.projections) projections_.emplace_back(info, weights);
}

void AttentionGradient::collect(std::vector<MatrixParameter*>& matrices,
                                std::vector<VectorParameter*>& vectors) {
  for (LinearGradient& projection : projections_) {
    matrices.push_back(&projection.weight());
    vectors.push_back(&projection.bias());
  }
  matrices.push_back(&output_.weight());
  vectors.push_back(&output_.bias());
  for (auto* norm : {&query_norm_, &key_norm_}) {
    if (!*norm) continue;
    vectors.push_back(&(*norm)->weight());
    vectors.push_back(&(*norm)->bias());
  }
}

void AttentionGradient::norm_and_rotate(Context& context) {
  const int64_t rows = qkv_.rows();
  const ConstMatrixView q = qkv_.view().cols_from(0, q_width(shape_));
  const ConstMatrixView k = qkv_.view().cols_from(q_width(shape_), kv_width(shape_));
  sized(q_, rows, q.cols);
  sized(k_, rows, k.cols);
  if (query_norm_) {
    query_norm_->forward(q, q_.view(), context);
  } else {
    copy_values(q, q_.view());
  }
  if (key_norm_) {
    key_norm_->forward(k, k_.view(), context);
  } else {
    copy_values(k, k_.view());
  }
  if (!rotary_) return;
  for_row_tiles(rows, tokens_, context, [&](int64_t, int64_t begin, int64_t count) {
    rotary_->apply(q_.view().rows_from(begin, count), 0);
    rotary_->apply(k_.view().rows_from(begin, count), 0);
  });
}

void AttentionGradient::forward(ConstMatrixView x, int64_t tokens, MatrixView residual,
                                Context& context) {
  x_ = x;
  tokens_ = tokens;
  sized(qkv_, x.rows, q_width(shape_) + 2 * kv_width(shape_));
  int64_t column = 0;
  for (const LinearGradient& projection : projections_) {
    projection.forward(x, qkv_.view().cols_from(column, projection.outputs()),
                       LinearOutput::kAssign, context);
    column += projection.outputs();
  }
  norm_and_rotate(context);
  sized(heads_, x.rows, q_width(shape_));
  const int64_t group = shape_.heads / shape_.kv_heads;
  AttentionShape one = shape_;
  one.heads = group;
  one.kv_heads = 1;
  const int64_t windows = x.rows / tokens;
  context.threads.parallel_for(windows * shape_.kv_heads, [&](int64_t task) {
    const int64_t row = task / shape_.kv_heads * tokens;
    const int64_t head = task % shape_.kv_heads;
    const int64_t width = group * shape_.head_dim;
    const auto part = [&](MatrixView m, int64_t begin, int64_t count) {
      return m.rows_from(row, tokens).cols_from(begin, count);
    };
    const int64_t key = head * shape_.head_dim;
    const int64_t value = q_width(shape_) + kv_width(shape_) + key;
    std::vector<float> scratch(static_cast<size_t>(attention_scratch_size(tokens, one.head_dim)));
    attention(one, part(q_.view(), head * width, width), part(k_.view(), key, one.head_dim),
              part(qkv_.view(), value, one.head_dim), part(heads_.view(), head * width, width),
              scratch);
  });
  output_.forward(heads_.view(), residual, LinearOutput::kAdd, context);
}

/// softmax(scale q k^T) with zeros outside of what a token sees.
void AttentionGradient::scores_of(ConstMatrixView q, ConstMatrixView k, MatrixView scores) const {
  gemm(q, k, scores, {.b = Transpose::kYes, .alpha = shape_.scale});
  for (int64_t t = 0; t < scores.rows; ++t) {
    float* row = scores.row(t);
    const int64_t first = shape_.window > 0 ? std::max<int64_t>(0, t + 1 - shape_.window) : 0;
    const float largest = *std::max_element(row + first, row + t + 1);
    double sum = 0;
    for (int64_t s = first; s <= t; ++s) sum += row[s] = std::exp(row[s] - largest);
    const auto inverse = static_cast<float>(1.0 / sum);
    std::fill_n(row, first, 0.0f);
    for (int64_t s = first; s <= t; ++s) row[s] *= inverse;
    std::fill(row + t + 1, row + scores.cols, 0.0f);
  }
}

/// With P the scores and O = P V: dV = P^T dO, dP = dO V^T, dS = P (dP - rowsum(P dP)), dQ = scale
/// dS K, dK = scale dS^T Q. Query heads that share keys add up.
void AttentionGradient::attend_back(int64_t window, int64_t kv_head, Matrix& scores,
                                    Matrix& gradient) {
  const int64_t dim = shape_.head_dim;
  const int64_t group = shape_.heads / shape_.kv_heads;
  const int64_t value = q_width(shape_) + kv_width(shape_) + kv_head * dim;
  const auto part = [&](MatrixView m, int64_t column) {
    return m.rows_from(window * tokens_, tokens_).cols_from(column, dim);
  };
  const ConstMatrixView k = part(k_.view(), kv_head * dim);
  const ConstMatrixView v = part(qkv_.view(), value);
  const MatrixView p = sized(scores, tokens_, tokens_);
  const MatrixView dp = sized(gradient, tokens_, tokens_);
  for (int64_t i = 0; i < group; ++i) {
    const int64_t column = (kv_head * group + i) * dim;
    const ConstMatrixView q = part(q_.view(), column);
    const ConstMatrixView dout = part(dheads_.view(), column);
    const float beta = i == 0 ? 0.0f : 1.0f;
    scores_of(q, k, p);
    gemm(p, dout, part(dqkv_.view(), value), {.a = Transpose::kYes, .beta = beta});
    gemm(dout, v, dp, {.b = Transpose::kYes});
    for (int64_t t = 0; t < tokens_; ++t) {
      const float* weights = p.row(t);
      float* row = dp.row(t);
      double sum = 0;
      for (int64_t s = 0; s <= t; ++s) sum += static_cast<double>(weights[s]) * row[s];
      const auto mean = static_cast<float>(sum);
      for (int64_t s = 0; s < tokens_; ++s) row[s] = weights[s] * (row[s] - mean);
    }
    gemm(dp, k, part(dq_.view(), column), {.alpha = shape_.scale});
    gemm(dp, q, part(dk_.view(), kv_head * dim),
         {.a = Transpose::kYes, .alpha = shape_.scale, .beta = beta});
  }
}

void AttentionGradient::undo_rotation_and_norm(Context& context) {
  if (rotary_) {
    for_row_tiles(qkv_.rows(), tokens_, context, [&](int64_t, int64_t begin, int64_t count) {
      rotary_->undo(dq_.view().rows_from(begin, count), 0);
      rotary_->undo(dk_.view().rows_from(begin, count), 0);
    });
  }
  const int64_t q = q_width(shape_), kv = kv_width(shape_);
  norm_back(query_norm_, qkv_.view().cols_from(0, q), dq_.view(), dqkv_.view().cols_from(0, q),
            context);
  norm_back(key_norm_, qkv_.view().cols_from(q, kv), dk_.view(), dqkv_.view().cols_from(q, kv),
            context);
}

void AttentionGradient::backward(ConstMatrixView dresidual, MatrixView dx, Context& context) {
  const int64_t rows = qkv_.rows();
  sized(dheads_, rows, heads_.cols());
  output_.backward(heads_.view(), dresidual, dheads_.view(), LinearOutput::kAssign, context);
  sized(dqkv_, rows, qkv_.cols());
  sized(dq_, rows, q_.cols());
  sized(dk_, rows, k_.cols());
  context.threads.parallel_for(rows / tokens_ * shape_.kv_heads, [&](int64_t task) {
    Matrix scores, gradient;
    attend_back(task / shape_.kv_heads, task % shape_.kv_heads, scores, gradient);
  });
  undo_rotation_and_norm(context);
  int64_t column = 0;
  for (LinearGradient& projection : projections_) {
    projection.backward(x_, dqkv_.view().cols_from(column, projection.outputs()), dx,
                        LinearOutput::kAdd, context);
    column += projection.outputs();
  }
}

}  // namespace scant
