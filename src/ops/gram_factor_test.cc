#include "ops/gram_factor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/random.h"
#include "ops/gemm.h"

namespace scant {
namespace {

Matrix gram_of(int64_t features, int64_t tokens, uint64_t stream) {
  Matrix x(tokens, features);
  const CounterRandom random(32, stream);
  for (int64_t i = 0; i < x.size(); ++i) x.data()[i] = random.normal(static_cast<uint64_t>(i));
  Matrix gram(features, features);
  gemm(x.view(), x.view(), gram.view(), {.a = Transpose::kYes});
  return gram;
}

std::vector<int64_t> reversed_order(int64_t n) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.rbegin(), order.rend(), 0);
  return order;
}

Matrix permuted_gram(const Matrix& gram, const GramFactor& factor) {
  const int64_t n = gram.rows();
  Matrix permuted(n, n);
  for (int64_t r = 0; r < n; ++r) {
    for (int64_t c = 0; c < n; ++c) {
      permuted(r, c) =
          gram(factor.order[static_cast<size_t>(r)], factor.order[static_cast<size_t>(c)]);
    }
    permuted(r, r) += static_cast<float>(factor.damping);
  }
  return permuted;
}

void expect_factor(const Matrix& gram, const GramFactor& factor) {
  const int64_t n = gram.rows();
  const Matrix permuted = permuted_gram(gram, factor);
  Matrix scaled = Matrix::copy_of(factor.upper.view()), product(n, n);
  for (int64_t i = 0; i < scaled.size(); ++i) {
    const float d = factor.diagonal[static_cast<size_t>(i % n)];
    scaled.data()[i] *= d * d;
  }
  gemm(scaled.view(), factor.upper.view(), product.view(), {.b = Transpose::kYes});
  for (int64_t r = 0; r < n; ++r) {
    for (int64_t c = 0; c < n; ++c) {
      ASSERT_NEAR(product(r, c), permuted(r, c), 1e-5 * permuted(0, 0)) << r << ", " << c;
      if (c <= r) {
        ASSERT_EQ(factor.upper(r, c), r == c ? 1.0f : 0.0f);
      }
    }
  }
}

TEST(GramFactor, TimesItsTransposeIsTheMatrixInAnyOrder) {
  const Matrix gram = gram_of(70, 200, 1);
  std::vector<int64_t> order(70);
  std::iota(order.begin(), order.end(), 0);
  for (const auto& columns : {order, reversed_order(70)}) {
    const auto factor = factorise_gram(gram.view(), columns, 0.01);
    ASSERT_TRUE(factor);
    expect_factor(gram, *factor);
    double mean = 0;
    for (int64_t i = 0; i < 70; ++i) mean += gram(i, i) / 70;
    EXPECT_NEAR(factor->damping, 0.01 * mean, 1e-5 * mean);
  }
}

TEST(GramFactor, SolvesAndGivesTheDiagonalOfTheInverse) {
  ThreadPool pool(2);
  Context context{pool};
  const Matrix gram = gram_of(70, 200, 4);
  const auto factor = factorise_gram(gram.view(), reversed_order(70), 0.01);
  ASSERT_TRUE(factor);
  Matrix inverse = Matrix::zeros(70, 70), identity(70, 70);
  for (int64_t i = 0; i < 70; ++i) inverse(i, i) = 1.0f;
  solve_gram(*factor, inverse.view(), context);
  gemm(permuted_gram(gram, *factor).view(), inverse.view(), identity.view());
  const std::vector<float> diagonal = inverse_diagonal(*factor);
  for (int64_t r = 0; r < 70; ++r) {
    EXPECT_NEAR(diagonal[static_cast<size_t>(r)], inverse(r, r), 1e-4 * inverse(r, r));
    for (int64_t c = 0; c < 70; ++c) ASSERT_NEAR(identity(r, c), r == c ? 1.0f : 0.0f, 2e-4);
  }
}

TEST(GramFactor, DampingGrowsUntilASingularMatrixCanBeFactorised) {
  Matrix gram(8, 8);  // all inputs equal, and slightly indefinite by rounding
  for (int64_t i = 0; i < gram.size(); ++i) gram.data()[i] = 1.0f;
  gram(0, 1) = gram(1, 0) = 1.001f;
  const auto factor = factorise_gram(gram.view(), reversed_order(8), 1e-6);
  ASSERT_TRUE(factor);
  EXPECT_GT(factor->damping, 5e-4);
  EXPECT_LT(factor->damping, 0.02);
}

TEST(GramFactor, ColumnsWithoutInputsAndMatricesOfZerosHaveOne) {
  Matrix gram = gram_of(9, 40, 2);
  for (int64_t i = 0; i < 9; ++i) gram(4, i) = gram(i, 4) = 0.0f;
  EXPECT_TRUE(factorise_gram(gram.view(), reversed_order(9), 0.01));
  EXPECT_TRUE(factorise_gram(Matrix::zeros(5, 5).view(), reversed_order(5), 0.01));
}

TEST(GramFactor, NothingComesOfAMatrixThatIsNotFinite) {
  Matrix gram = gram_of(6, 20, 3);
  gram(2, 3) = gram(3, 2) = std::nanf("");
  EXPECT_FALSE(factorise_gram(gram.view(), reversed_order(6), 0.01));
}

}  // namespace
}  // namespace scant
