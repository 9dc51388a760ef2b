#include "models/gradients/linear_gradient.h"

#include "models/gradients/tiles.h"

namespace scant {
namespace {

constexpr int64_t kRows = 64;

Matrix rotated(const Rotation& rotation, ConstMatrixView x, Context& context) {
  Matrix copy = Matrix::copy_of(x);
  for_row_tiles(x.rows, kRows, context, [&](int64_t, int64_t begin, int64_t count) {
    rotation.rotate_rows(copy.view().rows_from(begin, count));
  });
  return copy;
}

}  // namespace

LinearGradient::LinearGradient(const LinearInfo& info, const WeightSource& weights) {
  LinearLayer layer = weights.linear(info);
  rotation_ = info.input_rotation;
  weight_.name = info.name;
  std::vector<float> bias = std::move(layer.bias);
  weight_.value = dense_weight(std::move(layer));
  weight_.gradient = Matrix(weight_.value.rows(), weight_.value.cols());
  if (bias.empty()) return;
  bias_ = {info.name + ".bias", std::move(bias), {}};
  bias_.gradient.resize(bias_.value.size());
}

void LinearGradient::forward(ConstMatrixView x, MatrixView y, LinearOutput output,
                             Context& context) const {
  const float beta = output == LinearOutput::kAdd ? 1.0f : 0.0f;
  const Matrix turned = rotation_ ? rotated(*rotation_, x, context) : Matrix();
  if (rotation_) x = turned.view();
  tiled_gemm(x, weight_.value.view(), y, {.b = Transpose::kYes, .beta = beta}, context);
  if (bias_.value.empty()) return;
  for_row_tiles(y.rows, kRows, context, [&](int64_t, int64_t begin, int64_t count) {
    for (int64_t r = begin; r < begin + count; ++r) {
      float* row = y.row(r);
      for (int64_t c = 0; c < y.cols; ++c) row[c] += bias_.value[static_cast<size_t>(c)];
    }
  });
}

void LinearGradient::backward(ConstMatrixView x, ConstMatrixView dy, MatrixView dx,
                              LinearOutput output, Context& context) {
  const Matrix turned = rotation_ ? rotated(*rotation_, x, context) : Matrix();
  if (rotation_) x = turned.view();
  tiled_gemm(dy, x, weight_.gradient.view(), {.a = Transpose::kYes}, context);
  const float beta = output == LinearOutput::kAdd ? 1.0f : 0.0f;
  if (!rotation_) {
    tiled_gemm(dy, weight_.value.view(), dx, {.beta = beta}, context);
  } else {
    Matrix of_turned(dx.rows, dx.cols);
    tiled_gemm(dy, weight_.value.view(), of_turned.view(), {}, context);
    for_row_tiles(dx.rows, kRows, context, [&](int64_t, int64_t begin, int64_t count) {
      rotation_->rotate_rows_back(of_turned.view().rows_from(begin, count));
      for (int64_t r = begin; r < begin + count; ++r) {
        for (int64_t c = 0; c < dx.cols; ++c)
          dx(r, c) = of_turned(r, c) + (beta == 0.0f ? 0.0f : dx(r, c));
      }
    });
  }
  std::ranges::fill(bias_.gradient, 0.0f);
  if (bias_.value.empty()) return;
  for (int64_t r = 0; r < dy.rows; ++r) {
    const float* row = dy.row(r);
    for (int64_t c = 0; c < dy.cols; ++c) bias_.gradient[static_cast<size_t>(c)] += row[c];
  }
}

}  // namespace scant
