#include "models/gradients/norm_gradient.h"

#include <cmath>

#include "kernels/norm/norm.h"
#include "models/gradients/tiles.h"

namespace scant {
namespace {

constexpr int64_t kRows = 64;

VectorParameter parameter_of(const std::string& tensor, const WeightSource& weights) {
  if (tensor.empty()) return {};
  const Matrix values = weights.parameter(tensor);
  VectorParameter parameter{tensor, {values.values().begin(), values.values().end()}, {}};
  parameter.gradient.resize(parameter.value.size());
  return parameter;
}

/// Adds up what the tiles found, in their order.
void sum_tiles(const std::vector<std::vector<double>>& tiles, std::vector<float>& gradient) {
  for (size_t c = 0; c < gradient.size(); ++c) {
    double sum = 0;
    for (const auto& tile : tiles) sum += tile[c];
    gradient[c] = static_cast<float>(sum);
  }
}

}  // namespace

NormGradient::NormGradient(const NormSpec& spec, int64_t width, const WeightSource& weights)
    : kind_(spec.kind),
      epsilon_(spec.epsilon),
      width_(width),
      weight_(parameter_of(spec.weight, weights)),
      bias_(parameter_of(spec.bias, weights)) {}

void NormGradient::forward(ConstMatrixView x, MatrixView y, Context& context) const {
  for_row_tiles(x.rows, kRows, context, [&](int64_t, int64_t begin, int64_t count) {
    for (int64_t r = begin; r < begin + count; ++r) {
      const ConstMatrixView from(x.row(r), x.cols / width_, width_);
      const MatrixView to(y.row(r), x.cols / width_, width_);
      if (kind_ == NormSpec::Kind::kRms) {
        rms_norm(from, weight_.value, epsilon_, to);
      } else {
        layer_norm(from, weight_.value, bias_.value, epsilon_, to);
      }
    }
  });
}

/// With z = (x - mean) / s and g = weight dy: dx = (g - mean(g) - z mean(g z)) / s. RMSNorm is the
/// same without the means of x and g.
void NormGradient::backward_run(const float* x, const float* dy, float* dx, double* dweight,
                                double* dbias) const {
  const auto n = static_cast<double>(width_);
  const bool centred = kind_ == NormSpec::Kind::kLayer;
  double mean = 0, square = 0;
  if (centred) {
    for (int64_t c = 0; c < width_; ++c) mean += x[c];
    mean /= n;
  }
  for (int64_t c = 0; c < width_; ++c) square += (x[c] - mean) * (x[c] - mean);
  const double scale = 1.0 / std::sqrt(square / n + epsilon_);
  double sum = 0, projected = 0;
  for (int64_t c = 0; c < width_; ++c) {
    const double z = (x[c] - mean) * scale;
    const double weight = weight_.value.empty() ? 1.0 : weight_.value[static_cast<size_t>(c)];
    sum += weight * dy[c];
    projected += weight * dy[c] * z;
    dweight[c] += dy[c] * z;
    dbias[c] += dy[c];
  }
  const double shift = centred ? sum / n : 0.0;
  projected /= n;
  for (int64_t c = 0; c < width_; ++c) {
    const double z = (x[c] - mean) * scale;
    const double weight = weight_.value.empty() ? 1.0 : weight_.value[static_cast<size_t>(c)];
    dx[c] += static_cast<float>((weight * dy[c] - shift - z * projected) * scale);
  }
}

void NormGradient::backward(ConstMatrixView x, ConstMatrixView dy, MatrixView dx,
                            Context& context) {
  const auto tiles = static_cast<size_t>((x.rows + kRows - 1) / kRows);
  const std::vector<double> zeros(static_cast<size_t>(width_), 0.0);
  std::vector<std::vector<double>> dweight(tiles, zeros), dbias(tiles, zeros);
  for_row_tiles(x.rows, kRows, context, [&](int64_t tile, int64_t begin, int64_t count) {
    const auto index = static_cast<size_t>(tile);
    for (int64_t r = begin; r < begin + count; ++r) {
      for (int64_t c = 0; c < x.cols; c += width_) {
        backward_run(x.row(r) + c, dy.row(r) + c, dx.row(r) + c, dweight[index].data(),
                     dbias[index].data());
      }
    }
  });
  sum_tiles(dweight, weight_.gradient);
  sum_tiles(dbias, bias_.gradient);
}

}  // namespace scant
