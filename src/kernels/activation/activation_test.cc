#include "kernels/activation/activation.h"

#include <cmath>
#include <numbers>

#include "kernels/testing_isa.h"

namespace scant {
namespace {

constexpr Activation kAll[] = {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh,
                               Activation::kRelu};

double expected(Activation kind, double x) {
  switch (kind) {
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kGelu:
      return x * 0.5 * std::erfc(-x / std::numbers::sqrt2);
    case Activation::kGeluTanh:
      return 0.5 * x *
             (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    case Activation::kRelu:
      return x > 0 ? x : 0;
  }
  return x;
}

class ActivationKernels : public PerIsa {};

TEST_P(ActivationKernels, AgreeWithDoublePrecisionOnRaggedLengths) {
  EXPECT_TRUE(is_forced(activation_kernel())) << activation_kernel();
  for (const Activation kind : kAll) {
    for (const int64_t n : ragged_lengths()) {
      const Matrix x = random_values(1, n, 1, 3.0f);
      const Matrix up = random_values(1, n, 2);
      Matrix y = Matrix::copy_of(x.view());
      activate(kind, y.view());
      Matrix gated = Matrix::copy_of(x.view());
      activate_gated(kind, gated.view(), up.view());
      for (int64_t i = 0; i < n; ++i) {
        const double value = expected(kind, x(0, i));
        const double tolerance = 4e-7 * (1 + std::abs(x(0, i)));
        ASSERT_NEAR(y(0, i), value, tolerance) << "n = " << n << ", x = " << x(0, i);
        ASSERT_NEAR(gated(0, i), value * up(0, i), tolerance * (1 + std::abs(up(0, i))));
      }
    }
  }
}

TEST_P(ActivationKernels, StayFiniteForLargeArgumentsAndPassNanOn) {
  for (const Activation kind : kAll) {
    Matrix x(1, 9);
    const float values[9] = {-1e4f, -100.0f, -88.0f, -20.0f, 0.0f, 20.0f, 89.0f, 1e4f, NAN};
    for (int64_t i = 0; i < 9; ++i) x(0, i) = values[i];
    activate(kind, x.view());
    for (int64_t i = 0; i < 8; ++i) {
      EXPECT_NEAR(x(0, i), expected(kind, values[i]), 1e-6 * std::abs(values[i]) + 1e-7);
    }
    EXPECT_TRUE(std::isnan(x(0, 8)));
  }
}

SCANT_FOR_EVERY_ISA(ActivationKernels);

}  // namespace
}  // namespace scant
