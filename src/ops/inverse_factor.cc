#include "ops/inverse_factor.h"

#include <f77blas.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace scant {
namespace {

double mean_diagonal(ConstMatrixView gram) {
  double sum = 0;
  for (int64_t i = 0; i < gram.rows; ++i) sum += gram(i, i);
  return gram.rows > 0 ? sum / static_cast<double>(gram.rows) : 0.0;
}

/// With columns in reverse: J P H P^T J = L L^T gives P H P^T = R R^T with R = J L J upper
/// triangular, and the factor is its inverse, U = R^-1. No inverse of H is ever formed.
bool factorise(Matrix& reversed) {
  auto n = static_cast<blasint>(reversed.rows());
  blasint info = 0;
  // LAPACK reads columns where we have rows: its upper triangle is our lower one.
  char upper = 'U', plain = 'N';
  BLASFUNC(spotrf)(&upper, &n, reversed.data(), &n, &info);
  if (info != 0) return false;
  BLASFUNC(strtri)(&upper, &plain, &n, reversed.data(), &n, &info);
  return info == 0;
}

}  // namespace

std::optional<InverseFactor> inverse_factor(ConstMatrixView gram, std::span<const int64_t> order,
                                            double share) {
  const int64_t n = gram.rows;
  if (gram.cols != n || static_cast<int64_t>(order.size()) != n) {
    throw Error("inverse factor", "an order of " + std::to_string(order.size()) +
                                      " columns for a matrix of " + shape_text({n, gram.cols}));
  }
  const double mean = mean_diagonal(gram);
  const double unit = mean > 0 ? mean : 1.0;
  double part = share;
  for (int attempt = 0; attempt < 8 && part <= 1.0; ++attempt, part = std::max(10 * part, 1e-6)) {
    const auto added = static_cast<float>(part * unit);
    Matrix reversed(n, n);
    for (int64_t r = 0; r < n; ++r) {
      const float* row = gram.row(order[static_cast<size_t>(n - 1 - r)]);
      for (int64_t c = 0; c <= r; ++c) {
        reversed(r, c) = row[order[static_cast<size_t>(n - 1 - c)]];
      }
      reversed(r, r) += added;
    }
    if (!factorise(reversed)) continue;
    InverseFactor factor{Matrix(n, n), {order.begin(), order.end()}, part * unit};
    bool is_finite = true;
    for (int64_t r = 0; r < n; ++r) {
      float* row = factor.upper.row(r);
      for (int64_t c = 0; c < r; ++c) row[c] = 0.0f;
      for (int64_t c = r; c < n; ++c) row[c] = reversed(n - 1 - r, n - 1 - c);
      is_finite = is_finite && std::isfinite(row[r]);
    }
    if (is_finite) return factor;
  }
  return std::nullopt;
}

}  // namespace scant
