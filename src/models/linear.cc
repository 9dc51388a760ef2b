#include "models/linear.h"

#include <cstring>

#include "ops/gemm.h"

namespace scant {
namespace {

void add_term(const DenseTerm& term, ConstMatrixView x, MatrixView y, float beta) {
  gemm(x, term.weight.view(), y, {.b = Transpose::kYes, .beta = beta});
}

void add_bias(std::span<const float> bias, MatrixView y) {
  for (int64_t r = 0; r < y.rows; ++r) {
    float* row = y.row(r);
    for (int64_t c = 0; c < y.cols; ++c) row[c] += bias[static_cast<size_t>(c)];
  }
}

void fill_with_bias(std::span<const float> bias, MatrixView y) {
  for (int64_t r = 0; r < y.rows; ++r) std::memcpy(y.row(r), bias.data(), bias.size_bytes());
}

// `x` is quantized already.
void sum_terms(const LinearLayer& layer, ConstMatrixView x, MatrixView y, LinearOutput output) {
  float beta = output == LinearOutput::kAdd ? 1.0f : 0.0f;
  if (!layer.bias.empty()) {
    beta == 0.0f ? fill_with_bias(layer.bias, y) : add_bias(layer.bias, y);
    beta = 1.0f;
  }
  for (const LinearTerm& term : layer.terms) {
    std::visit([&](const auto& t) { add_term(t, x, y, beta); }, term);
    beta = 1.0f;
  }
}

Matrix quantized_copy(ConstMatrixView x, const InputQuantization& quantization) {
  Matrix copy(x.rows, x.cols);
  quantization.apply(x, copy.view());
  return copy;
}

}  // namespace

void linear(const LinearLayer& layer, ConstMatrixView x, MatrixView y, LinearOutput output) {
  if (!layer.activation) return sum_terms(layer, x, y, output);
  const Matrix input = quantized_copy(x, *layer.activation);
  sum_terms(layer, input.view(), y, output);
}

void linear_shared(std::span<const LinearLayer> layers, ConstMatrixView x,
                   std::span<const MatrixView> ys) {
  const InputQuantization* quantization = nullptr;  // of what `input` holds
  Matrix input;
  for (size_t i = 0; i < layers.size(); ++i) {
    const LinearLayer& layer = layers[i];
    if (!layer.activation) {
      sum_terms(layer, x, ys[i], LinearOutput::kAssign);
      continue;
    }
    if (quantization == nullptr || !layer.activation->same_as(*quantization)) {
      input = quantized_copy(x, *layer.activation);
      quantization = &*layer.activation;
    }
    sum_terms(layer, input.view(), ys[i], LinearOutput::kAssign);
  }
}

}  // namespace scant
