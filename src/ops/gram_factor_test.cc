#include "ops/gram_factor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/random.h"
#include "ops/gemm.h"

namespace scant {
namespace {

Context& context() {
  static ThreadPool pool(2);
  static Context two_threads{pool};
  return two_threads;
}

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
    const auto factor = factorise_gram(gram.view(), columns, 0.01, context());
    ASSERT_TRUE(factor);
    expect_factor(gram, *factor);
    double mean = 0;
    for (int64_t i = 0; i < 70; ++i) mean += gram(i, i) / 70;
    EXPECT_NEAR(factor->damping, 0.01 * mean, 1e-5 * mean);
  }
}

TEST(GramFactor, SolvesAndGivesTheDiagonalOfTheInverse) {
  const Matrix gram = gram_of(70, 200, 4);
  const auto factor = factorise_gram(gram.view(), reversed_order(70), 0.01, context());
  ASSERT_TRUE(factor);
  Matrix inverse = Matrix::zeros(70, 70), identity(70, 70);
  for (int64_t i = 0; i < 70; ++i) inverse(i, i) = 1.0f;
  solve_gram(*factor, inverse.view(), context());
  gemm(permuted_gram(gram, *factor).view(), inverse.view(), identity.view());
  const std::vector<float> diagonal = inverse_diagonal(*factor, context());
  for (int64_t r = 0; r < 70; ++r) {
    EXPECT_NEAR(diagonal[static_cast<size_t>(r)], inverse(r, r), 1e-4 * inverse(r, r));
    for (int64_t c = 0; c < 70; ++c) ASSERT_NEAR(identity(r, c), r == c ? 1.0f : 0.0f, 2e-4);
  }
}

TEST(GramFactor, OfSeveralTilesIsRightAndTheSameForAnyNumberOfThreads) {
  constexpr int64_t kSize = 300;
  ThreadPool one(1);
  Context alone{one};
  const Matrix gram = gram_of(kSize, 700, 5);
  const auto factor = factorise_gram(gram.view(), reversed_order(kSize), 0.01, context());
  const auto same = factorise_gram(gram.view(), reversed_order(kSize), 0.01, alone);
  ASSERT_TRUE(factor && same);
  expect_factor(gram, *factor);
  EXPECT_TRUE(std::ranges::equal(Matrix::copy_of(factor->upper.view()).values(),
                                 Matrix::copy_of(same->upper.view()).values()));
  EXPECT_EQ(factor->diagonal, same->diagonal);
  const std::vector<float> inverse = inverse_diagonal(*factor, context());
  EXPECT_EQ(inverse, inverse_diagonal(*same, alone));
  Matrix solved = Matrix::zeros(kSize, kSize);
  for (int64_t i = 0; i < kSize; ++i) solved(i, i) = 1.0f;
  solve_gram(*factor, solved.view(), context());
  for (int64_t i = 0; i < kSize; ++i) {
    EXPECT_NEAR(inverse[static_cast<size_t>(i)], solved(i, i), 1e-4 * solved(i, i));
  }
}

TEST(GramFactor, DampingGrowsWhicheverTileIsIndefinite) {
  Matrix gram = gram_of(300, 700, 6);
  gram(290, 290) = -1.0f;  // reversed it is in the last tile, in order in the first
  std::vector<int64_t> order(300);
  std::iota(order.begin(), order.end(), 0);
  for (const auto& columns : {order, reversed_order(300)}) {
    const auto factor = factorise_gram(gram.view(), columns, 1e-9, context());
    ASSERT_TRUE(factor);
    EXPECT_GT(factor->damping, 1e-3);
  }
}

TEST(GramFactor, DampingGrowsUntilASingularMatrixCanBeFactorised) {
  Matrix gram(8, 8);  // all inputs equal, and slightly indefinite by rounding
  for (int64_t i = 0; i < gram.size(); ++i) gram.data()[i] = 1.0f;
  gram(0, 1) = gram(1, 0) = 1.001f;
  const auto factor = factorise_gram(gram.view(), reversed_order(8), 1e-6, context());
  ASSERT_TRUE(factor);
  EXPECT_GT(factor->damping, 5e-4);
  EXPECT_LT(factor->damping, 0.02);
}

TEST(GramFactor, ColumnsWithoutInputsAndMatricesOfZerosHaveOne) {
  Matrix gram = gram_of(9, 40, 2);
  for (int64_t i = 0; i < 9; ++i) gram(4, i) = gram(i, 4) = 0.0f;
  EXPECT_TRUE(factorise_gram(gram.view(), reversed_order(9), 0.01, context()));
  EXPECT_TRUE(factorise_gram(Matrix::zeros(5, 5).view(), reversed_order(5), 0.01, context()));
}

TEST(GramFactor, NothingComesOfAMatrixThatIsNotFinite) {
  Matrix gram = gram_of(6, 20, 3);
  gram(2, 3) = gram(3, 2) = std::nanf("");
  EXPECT_FALSE(factorise_gram(gram.view(), reversed_order(6), 0.01, context()));
}

}  // namespace
}  // namespace scant
