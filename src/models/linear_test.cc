#include "models/linear.h"

#include <gtest/gtest.h>

#include "core/random.h"
#include "formats/quantized.h"
#include "ops/gemm.h"

namespace scant {
namespace {

Matrix random_matrix(int64_t rows, int64_t cols, uint64_t stream) {
  const CounterRandom random(3, stream);
  Matrix m(rows, cols);
  for (int64_t i = 0; i < m.size(); ++i) m.data()[i] = random.normal(static_cast<uint64_t>(i));
  return m;
}

LinearLayer layer_of(int64_t outputs, int64_t inputs, size_t terms, bool bias) {
  LinearLayer layer;
  layer.info.outputs = outputs;
  layer.info.inputs = inputs;
  for (size_t i = 0; i < terms; ++i) {
    layer.terms.emplace_back(DenseTerm{random_matrix(outputs, inputs, 10 + i)});
  }
  if (bias) {
    const Matrix values = random_matrix(1, outputs, 20);
    layer.bias.assign(values.values().begin(), values.values().end());
  }
  return layer;
}

double expected(const LinearLayer& layer, const Matrix& x, int64_t t, int64_t o) {
  double sum = layer.bias.empty() ? 0.0 : layer.bias[static_cast<size_t>(o)];
  for (const LinearTerm& term : layer.terms) {
    const Matrix& weight = std::get<DenseTerm>(term).weight;
    for (int64_t i = 0; i < x.cols(); ++i) sum += static_cast<double>(x(t, i)) * weight(o, i);
  }
  return sum;
}

TEST(Linear, IsTheSumOfItsTermsPlusTheBias) {
  const Matrix x = random_matrix(5, 12, 1);
  for (const size_t terms : {1u, 2u, 3u}) {
    for (const bool bias : {false, true}) {
      const LinearLayer layer = layer_of(7, 12, terms, bias);
      Matrix y(5, 7);
      linear(layer, x.view(), y.view());
      Matrix sum = random_matrix(5, 7, 30);
      const Matrix before = Matrix::copy_of(sum.view());
      linear(layer, x.view(), sum.view(), LinearOutput::kAdd);
      for (int64_t t = 0; t < 5; ++t) {
        for (int64_t o = 0; o < 7; ++o) {
          EXPECT_NEAR(y(t, o), expected(layer, x, t, o), 1e-5);
          EXPECT_NEAR(sum(t, o), before(t, o) + expected(layer, x, t, o), 1e-5);
        }
      }
    }
  }
}

TEST(Linear, QuantizesACopyOfItsInput) {
  const Matrix x = random_matrix(4, 16, 1);
  LinearLayer layer = layer_of(3, 16, 1, true);
  layer.activation = NumberFormat::parse("int4", Role::kActivation);
  Matrix quantized = Matrix::copy_of(x.view());
  quantize_in_place(quantized.view(), layer.activation->format, {});
  const Matrix input = Matrix::copy_of(x.view());
  Matrix y(4, 3);
  linear(layer, input.view(), y.view());
  double difference = 0;
  for (int64_t t = 0; t < 4; ++t) {
    for (int64_t o = 0; o < 3; ++o) {
      EXPECT_NEAR(y(t, o), expected(layer, quantized, t, o), 1e-5);
      difference += std::abs(y(t, o) - expected(layer, x, t, o));
    }
    for (int64_t i = 0; i < 16; ++i) EXPECT_EQ(input(t, i), x(t, i));
  }
  EXPECT_GT(difference, 1e-3);
}

TEST(Linear, LayersThatShareAnInputGiveWhatEachGivesAlone) {
  const Matrix x = random_matrix(4, 16, 1);
  std::vector<LinearLayer> layers;
  for (const char* format : {"", "int4", "int8", "int8", ""}) {
    layers.push_back(layer_of(3, 16, 1, layers.size() % 2 == 0));
    if (*format != '\0') {
      layers.back().activation = NumberFormat::parse(format, Role::kActivation);
    }
  }
  Matrix together(4, 15);
  std::vector<MatrixView> parts;
  for (int64_t i = 0; i < 5; ++i) parts.push_back(together.view().cols_from(3 * i, 3));
  linear_shared(layers, x.view(), parts);
  for (size_t i = 0; i < layers.size(); ++i) {
    Matrix alone(4, 3);
    linear(layers[i], x.view(), alone.view());
    for (int64_t t = 0; t < 4; ++t) {
      for (int64_t o = 0; o < 3; ++o) EXPECT_EQ(parts[i](t, o), alone(t, o));
    }
  }
}

}  // namespace
}  // namespace scant
