#include "ops/gram.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/random.h"

namespace scant {
namespace {

Matrix inputs(int64_t tokens, int64_t features, uint64_t stream) {
  Matrix x(tokens, features);
  const CounterRandom random(31, stream);
  for (int64_t i = 0; i < x.size(); ++i) x.data()[i] = random.normal(static_cast<uint64_t>(i));
  return x;
}

TEST(Gram, IsTheSumOverAllSamplesForAnyNumberOfThreads) {
  const Matrix a = inputs(33, 300, 1), b = inputs(7, 300, 2);  // two tiles a side, one ragged
  const std::vector<ConstMatrixView> samples = {a.view(), b.view()};
  std::vector<Matrix> grams;
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    Context context{pool};
    grams.push_back(Matrix::zeros(300, 300));
    accumulate_gram(samples, grams.back().view(), context);
    complete_gram(grams.back().view());
  }
  for (int64_t r = 0; r < 300; ++r) {
    for (int64_t c = 0; c < 300; ++c) {
      double sum = 0, size = 0;
      for (const Matrix* x : {&a, &b}) {
        for (int64_t t = 0; t < x->rows(); ++t) {
          const double term = static_cast<double>((*x)(t, r)) * (*x)(t, c);
          sum += term;
          size += std::fabs(term);
        }
      }
      ASSERT_NEAR(grams[0](r, c), sum, 1e-6 * size) << r << ", " << c;
      ASSERT_EQ(grams[0](r, c), grams[1](r, c));
      ASSERT_EQ(grams[0](r, c), grams[2](r, c));
      ASSERT_EQ(grams[0](r, c), grams[0](c, r));
    }
  }
}

TEST(Gram, InputsOfAnotherWidthAreRefused) {
  ThreadPool pool(1);
  Context context{pool};
  const Matrix x = inputs(3, 5, 1);
  const std::vector<ConstMatrixView> samples = {x.view()};
  Matrix gram = Matrix::zeros(4, 4);
  EXPECT_THROW(accumulate_gram(samples, gram.view(), context), Error);
}

}  // namespace
}  // namespace scant
