#include "ops/symmetric_eigen.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "core/random.h"
#include "ops/gemm.h"

namespace scant {
namespace {

TEST(SymmetricEigen, GivesOrthogonalVectorsThatMakeTheMatrixAgain) {
  for (const int64_t n : {1, 2, 33, 150}) {
    Matrix x(n / 2 + 3, n), gram(n, n);  // less than full rank for the larger ones
    const CounterRandom random(33, static_cast<uint64_t>(n));
    for (int64_t i = 0; i < x.size(); ++i) x.data()[i] = random.normal(static_cast<uint64_t>(i));
    gemm(x.view(), x.view(), gram.view(), {.a = Transpose::kYes});
    const SymmetricEigen eigen = symmetric_eigen(gram.view());
    EXPECT_TRUE(std::ranges::is_sorted(eigen.values));
    Matrix identity(n, n), scaled = Matrix::copy_of(eigen.vectors.view()), again(n, n);
    gemm(eigen.vectors.view(), eigen.vectors.view(), identity.view(), {.b = Transpose::kYes});
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t c = 0; c < n; ++c) scaled(i, c) *= eigen.values[static_cast<size_t>(i)];
    }
    gemm(eigen.vectors.view(), scaled.view(), again.view(), {.a = Transpose::kYes});
    const float largest = eigen.values.back();
    for (int64_t r = 0; r < n; ++r) {
      for (int64_t c = 0; c < n; ++c) {
        ASSERT_NEAR(identity(r, c), r == c ? 1.0f : 0.0f, 2e-5) << n;
        ASSERT_NEAR(again(r, c), gram(r, c), 2e-6f * largest + 1e-5f) << n;
      }
    }
  }
}

TEST(SymmetricEigen, ReadsOnlyTheLowerTriangleAndRefusesOtherShapes) {
  Matrix matrix = Matrix::zeros(2, 2);
  matrix(0, 0) = 2;
  matrix(1, 0) = 1;
  matrix(1, 1) = 2;
  const SymmetricEigen eigen = symmetric_eigen(matrix.view());
  EXPECT_NEAR(eigen.values[0], 1.0f, 1e-6);
  EXPECT_NEAR(eigen.values[1], 3.0f, 1e-6);
  EXPECT_THROW(symmetric_eigen(Matrix::zeros(2, 3).view()), Error);
}

}  // namespace
}  // namespace scant
