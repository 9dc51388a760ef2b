#include "models/blocks/feed_forward.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace scant {
namespace {

constexpr auto kActivations = std::to_array<std::pair<std::string_view, Activation>>({
    {"silu", Activation::kSilu},
    {"swish", Activation::kSilu},
    {"relu", Activation::kRelu},
    {"gelu", Activation::kGelu},
    {"gelu_python", Activation::kGelu},
    {"gelu_new", Activation::kGeluTanh},
    {"gelu_fast", Activation::kGeluTanh},
    {"gelu_pytorch_tanh", Activation::kGeluTanh},
    {"gelu_python_tanh", Activation::kGeluTanh},
});

}  // namespace

Activation activation_named(const ConfigReader& config, std::string_view key,
                            std::string_view fallback) {
  const std::string wanted = config.text_or(key, fallback);
  std::string known;
  for (const auto& [name, activation] : kActivations) {
    if (name == wanted) return activation;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", name);
  }
  config.refuse(key, fmt::format("{} is not supported; expected one of {}", wanted, known));
}

FeedForward::FeedForward(const FeedForwardSpec& spec, const WeightSource& weights)
    : activation_(spec.activation), down_(weights.linear(spec.down)) {
  if (spec.gate) in_.push_back(weights.linear(*spec.gate));
  in_.push_back(weights.linear(spec.up));
}

void FeedForward::run(ConstMatrixView x, MatrixView residual, const Pass& pass) const {
  const int64_t width = down_.info.inputs;
  std::vector<MatrixView> inner;
  for (size_t i = 0; i < in_.size(); ++i) inner.push_back(pass.scratch.take(x.rows, width));
  pass.linear_shared(in_, x, inner);
  pass.for_rows(x.rows, [&](int64_t begin, int64_t count) {
    const MatrixView rows = inner[0].rows_from(begin, count);
    if (inner.size() == 2) {
      activate_gated(activation_, rows, inner[1].rows_from(begin, count));
    } else {
      activate(activation_, rows);
    }
  });
  pass.linear(down_, inner[0], residual, LinearOutput::kAdd);
}

}  // namespace scant
