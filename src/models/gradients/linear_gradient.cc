#include "models/gradients/linear_gradient.h"

#include "models/gradients/tiles.h"

namespace scant {
namespace {

constexpr int64_t kRows = 64;

}  // namespace

LinearGradient::LinearGradient(const LinearInfo& info, const WeightSource& weights) {
  LinearLayer layer = weights.linear(info);
  weight_.name = info.name;
  weight_.value = std::move(std::get<DenseTerm>(layer.terms.front()).weight);
  weight_.gradient = Matrix(weight_.value.rows(), weight_.value.cols());
  if (layer.bias.empty()) return;
  bias_ = {info.name + ".bias", std::move(layer.bias), {}};
  bias_.gradient.resize(bias_.value.size());
}

void LinearGradient::forward(ConstMatrixView x, MatrixView y, LinearOutput output,
                             Context& context) const {
  const float beta = output == LinearOutput::kAdd ? 1.0f : 0.0f;
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
  tiled_gemm(dy, x, weight_.gradient.view(), {.a = Transpose::kYes}, context);
  const float beta = output == LinearOutput::kAdd ? 1.0f : 0.0f;
  tiled_gemm(dy, weight_.value.view(), dx, {.beta = beta}, context);
  std::ranges::fill(bias_.gradient, 0.0f);
  if (bias_.value.empty()) return;
  for (int64_t r = 0; r < dy.rows; ++r) {
    const float* row = dy.row(r);
    for (int64_t c = 0; c < dy.cols; ++c) bias_.gradient[static_cast<size_t>(c)] += row[c];
  }
}

}  // namespace scant
