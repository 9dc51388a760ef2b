#include "models/linear.h"

#include <algorithm>
#include <cstring>

#include "ops/gemm.h"

namespace scant {
namespace {

void add_term(const DenseTerm& term, ConstMatrixView x, MatrixView y, float beta) {
  gemm(x, term.weight.view(), y, {.b = Transpose::kYes, .beta = beta});
}

// A few outputs at a time, decoded.
void add_term(const PackedTerm& term, ConstMatrixView x, MatrixView y, float beta) {
  constexpr int64_t kRows = 64;
  const PackedMatrix& weight = *term.weight;
  Matrix tile(std::min(kRows, weight.rows()), weight.cols());
  for (int64_t begin = 0; begin < weight.rows(); begin += kRows) {
    const int64_t count = std::min(kRows, weight.rows() - begin);
    const MatrixView rows = tile.view().rows_from(0, count);
    weight.unpack_rows(begin, rows);
    gemm(x, rows, y.cols_from(begin, count), {.b = Transpose::kYes, .beta = beta});
  }
}

void add_dense(const DenseTerm& term, MatrixView sum) {
  for (int64_t r = 0; r < sum.rows; ++r) {
    for (int64_t c = 0; c < sum.cols; ++c) sum(r, c) += term.weight(r, c);
  }
}

void add_dense(const PackedTerm& term, MatrixView sum) {
  Matrix row(1, sum.cols);
  for (int64_t r = 0; r < sum.rows; ++r) {
    term.weight->unpack_rows(r, row.view());
    for (int64_t c = 0; c < sum.cols; ++c) sum(r, c) += row(0, c);
  }
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

Matrix dense_weight(LinearLayer layer) {
  if (layer.terms.size() == 1) {
    if (auto* dense = std::get_if<DenseTerm>(&layer.terms.front())) return std::move(dense->weight);
  }
  Matrix sum = Matrix::zeros(layer.info.outputs, layer.info.inputs);
  for (const LinearTerm& term : layer.terms) {
    std::visit([&](const auto& t) { add_dense(t, sum.view()); }, term);
  }
  return sum;
}

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
