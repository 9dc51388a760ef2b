#pragma once

// Included by ISA files: declarations only.
#include <cstdint>

namespace scant {

/// Non-linearities between linear layers.
enum class Activation : uint8_t {
  kSilu,      ///< x / (1 + e^-x)
  kGelu,      ///< x (1 + erf(x / sqrt 2)) / 2
  kGeluTanh,  ///< x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, "gelu_new"
  kRelu,      ///< max(x, 0)
};

/// One instruction set's activations, in place over n values.
struct ActivationRow {
  const char* name;
  /// x = f(x)
  void (*apply)(Activation kind, float* x, int64_t n) noexcept;
  /// gate = f(gate) * up
  void (*apply_gated)(Activation kind, float* gate, const float* up, int64_t n) noexcept;
};

extern const ActivationRow kActivationReference;
extern const ActivationRow kActivationAvx2;
extern const ActivationRow kActivationAvx512;

}  // namespace scant
