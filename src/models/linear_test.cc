#include "models/linear.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/random.h"
#include "formats/packed.h"
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

/// A layer with one packed term, and the same with what it evaluates to.
struct PackedPair {
  PackedPair(int64_t outputs, int64_t inputs, const char* format, const char* pattern,
             uint64_t stream)
      : packed(layer_of(outputs, inputs, 0, true)), dense(layer_of(outputs, inputs, 0, true)) {
    ThreadPool pool(1);
    Context context{pool};
    const Matrix weight = random_matrix(outputs, inputs, stream);
    const auto sparsity = SparsityPattern::parse(pattern);
    const Mask mask = sparsity.select_magnitude(weight.view(), context);
    const QuantizedMatrix quantized = quantize(
        weight.view(), NumberFormat::parse(format, Role::kWeight), {.mask = &mask}, context);
    const PackedMatrix matrix = pack(quantized, &mask, sparsity);
    Matrix values(outputs, inputs);
    matrix.unpack_rows(0, values.view());
    dense.terms.emplace_back(DenseTerm{std::move(values)});
    packed.terms.emplace_back(PackedTerm{std::make_shared<const MatmulWeight>(matrix)});
  }
  LinearLayer packed, dense;
};

float largest_difference(const Matrix& a, const Matrix& b) {
  float largest = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::fabs(a.data()[i] - b.data()[i]));
  }
  return largest;
}

TEST(Linear, APackedTermIsWhatItEvaluatesTo) {
  PackedPair layer(300, 96, "int4:g32", "2:4", 40);
  for (const int64_t tokens : {1, 3, 40}) {
    const Matrix x = random_matrix(tokens, 96, 41);
    Matrix expected_y(tokens, 300), y(tokens, 300), added(tokens, 300);
    linear(layer.dense, x.view(), expected_y.view());
    linear(layer.packed, x.view(), y.view());
    EXPECT_LT(largest_difference(y, expected_y), 1e-4);
    std::ranges::fill(added.values(), 0.0f);
    linear(layer.packed, x.view(), added.view(), LinearOutput::kAdd);
    EXPECT_LT(largest_difference(added, expected_y), 1e-4);
  }
  const Matrix packed_weight = dense_weight(std::move(layer.packed));
  EXPECT_EQ(largest_difference(packed_weight, dense_weight(std::move(layer.dense))), 0.0f);
}

TEST(Linear, InputsMeetAColumnOrderInItsOrder) {
  ThreadPool pool(1);
  Context context{pool};
  std::vector<LinearLayer> layers;  // with the order, without it, and what the first evaluates to
  for (int i = 0; i < 3; ++i) layers.push_back(layer_of(48, 96, 0, true));
  const auto add = [](LinearLayer& layer, const QuantizedMatrix& quantized) {
    layer.terms.emplace_back(
        PackedTerm{std::make_shared<const MatmulWeight>(pack(quantized, nullptr, std::nullopt))});
  };
  const auto format = NumberFormat::parse("int4:g32", Role::kWeight);
  QuantizedMatrix quantized = quantize(random_matrix(48, 96, 70).view(), format, {}, context);
  add(layers[1], quantized);
  for (int32_t c = 0; c < 96; ++c) quantized.column_order.push_back(c * 35 % 96);
  add(layers[0], quantized);
  Matrix values(48, 96);
  dequantize(quantized, values.view());
  layers[2].terms.emplace_back(DenseTerm{std::move(values)});
  for (const PackedInputs mode : {PackedInputs::kFloat, PackedInputs::kInt8}) {
    for (LinearLayer& layer : layers) layer.packed_inputs = mode;
    for (const int64_t tokens : {1, 40}) {
      const Matrix x = random_matrix(tokens, 96, 71);
      std::vector<Matrix> alone, shared;
      std::vector<MatrixView> views;
      for (const LinearLayer& layer : layers) {
        linear(layer, x.view(), alone.emplace_back(tokens, 48).view());
        shared.emplace_back(tokens, 48);
      }
      for (Matrix& y : shared) views.push_back(y.view());
      linear_shared(layers, x.view(), views);
      for (size_t i = 0; i < layers.size(); ++i) {
        EXPECT_EQ(largest_difference(shared[i], alone[i]), 0.0f);
      }
      EXPECT_LT(largest_difference(alone[0], alone[2]),
                mode == PackedInputs::kFloat ? 1e-4f : 0.5f);
      EXPECT_GT(largest_difference(alone[1], alone[2]), 1.0f);
    }
  }
  EXPECT_EQ(
      largest_difference(dense_weight(std::move(layers[0])), dense_weight(std::move(layers[2]))),
      0.0f);
}

TEST(Linear, PackedTermsGiveTheSameOnAnyNumberOfThreadsAndWhenTheyShareInputs) {
  constexpr int64_t kOutputs = 2000;  // large pieces of each thread, then small ones
  for (const PackedInputs mode : {PackedInputs::kFloat, PackedInputs::kInt8}) {
    std::vector<LinearLayer> layers;
    for (const uint64_t stream : {50, 51}) {
      layers.push_back(
          PackedPair(kOutputs, 128, "int4:g128", stream == 50 ? "2:4" : "50%", stream).packed);
      layers.back().packed_inputs = mode;
    }
    const Matrix x = random_matrix(2, 128, 52);
    std::vector<Matrix> alone, shared;
    std::vector<MatrixView> views;
    ThreadPool pool(3);
    for (const LinearLayer& layer : layers) {
      linear(layer, x.view(), alone.emplace_back(2, kOutputs).view());
      shared.emplace_back(2, kOutputs);
    }
    for (Matrix& y : shared) views.push_back(y.view());
    linear_shared(layers, x.view(), views, &pool);
    for (size_t i = 0; i < layers.size(); ++i) {
      EXPECT_EQ(largest_difference(alone[i], shared[i]), 0.0f);
    }
  }
}

TEST(Linear, Int8InputsChangeAPackedProductByTheirRoundingOnly) {
  PackedPair layer(256, 256, "int4:g128", "2:4", 60);
  layer.packed.packed_inputs = PackedInputs::kInt8;
  const Matrix x = random_matrix(4, 256, 61);
  Matrix exact(4, 256), rounded(4, 256);
  linear(layer.dense, x.view(), exact.view());
  linear(layer.packed, x.view(), rounded.view());
  const float difference = largest_difference(rounded, exact);
  EXPECT_GT(difference, 0.0f);
  // 256 products with an error of at most half a step each, which adds up like a random walk.
  EXPECT_LT(difference, 1.0f);
}

}  // namespace
}  // namespace scant
