#include "methods/support_least_squares.h"

#include <cmath>

#include "core/random.h"
#include "methods/calibrated_test.h"

namespace scant {
namespace {

using SupportLeastSquares = CalibratedTest;

Mask random_mask(int64_t rows, int64_t cols, uint64_t stream) {
  Mask mask = Mask::all(rows, cols);
  const CounterRandom random(3, stream);
  for (size_t i = 0; i < mask.keep.size(); ++i) {
    mask.keep[i] = static_cast<uint8_t>(random.below(i, 2));
  }
  return mask;
}

/// The solution of the symmetric positive definite a x = b (row-major), by elimination in double.
std::vector<double> solved(std::vector<double> a, std::vector<double> b) {
  const size_t n = b.size();
  for (size_t i = 0; i < n; ++i) {
    for (size_t r = i + 1; r < n; ++r) {
      const double factor = a[r * n + i] / a[i * n + i];
      for (size_t c = i; c < n; ++c) a[r * n + c] -= factor * a[i * n + c];
      b[r] -= factor * b[i];
    }
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t c = i + 1; c < n; ++c) b[i] -= a[i * n + c] * b[c];
    b[i] /= a[i * n + i];
  }
  return b;
}

/// v_F - H_FF^-1 (H (v - w))_F for one row.
void solve_row_exactly(const SupportProblem& problem, int64_t row, std::vector<double>& v) {
  std::vector<size_t> free;
  for (size_t c = 0; c < v.size(); ++c) {
    if (problem.free(row, static_cast<int64_t>(c)) != 0) free.push_back(c);
  }
  const auto gram = [&](size_t r, size_t c) {
    return problem.gram(static_cast<int64_t>(r), static_cast<int64_t>(c)) +
           (r == c ? problem.damping : 0.0);
  };
  std::vector<double> a, b;
  for (const size_t r : free) {
    for (const size_t c : free) a.push_back(gram(r, c));
    double gradient = 0;
    for (size_t c = 0; c < v.size(); ++c) {
      gradient += gram(r, c) * (v[c] - problem.target(row, static_cast<int64_t>(c)));
    }
    b.push_back(gradient);
  }
  const std::vector<double> change = solved(std::move(a), std::move(b));
  for (size_t i = 0; i < free.size(); ++i) v[free[i]] -= change[i];
}

TEST_F(SupportLeastSquares, IsTheExactSolutionOfEveryRow) {
  const Mask free = random_mask(weight.rows(), weight.cols(), 1);
  const double damping = inputs.factor(context).damping;
  const SupportProblem problem{weight.view(), inputs.gram(), damping, free};
  // Fixed weights are partly pruned, partly rounded: any values will do.
  Matrix start = Matrix::copy_of(weight.view());
  for (int64_t i = 0; i < start.size(); ++i) {
    float& value = start.data()[i];
    value = i % 3 == 0 ? 0.0f : std::round(2 * value) / 2;
  }
  Matrix values = Matrix::copy_of(start.view());
  solve_on_support(problem, values.view(), {.iterations = 400, .tolerance = 1e-6}, context);
  for (int64_t r = 0; r < weight.rows(); ++r) {
    std::vector<double> exact(start.row(r), start.row(r) + start.cols());
    solve_row_exactly(problem, r, exact);
    double difference = 0, size = 0;
    for (int64_t c = 0; c < weight.cols(); ++c) {
      const double wanted = exact[static_cast<size_t>(c)];
      if (free(r, c) == 0) {
        ASSERT_EQ(values(r, c), start(r, c));
      }
      difference += (values(r, c) - wanted) * (values(r, c) - wanted);
      size += wanted * wanted;
    }
    ASSERT_LE(difference, 1e-8 * size) << r;
  }
}

TEST_F(SupportLeastSquares, EveryIterationLowersTheErrorAndThreadsDoNotMatter) {
  const Mask free = random_mask(weight.rows(), weight.cols(), 2);
  const SupportProblem problem{weight.view(), inputs.gram(), 0, free};
  ThreadPool one(1);
  Context alone{one};
  double before = -1;
  for (int iterations = 0; iterations < 30; iterations += 3) {
    Matrix values = Matrix::zeros(weight.rows(), weight.cols());
    Matrix again = Matrix::zeros(weight.rows(), weight.cols());
    solve_on_support(problem, values.view(), {.iterations = iterations}, context);
    solve_on_support(problem, again.view(), {.iterations = iterations}, alone);
    ASSERT_EQ(std::vector<float>(values.values().begin(), values.values().end()),
              std::vector<float>(again.values().begin(), again.values().end()));
    const double now = error(values);
    if (before >= 0) {
      EXPECT_LE(now, before * (iterations < 6 ? 0.99 : 1 + 1e-5)) << iterations;
    }
    before = now;
  }
}

TEST_F(SupportLeastSquares, WeightsOfInputsThatAreAlwaysZeroStay) {
  const Mask free = Mask::all(weight.rows(), weight.cols());
  Matrix values = Matrix::zeros(weight.rows(), weight.cols());
  solve_on_support({weight.view(), inputs.gram(), 0, free}, values.view(), {}, context);
  for (int64_t c = 3; c < weight.cols(); c += 7) {
    ASSERT_EQ(inputs.gram()(c, c), 0.0f);
    for (int64_t r = 0; r < weight.rows(); ++r) ASSERT_EQ(values(r, c), 0.0f);
  }
  EXPECT_LT(error(values), 1e-4 * error(Matrix::zeros(weight.rows(), weight.cols())));
}

}  // namespace
}  // namespace scant
