#include "ops/gram_factor.h"

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "ops/cholesky.h"
#include "ops/gemm.h"

namespace scant {
namespace {

double mean_diagonal(ConstMatrixView gram) {
  double sum = 0;
  for (int64_t i = 0; i < gram.rows; ++i) sum += gram(i, i);
  return gram.rows > 0 ? sum / static_cast<double>(gram.rows) : 0.0;
}

constexpr int64_t kRows = 64;

template <typename Row>
void for_rows(int64_t rows, Context& context, const Row& row) {
  context.threads.parallel_for((rows + kRows - 1) / kRows, [&](int64_t piece) {
    const int64_t end = std::min(rows, (piece + 1) * kRows);
    for (int64_t r = piece * kRows; r < end; ++r) row(r);
  });
}

/// J P H P^T J with J the reversal of columns, its lower triangle: its factor L L^T gives
/// R = J L J.
PaddedMatrix reversed_gram(ConstMatrixView gram, std::span<const int64_t> order, float added,
                           Context& context) {
  const int64_t n = gram.rows;
  PaddedMatrix reversed(n, n);
  for_rows(n, context, [&](int64_t r) {
    const float* row = gram.row(order[static_cast<size_t>(n - 1 - r)]);
    for (int64_t c = 0; c <= r; ++c) reversed(r, c) = row[order[static_cast<size_t>(n - 1 - c)]];
    reversed(r, r) += added;
  });
  return reversed;
}

/// R = J L J, and its columns divided by its diagonal. In place: every element below the diagonal
/// has its own above it to go to.
GramFactor forward_factor(PaddedMatrix reversed, std::span<const int64_t> order, Context& context) {
  const int64_t n = reversed.rows();
  GramFactor factor{std::move(reversed), {}, {order.begin(), order.end()}};
  PaddedMatrix& upper = factor.upper;
  std::vector<float> inverse;
  for (int64_t r = 0; r < n; ++r) {
    factor.diagonal.push_back(upper(n - 1 - r, n - 1 - r));
    inverse.push_back(1.0f / factor.diagonal.back());
  }
  for_rows(n, context, [&](int64_t r) {
    float* row = upper.row(r);
    const float* from = upper.row(n - 1 - r);
    for (int64_t c = r + 1; c < n; ++c) row[c] = from[n - 1 - c] * inverse[static_cast<size_t>(c)];
  });
  for_rows(n, context, [&](int64_t r) {
    std::fill_n(upper.row(r), r, 0.0f);
    upper(r, r) = 1.0f;
  });
  return factor;
}

bool is_usable(const GramFactor& factor) {
  return std::ranges::all_of(factor.diagonal, [](float d) { return std::isfinite(d) && d > 0; });
}

}  // namespace

std::optional<GramFactor> factorise_gram(ConstMatrixView gram, std::span<const int64_t> order,
                                         double share, Context& context) {
  const int64_t n = gram.rows;
  if (gram.cols != n || static_cast<int64_t>(order.size()) != n) {
    throw Error("factor", "an order of " + std::to_string(order.size()) +
                              " columns for a matrix of " + shape_text({n, gram.cols}));
  }
  const double mean = mean_diagonal(gram);
  const double unit = mean > 0 ? mean : 1.0;
  double part = share;
  for (int attempt = 0; attempt < 8 && part <= 1.0; ++attempt, part = std::max(10 * part, 1e-6)) {
    PaddedMatrix reversed = reversed_gram(gram, order, static_cast<float>(part * unit), context);
    if (!cholesky_lower(reversed.view(), context)) continue;
    GramFactor factor = forward_factor(std::move(reversed), order, context);
    factor.damping = part * unit;
    if (is_usable(factor)) return factor;
  }
  return std::nullopt;
}

std::vector<float> inverse_diagonal(const GramFactor& factor, Context& context) {
  constexpr int64_t kCols = 128;
  const int64_t n = factor.upper.rows();
  std::vector<double> sums(static_cast<size_t>(n), 0.0);
  const int64_t pieces = (n + kCols - 1) / kCols;
  context.threads.parallel_for(pieces, [&](int64_t index) {
    const int64_t begin = (pieces - 1 - index) * kCols;  // the longest columns first
    const int64_t end = std::min(n, begin + kCols);
    Matrix inverse = Matrix::zeros(end, end - begin);  // columns of V^-1 down to their diagonal
    for (int64_t c = begin; c < end; ++c) inverse(c, c - begin) = 1.0f;
    solve_unit_upper(factor.upper.view().rows_from(0, end).cols_from(0, end), inverse.view());
    for (int64_t r = 0; r < end; ++r) {
      const double scale = 1.0 / factor.diagonal[static_cast<size_t>(r)];
      for (int64_t c = begin; c < end; ++c) {
        const double u = scale * inverse(r, c - begin);
        sums[static_cast<size_t>(c)] += u * u;
      }
    }
  });
  return {sums.begin(), sums.end()};
}

void solve_gram(const GramFactor& factor, MatrixView rows, Context& context) {
  pin_blas_to_one_thread();
  const ConstMatrixView upper = factor.upper.view();
  context.threads.parallel_for((rows.rows + kRows - 1) / kRows, [&](int64_t tile) {
    const int64_t begin = tile * kRows;
    const auto count = static_cast<blasint>(std::min(kRows, rows.rows - begin));
    const auto divide_by = [&](CBLAS_TRANSPOSE transpose) {
      cblas_strsm(CblasRowMajor, CblasRight, CblasUpper, transpose, CblasUnit, count,
                  static_cast<blasint>(upper.rows), 1.0f, upper.data,
                  static_cast<blasint>(upper.stride), rows.row(begin),
                  static_cast<blasint>(rows.stride));
    };
    divide_by(CblasTrans);
    for (int64_t r = begin; r < begin + count; ++r) {
      for (int64_t c = 0; c < rows.cols; ++c) {
        const float d = factor.diagonal[static_cast<size_t>(c)];
        rows(r, c) /= d * d;
      }
    }
    divide_by(CblasNoTrans);
  });
}

}  // namespace scant
