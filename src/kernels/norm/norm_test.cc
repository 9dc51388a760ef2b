#include "kernels/norm/norm.h"

#include <cmath>

#include "kernels/testing_isa.h"

namespace scant {
namespace {

class NormKernels : public PerIsa {};

double mean_square(std::span<const float> x, double mean) {
  double sum = 0;
  for (const float v : x) sum += (v - mean) * (v - mean);
  return sum / static_cast<double>(x.size());
}

TEST_P(NormKernels, RmsNormAgreesWithDoublePrecision) {
  EXPECT_TRUE(is_forced(norm_kernel())) << norm_kernel();
  for (const int64_t n : ragged_lengths()) {
    const Matrix x = random_values(3, n, 1, 4.0f);
    const Matrix weight = random_values(1, n, 2);
    Matrix y(3, n);
    rms_norm(x.view(), weight.values(), 1e-5f, y.view());
    for (int64_t r = 0; r < 3; ++r) {
      const double scale = 1 / std::sqrt(mean_square(x.row_span(r), 0) + 1e-5);
      for (int64_t i = 0; i < n; ++i) {
        ASSERT_NEAR(y(r, i), weight(0, i) * x(r, i) * scale, 1e-5) << "n = " << n;
      }
    }
  }
}

TEST_P(NormKernels, LayerNormAgreesWithDoublePrecisionWithAndWithoutParameters) {
  for (const int64_t n : ragged_lengths()) {
    for (const bool affine : {true, false}) {
      Matrix x = random_values(3, n, 1);
      for (float& v : x.values()) v += 3.0f;
      const Matrix weight = random_values(1, n, 2);
      const Matrix bias = random_values(1, n, 3);
      Matrix y(3, n);
      if (affine) {
        layer_norm(x.view(), weight.values(), bias.values(), 1e-5f, y.view());
      } else {
        layer_norm(x.view(), {}, {}, 1e-5f, y.view());
      }
      for (int64_t r = 0; r < 3; ++r) {
        double mean = 0;
        for (const float v : x.row_span(r)) mean += v / static_cast<double>(n);
        const double scale = 1 / std::sqrt(mean_square(x.row_span(r), mean) + 1e-5);
        for (int64_t i = 0; i < n; ++i) {
          const double normed = (x(r, i) - mean) * scale;
          const double expected = affine ? normed * weight(0, i) + bias(0, i) : normed;
          // With one or two values everything hangs on the rounding of the mean.
          ASSERT_NEAR(y(r, i), expected, n <= 2 ? 1e-3 : 2e-5) << "n = " << n;
        }
      }
    }
  }
}

TEST_P(NormKernels, WorkInPlace) {
  const Matrix x = random_values(2, 37, 1);
  const Matrix weight = random_values(1, 37, 2);
  Matrix apart(2, 37);
  rms_norm(x.view(), weight.values(), 1e-5f, apart.view());
  Matrix same = Matrix::copy_of(x.view());
  rms_norm(same.view(), weight.values(), 1e-5f, same.view());
  for (int64_t i = 0; i < x.size(); ++i) EXPECT_EQ(same.data()[i], apart.data()[i]);
  layer_norm(x.view(), weight.values(), weight.values(), 1e-5f, apart.view());
  same = Matrix::copy_of(x.view());
  layer_norm(same.view(), weight.values(), weight.values(), 1e-5f, same.view());
  for (int64_t i = 0; i < x.size(); ++i) EXPECT_EQ(same.data()[i], apart.data()[i]);
}

SCANT_FOR_EVERY_ISA(NormKernels);

}  // namespace
}  // namespace scant
