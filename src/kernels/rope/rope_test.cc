#include "kernels/rope/rope.h"

#include <cmath>

#include "kernels/testing_isa.h"

namespace scant {
namespace {

class RopeKernels : public PerIsa {};

TEST_P(RopeKernels, TurnsElementIWithElementIPlusHalf) {
  EXPECT_TRUE(is_forced(rope_kernel())) << rope_kernel();
  for (const int64_t head_dim : {2, 6, 16, 18, 32, 64, 80}) {
    const int64_t half = head_dim / 2;
    const int64_t heads = 3;
    const int64_t tokens = 5;
    const Matrix x = random_values(tokens, heads * head_dim, 1);
    Matrix cosine(tokens, half), sine(tokens, half);
    for (int64_t i = 0; i < cosine.size(); ++i) {
      cosine.data()[i] = std::cos(0.1f * static_cast<float>(i));
      sine.data()[i] = std::sin(0.1f * static_cast<float>(i));
    }
    Matrix y = Matrix::copy_of(x.view());
    rotate(y.view(), head_dim, cosine.view(), sine.view());
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t h = 0; h < heads; ++h) {
        for (int64_t i = 0; i < half; ++i) {
          const double a = x(t, h * head_dim + i);
          const double b = x(t, h * head_dim + half + i);
          const double c = cosine(t, i);
          const double s = sine(t, i);
          ASSERT_NEAR(y(t, h * head_dim + i), a * c - b * s, 1e-6);
          ASSERT_NEAR(y(t, h * head_dim + half + i), b * c + a * s, 1e-6);
        }
      }
    }
  }
}

SCANT_FOR_EVERY_ISA(RopeKernels);

}  // namespace
}  // namespace scant
