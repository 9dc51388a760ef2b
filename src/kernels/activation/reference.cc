#include <cmath>

#include "kernels/activation/rows.h"

namespace scant {
namespace {

float value(Activation kind, float x) noexcept {
  switch (kind) {
    case Activation::kSilu:
      return x / (1.0f + std::exp(-x));
    case Activation::kGelu:
      return 0.5f * x * (1.0f + std::erf(x * 0.70710678118654752f));
    case Activation::kGeluTanh:
      return 0.5f * x * (1.0f + std::tanh(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    case Activation::kRelu:
      return x < 0 ? 0 : x;
  }
  return x;
}

void apply(Activation kind, float* x, int64_t n) noexcept {
  for (int64_t i = 0; i < n; ++i) x[i] = value(kind, x[i]);
}

void apply_gated(Activation kind, float* gate, const float* up, int64_t n) noexcept {
  for (int64_t i = 0; i < n; ++i) gate[i] = value(kind, gate[i]) * up[i];
}

}  // namespace

const ActivationRow kActivationReference = {"activation_f32__reference", apply, apply_gated};

}  // namespace scant
