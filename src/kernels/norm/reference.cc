#include <cmath>

#include "kernels/norm/rows.h"

namespace scant {
namespace {

void rms(const float* x, const float* weight, float epsilon, int64_t n, float* y) noexcept {
  double squares = 0;
  for (int64_t i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * x[i];
  const auto scale = static_cast<float>(
      1.0 / std::sqrt(squares / static_cast<double>(n) + static_cast<double>(epsilon)));
  for (int64_t i = 0; i < n; ++i) y[i] = weight[i] * (x[i] * scale);
}

void layer(const float* x, const float* weight, const float* bias, float epsilon, int64_t n,
           float* y) noexcept {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i];
  const double mean = sum / static_cast<double>(n);
  double squares = 0;
  for (int64_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const double scale =
      1.0 / std::sqrt(squares / static_cast<double>(n) + static_cast<double>(epsilon));
  for (int64_t i = 0; i < n; ++i) {
    const auto normed = static_cast<float>((x[i] - mean) * scale);
    y[i] = normed * (weight != nullptr ? weight[i] : 1.0f) + (bias != nullptr ? bias[i] : 0.0f);
  }
}

}  // namespace

const NormRow kNormReference = {"norm_f32__reference", rms, layer};

}  // namespace scant
