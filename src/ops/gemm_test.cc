#include "ops/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/random.h"

namespace scant {
namespace {

Matrix random_matrix(int64_t rows, int64_t cols, uint64_t stream) {
  const CounterRandom random(1, stream);
  Matrix m(rows, cols);
  for (int64_t i = 0; i < m.size(); ++i) m.data()[i] = random.normal(static_cast<uint64_t>(i));
  return m;
}

double at(ConstMatrixView m, bool transposed, int64_t r, int64_t c) {
  return transposed ? m(c, r) : m(r, c);
}

TEST(Gemm, AgreesWithDoublePrecisionForEveryTransposeOnRaggedShapes) {
  const std::vector<Shape> shapes = {
      {1, 1, 1}, {1, 33, 65}, {3, 5, 7}, {17, 33, 65}, {64, 31, 128}};
  for (const Shape& s : shapes) {
    for (const bool ta : {false, true}) {
      for (const bool tb : {false, true}) {
        const Matrix a = ta ? random_matrix(s[2], s[0], 1) : random_matrix(s[0], s[2], 1);
        const Matrix b = tb ? random_matrix(s[1], s[2], 2) : random_matrix(s[2], s[1], 2);
        const Matrix before = random_matrix(s[0], s[1], 3);
        Matrix c = Matrix::copy_of(before.view());
        gemm(a.view(), b.view(), c.view(),
             {.a = ta ? Transpose::kYes : Transpose::kNo,
              .b = tb ? Transpose::kYes : Transpose::kNo,
              .alpha = 0.5f,
              .beta = 2.0f});
        for (int64_t i = 0; i < s[0]; ++i) {
          for (int64_t j = 0; j < s[1]; ++j) {
            double expected = 2.0 * before(i, j);
            for (int64_t p = 0; p < s[2]; ++p) {
              expected += 0.5 * at(a.view(), ta, i, p) * at(b.view(), tb, p, j);
            }
            ASSERT_NEAR(c(i, j), expected, 1e-6 * static_cast<double>(s[2] + 10));
          }
        }
      }
    }
  }
}

TEST(Gemm, OneRowWithBetaZeroOverwritesWhateverWasThere) {
  const Matrix a = random_matrix(1, 30, 1);
  const Matrix b = random_matrix(50, 30, 2);
  Matrix c(1, 50);
  for (float& v : c.values()) v = std::numeric_limits<float>::quiet_NaN();
  gemm(a.view(), b.view(), c.view(), {.b = Transpose::kYes});
  for (const float v : c.values()) EXPECT_TRUE(std::isfinite(v));
}

TEST(Gemm, WithBetaZeroOverwritesWhateverWasThere) {
  const Matrix a = random_matrix(4, 3, 1);
  const Matrix b = random_matrix(3, 5, 2);
  Matrix c(4, 5);
  for (float& v : c.values()) v = std::numeric_limits<float>::quiet_NaN();
  gemm(a.view(), b.view(), c.view());
  for (const float v : c.values()) EXPECT_TRUE(std::isfinite(v));
}

TEST(Gemm, TakesStridedViews) {
  const Matrix a = random_matrix(4, 10, 1);
  const Matrix b = random_matrix(6, 9, 2);
  Matrix wide = Matrix::zeros(4, 8);
  gemm(a.view().cols_from(2, 5), b.view().cols_from(4, 5), wide.view().cols_from(1, 6),
       {.b = Transpose::kYes});
  double expected = 0;
  for (int64_t p = 0; p < 5; ++p) expected += static_cast<double>(a(3, 2 + p)) * b(2, 4 + p);
  EXPECT_NEAR(wide(3, 3), expected, 1e-5);
  for (int64_t r = 0; r < 4; ++r) {
    EXPECT_EQ(wide(r, 0), 0.0f);
    EXPECT_EQ(wide(r, 7), 0.0f);
  }
}

TEST(Gemm, RefusesShapesThatDoNotFitAndDevicesItLacks) {
  Matrix a(2, 3), b(4, 5), c(2, 5);
  EXPECT_THROW(gemm(a.view(), b.view(), c.view()), Error);
  Matrix fits = Matrix::zeros(3, 5);
  EXPECT_THROW(
      gemm(a.view(), fits.view(), c.view(), {.stream = {.device = {.kind = DeviceKind::kCuda}}}),
      Error);
}

}  // namespace
}  // namespace scant
