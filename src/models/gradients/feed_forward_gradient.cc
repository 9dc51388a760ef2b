#include "models/gradients/feed_forward_gradient.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "models/gradients/tiles.h"

namespace scant {
namespace {

constexpr int64_t kRows = 16;

}  // namespace

float activation_slope(Activation kind, float x) {
  switch (kind) {
    case Activation::kSilu: {
      const float s = 1.0f / (1.0f + std::exp(-x));
      return s * (1.0f + x * (1.0f - s));
    }
    case Activation::kGelu: {
      const float below = 0.5f * std::erfc(-x * static_cast<float>(std::numbers::sqrt2) / 2);
      const float density = std::exp(-0.5f * x * x) *
                            static_cast<float>(std::numbers::inv_sqrtpi / std::numbers::sqrt2);
      return below + x * density;
    }
    case Activation::kGeluTanh: {
      constexpr auto kRoot =
          static_cast<float>(std::numbers::sqrt2 * std::numbers::inv_sqrtpi);  // sqrt(2 / pi)
      const float t = std::tanh(kRoot * (x + 0.044715f * x * x * x));
      const float inner = kRoot * (1.0f + 3 * 0.044715f * x * x);
      return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * inner;
    }
    case Activation::kRelu:
      break;
  }
  return x > 0 ? 1.0f : 0.0f;
}

FeedForwardGradient::FeedForwardGradient(const FeedForwardSpec& spec, const WeightSource& weights)
    : activation_(spec.activation), up_(spec.up, weights), down_(spec.down, weights) {
  if (spec.gate) gate_.emplace(*spec.gate, weights);
}

void FeedForwardGradient::collect(std::vector<MatrixParameter*>& matrices,
                                  std::vector<VectorParameter*>& vectors) {
  if (gate_) {
    matrices.push_back(&gate_->weight());
    vectors.push_back(&gate_->bias());
  }
  for (LinearGradient* layer : {&up_, &down_}) {
    matrices.push_back(&layer->weight());
    vectors.push_back(&layer->bias());
  }
}

void FeedForwardGradient::forward(ConstMatrixView x, MatrixView residual, Context& context) {
  x_ = x;
  const int64_t width = down_.inputs();
  sized(up_out_, x.rows, width);
  sized(inner_, x.rows, width);
  up_.forward(x, up_out_.view(), LinearOutput::kAssign, context);
  if (gate_) {
    sized(gated_, x.rows, width);
    gate_->forward(x, gated_.view(), LinearOutput::kAssign, context);
  }
  for_row_tiles(x.rows, kRows, context, [&](int64_t, int64_t begin, int64_t count) {
    const MatrixView inner = inner_.view().rows_from(begin, count);
    const MatrixView up = up_out_.view().rows_from(begin, count);
    copy_values(gate_ ? gated_.view().rows_from(begin, count) : up, inner);
    if (gate_) {
      activate_gated(activation_, inner, up);
    } else {
      activate(activation_, inner);
    }
  });
  down_.forward(inner_.view(), residual, LinearOutput::kAdd, context);
}

void FeedForwardGradient::backward(ConstMatrixView dresidual, MatrixView dx, Context& context) {
  const int64_t rows = x_.rows, width = down_.inputs();
  sized(dinner_, rows, width);
  down_.backward(inner_.view(), dresidual, dinner_.view(), LinearOutput::kAssign, context);
  if (gate_) sized(dgated_, rows, width);
  // dinner becomes the gradient of up's output.
  for_row_tiles(rows, kRows, context, [&](int64_t, int64_t begin, int64_t count) {
    for (int64_t r = begin; r < begin + count; ++r) {
      float* dinner = dinner_.row(r);
      const float* up = up_out_.row(r);
      if (!gate_) {
        for (int64_t c = 0; c < width; ++c) dinner[c] *= activation_slope(activation_, up[c]);
        continue;
      }
      const float* gate = gated_.row(r);
      float* dgate = dgated_.row(r);
      std::copy_n(gate, width, dgate);
      activate(activation_, MatrixView(dgate, 1, width));
      for (int64_t c = 0; c < width; ++c) {
        const float active = dgate[c];
        dgate[c] = dinner[c] * up[c] * activation_slope(activation_, gate[c]);
        dinner[c] *= active;
      }
    }
  });
  up_.backward(x_, dinner_.view(), dx, LinearOutput::kAdd, context);
  if (gate_) gate_->backward(x_, dgated_.view(), dx, LinearOutput::kAdd, context);
}

}  // namespace scant
