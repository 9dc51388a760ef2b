#include "ops/rotation/rotation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/random.h"
#include "ops/gemm.h"

namespace scant {
namespace {

bool is_prime(int64_t n) {
  if (n < 2) return false;
  for (int64_t d = 2; d * d <= n; ++d) {
    if (n % d == 0) return false;
  }
  return true;
}

/// chi(0 .. q-1): 0 for 0, 1 for squares modulo q, -1 for the others.
std::vector<float> quadratic_characters(int64_t q) {
  std::vector<float> chi(static_cast<size_t>(q), -1.0f);
  for (int64_t i = 1; i < q; ++i) chi[static_cast<size_t>(i * i % q)] = 1.0f;
  chi[0] = 0.0f;
  return chi;
}

/// The matrix of order q + 1 with 0 on the diagonal, `first_row` in the first row, 1 in the first
/// column, chi(i - j) elsewhere.
Matrix conference_matrix(int64_t q, float first_row) {
  const std::vector<float> chi = quadratic_characters(q);
  Matrix c = Matrix::zeros(q + 1, q + 1);
  for (int64_t i = 0; i < q; ++i) {
    c(0, i + 1) = first_row;
    c(i + 1, 0) = 1.0f;
    for (int64_t j = 0; j < q; ++j) c(i + 1, j + 1) = chi[static_cast<size_t>((i - j + q) % q)];
  }
  return c;
}

Matrix hartley(int64_t n) {
  Matrix h(n, n);
  const double scale = 1.0 / std::sqrt(static_cast<double>(n));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const double angle =
          2.0 * std::numbers::pi * static_cast<double>(i * j % n) / static_cast<double>(n);
      h(i, j) = static_cast<float>(scale * (std::cos(angle) + std::sin(angle)));
    }
  }
  return h;
}

// Butterflies between values `step` apart, over rows of `size` values.
void sylvester(float* row, int64_t size, int64_t step) {
  for (int64_t half = step; half < size; half *= 2) {
    for (int64_t begin = 0; begin < size; begin += 2 * half) {
      float* a = row + begin;
      float* b = a + half;
      for (int64_t i = 0; i < half; ++i) {
        const float sum = a[i] + b[i];
        b[i] = a[i] - b[i];
        a[i] = sum;
      }
    }
  }
}

}  // namespace

Matrix paley_hadamard(int64_t n) {
  if (n >= 4 && n % 4 == 0 && is_prime(n - 1)) {  // then n - 1 = 3 mod 4
    Matrix h = conference_matrix(n - 1, -1.0f);
    for (int64_t i = 0; i < n; ++i) h(i, i) = 1.0f;
    return h;
  }
  const int64_t q = n / 2 - 1;
  if (n % 4 != 0 || q % 4 != 1 || !is_prime(q)) return {};
  const Matrix c = conference_matrix(q, 1.0f);
  Matrix h(n, n);
  for (int64_t i = 0; i <= q; ++i) {
    for (int64_t j = 0; j <= q; ++j) {
      const float same = i == j ? 1.0f : 0.0f;
      h(2 * i, 2 * j) = c(i, j) + same;
      h(2 * i, 2 * j + 1) = c(i, j) - same;
      h(2 * i + 1, 2 * j) = c(i, j) - same;
      h(2 * i + 1, 2 * j + 1) = -c(i, j) - same;
    }
  }
  return h;
}

Rotation::Rotation(int64_t size, uint64_t seed) : size_(size), seed_(seed) {
  if (size < 1) throw Error("rotation", fmt::format("of order {}; expected at least 1", size));
  int64_t odd = size;
  while (odd % 2 == 0) odd /= 2;
  if (odd == 1) {
    base_ = Matrix::zeros(1, 1);
    base_(0, 0) = 1.0f;
  } else {
    for (int64_t b = 4 * odd; base_.size() == 0 && size % b == 0 && b <= kLargestBase; b *= 2) {
      base_ = paley_hadamard(b);
    }
    hadamard_ = base_.size() != 0;
    if (hadamard_) {
      const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(base_.rows())));
      for (float& value : base_.values()) value *= scale;
    } else if (odd <= kLargestBase) {
      base_ = hartley(odd);
    } else {
      throw Error("rotation",
                  fmt::format("no fast rotation of {} values is known: its odd part {} is above {}",
                              size, odd, kLargestBase));
    }
  }
  const CounterRandom random(seed, hash_text("rotation", 8));
  const auto scale =
      static_cast<float>(1.0 / std::sqrt(static_cast<double>(size) / static_cast<double>(base())));
  for (int64_t i = 0; i < size; ++i) {
    signs_.push_back(random.bits(static_cast<uint64_t>(i)) & 1u ? scale : -scale);
  }
}

void Rotation::check(ConstMatrixView x) const {
  if (x.cols == size_) return;
  throw Error("rotation", fmt::format("rows of {} values; expected {}", x.cols, size_));
}

void Rotation::rotate_rows(MatrixView x) const {
  check(x);
  const int64_t b = base();
  Matrix before(b == 1 ? 0 : size_ / b, b);
  for (int64_t r = 0; r < x.rows; ++r) {
    float* row = x.row(r);
    for (int64_t i = 0; i < size_; ++i) row[i] *= signs_[static_cast<size_t>(i)];
    sylvester(row, size_, b);
    if (b == 1) continue;
    std::copy_n(row, size_, before.data());
    gemm(before.view(), base_.view(), MatrixView(row, size_ / b, b));
  }
}

void Rotation::rotate_rows_back(MatrixView x) const {
  check(x);
  const int64_t b = base();
  Matrix before(b == 1 ? 0 : size_ / b, b);
  for (int64_t r = 0; r < x.rows; ++r) {
    float* row = x.row(r);
    if (b > 1) {
      std::copy_n(row, size_, before.data());
      gemm(before.view(), base_.view(), MatrixView(row, size_ / b, b), {.b = Transpose::kYes});
    }
    sylvester(row, size_, b);  // symmetric
    for (int64_t i = 0; i < size_; ++i) row[i] *= signs_[static_cast<size_t>(i)];
  }
}

void Rotation::rotate_columns(MatrixView x) const {
  constexpr int64_t kTile = 32;  // columns, turned into rows that stay in the cache
  for (int64_t begin = 0; begin < x.cols; begin += kTile) {
    const int64_t count = std::min(kTile, x.cols - begin);
    Matrix tile(count, x.rows);
    for (int64_t r = 0; r < x.rows; ++r) {
      for (int64_t c = 0; c < count; ++c) tile(c, r) = x(r, begin + c);
    }
    rotate_rows(tile.view());
    for (int64_t r = 0; r < x.rows; ++r) {
      for (int64_t c = 0; c < count; ++c) x(r, begin + c) = tile(c, r);
    }
  }
}

}  // namespace scant
