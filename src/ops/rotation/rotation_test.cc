#include "ops/rotation/rotation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/random.h"
#include "ops/gemm.h"

namespace scant {
namespace {

/// Q, row by row: what unit vectors become.
Matrix matrix_of(const Rotation& rotation) {
  Matrix q = Matrix::zeros(rotation.size(), rotation.size());
  for (int64_t i = 0; i < rotation.size(); ++i) q(i, i) = 1.0f;
  rotation.rotate_rows(q.view());
  return q;
}

TEST(PaleyHadamard, HasOrthogonalRowsOfSigns) {
  for (const int64_t n : {4, 12, 20, 24, 28, 36, 44, 60, 76, 140}) {
    const Matrix h = paley_hadamard(n);
    ASSERT_EQ(h.rows(), n);
    for (const float value : h.values()) ASSERT_EQ(std::fabs(value), 1.0f) << n;
    Matrix product(n, n);
    gemm(h.view(), h.view(), product.view(), {.b = Transpose::kYes});
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        ASSERT_EQ(product(i, j), i == j ? static_cast<float>(n) : 0.0f) << n;
      }
    }
  }
  for (const int64_t n : {1, 2, 6, 18, 92}) EXPECT_EQ(paley_hadamard(n).size(), 0) << n;
}

class RotationOf : public testing::TestWithParam<int64_t> {};

TEST_P(RotationOf, IsOrthogonalAndSpreadsEveryValue) {
  const int64_t n = GetParam();
  const Rotation rotation(n, 3);
  const Matrix q = matrix_of(rotation);
  const double flat = 1.0 / std::sqrt(static_cast<double>(n));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      ASSERT_LE(std::fabs(q(i, j)), 1.42 * flat);
      if (rotation.hadamard()) {
        ASSERT_NEAR(std::fabs(q(i, j)), flat, 1e-6);
      }
      double dot = 0;
      for (int64_t k = 0; k < n; ++k) dot += static_cast<double>(q(i, k)) * q(j, k);
      ASSERT_NEAR(dot, i == j ? 1.0 : 0.0, 2e-6) << i << ", " << j;
    }
  }
}

TEST_P(RotationOf, IsTakenBack) {
  const int64_t n = GetParam();
  const Rotation rotation(n, 3);
  const CounterRandom random(2, 2);
  Matrix x(5, n);
  for (int64_t i = 0; i < x.size(); ++i) x.data()[i] = random.normal(static_cast<uint64_t>(i));
  Matrix y = Matrix::copy_of(x.view());
  rotation.rotate_rows(y.view());
  rotation.rotate_rows_back(y.view());
  for (int64_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x.data()[i], y.data()[i], 1e-5);
}

TEST_P(RotationOf, TurnsColumnsByItsTranspose) {
  const int64_t n = GetParam();
  const Rotation rotation(n, 3);
  const Matrix q = matrix_of(rotation);
  const CounterRandom random(1, 2);
  Matrix x(n, 37);
  for (int64_t i = 0; i < x.size(); ++i) x.data()[i] = random.normal(static_cast<uint64_t>(i));
  Matrix expected(n, 37);
  gemm(q.view(), x.view(), expected.view(), {.a = Transpose::kYes});
  rotation.rotate_columns(x.view());
  for (int64_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x.data()[i], expected.data()[i], 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Sizes, RotationOf,
                         testing::Values(1, 2, 3, 24, 64, 86, 96, 172, 192, 256));

TEST(Rotation, IsAHadamardMatrixForTheSizesOfKnownModels) {
  for (const int64_t n : {192, 512, 576, 896, 1152, 1536, 2560, 3072, 3584, 4096, 5120, 14336}) {
    EXPECT_TRUE(Rotation(n, 0).hadamard()) << n;
  }
  EXPECT_FALSE(Rotation(688, 0).hadamard());
  EXPECT_EQ(Rotation(688, 0).base(), 43);
}

TEST(Rotation, DependsOnTheSeedAndRefusesWhatItCannotTurn) {
  Matrix a = Matrix::zeros(1, 64), b = Matrix::zeros(1, 64);
  for (int64_t i = 0; i < 64; ++i) a(0, i) = b(0, i) = static_cast<float>(i);
  Rotation(64, 0).rotate_rows(a.view());
  Rotation(64, 1).rotate_rows(b.view());
  EXPECT_FALSE(std::equal(a.data(), a.data() + 64, b.data()));
  EXPECT_THROW(Rotation(0, 0), Error);
  EXPECT_THROW(Rotation(2 * 7919, 0), Error);
  EXPECT_THROW(Rotation(32, 0).rotate_rows(a.view()), Error);
}

}  // namespace
}  // namespace scant
