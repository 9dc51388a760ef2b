#include <cmath>

#include "kernels/softmax/rows.h"

namespace scant {
namespace {

float max_of(const float* x, int64_t n) noexcept {
  float largest = x[0];
  for (int64_t i = 1; i < n; ++i) largest = x[i] > largest ? x[i] : largest;
  return largest;
}

int64_t find(const float* x, int64_t n, float max) noexcept {
  int64_t i = 0;
  while (i < n && x[i] != max) ++i;
  return i;
}

double sum_exp(const float* x, int64_t n, float shift) noexcept {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(x[i] - shift);
  return sum;
}

double sum_exp_difference(const float* x, const float* y, int64_t n, float shift,
                          double* weighted) noexcept {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double e = std::exp(x[i] - shift);
    sum += e;
    if (e != 0) *weighted += e * (static_cast<double>(x[i]) - static_cast<double>(y[i]));
  }
  return sum;
}

}  // namespace

const SoftmaxRow kSoftmaxReference = {"softmax_f32__reference", max_of, find, sum_exp,
                                      sum_exp_difference};

}  // namespace scant
