#include "kernels/softmax/softmax.h"

#include <algorithm>
#include <cmath>

#include "kernels/testing_isa.h"

namespace scant {
namespace {

class SoftmaxKernels : public PerIsa {};

double log_sum_exp(std::span<const float> x) {
  double max = -INFINITY;
  for (const float v : x) max = std::max(max, static_cast<double>(v));
  double sum = 0;
  for (const float v : x) sum += std::exp(v - max);
  return max + std::log(sum);
}

/// Cuts of a row of n logits: one piece, halves, and pieces of odd length.
std::vector<int64_t> cuts(int64_t n) { return {n, (n + 1) / 2, std::min<int64_t>(n, 13)}; }

template <typename F>
void for_slices(int64_t n, int64_t slice, F f) {
  for (int64_t begin = 0; begin < n; begin += slice) {
    f(static_cast<size_t>(begin), static_cast<size_t>(std::min(slice, n - begin)));
  }
}

TEST_P(SoftmaxKernels, LogSumExpAgreesWithDoublePrecisionHoweverItIsSliced) {
  EXPECT_TRUE(is_forced(softmax_kernel())) << softmax_kernel();
  for (const int64_t n : ragged_lengths()) {
    for (const float scale : {0.1f, 5.0f, 60.0f}) {
      const Matrix x = random_values(1, n, 1, scale);
      for (const int64_t slice : cuts(n)) {
        OnlineLogSumExp total;
        for_slices(n, slice, [&](size_t begin, size_t count) {
          total.add(x.values().subspan(begin, count));
        });
        ASSERT_NEAR(total.value(), log_sum_exp(x.values()), 1e-6 + 1e-7 * scale) << "n = " << n;
      }
    }
  }
}

TEST_P(SoftmaxKernels, LogSumExpTakesHugeAndInfiniteLogits) {
  const std::vector<float> huge = {-1e30f, 3e38f, 3e38f, -INFINITY};
  OnlineLogSumExp total;
  EXPECT_EQ(total.value(), -INFINITY);
  total.add(huge);
  EXPECT_NEAR(total.value() / 3e38, 1.0, 1e-6);
  OnlineLogSumExp with_nan;
  with_nan.add(std::vector<float>{1.0f, NAN, 2.0f});
  EXPECT_TRUE(std::isnan(with_nan.value()));
}

TEST_P(SoftmaxKernels, ArgmaxIsTheFirstOfEquals) {
  for (const int64_t n : ragged_lengths()) {
    Matrix x = random_values(1, n, 1);
    for (const int64_t at : {int64_t{0}, n / 2, n - 1}) {
      Matrix y = Matrix::copy_of(x.view());
      y(0, at) = 50.0f;
      y(0, n - 1) = 50.0f;
      for (const int64_t slice : cuts(n)) {
        OnlineArgmax top;
        for_slices(n, slice, [&](size_t begin, size_t count) {
          top.add(y.values().subspan(begin, count), static_cast<int64_t>(begin));
        });
        ASSERT_EQ(top.index, at) << "n = " << n << ", slice " << slice;
        ASSERT_EQ(top.value, 50.0f);
      }
    }
  }
}

TEST_P(SoftmaxKernels, DivergenceAgreesWithDoublePrecisionHoweverItIsSliced) {
  for (const int64_t n : ragged_lengths()) {
    for (const float difference : {0.0f, 0.01f, 2.0f}) {
      const Matrix a = random_values(1, n, 1, 4.0f);
      Matrix b = random_values(1, n, 2, difference);
      for (int64_t i = 0; i < n; ++i) b(0, i) += a(0, i) + 3.0f;
      const double a_total = log_sum_exp(a.values());
      const double b_total = log_sum_exp(b.values());
      double expected = 0;
      for (int64_t i = 0; i < n; ++i) {
        const double log_p = a(0, i) - a_total;
        expected += std::exp(log_p) * (log_p - (b(0, i) - b_total));
      }
      for (const int64_t slice : cuts(n)) {
        OnlineDivergence divergence;
        for_slices(n, slice, [&](size_t begin, size_t count) {
          divergence.add(a.values().subspan(begin, count), b.values().subspan(begin, count));
        });
        ASSERT_NEAR(divergence.value(), expected, 2e-6) << "n = " << n;
        ASSERT_NEAR(divergence.reference.value(), a_total, 2e-6);
        ASSERT_NEAR(divergence.model.value(), b_total, 2e-6);
      }
    }
  }
}

TEST_P(SoftmaxKernels, DivergenceOfEqualLogitsIsZero) {
  for (const int64_t n : ragged_lengths()) {
    const Matrix a = random_values(1, n, 1, 4.0f);
    OnlineDivergence divergence;
    divergence.add(a.values(), a.values());
    EXPECT_NEAR(divergence.value(), 0.0, 1e-12) << n;
  }
}

SCANT_FOR_EVERY_ISA(SoftmaxKernels);

}  // namespace
}  // namespace scant
