#include "ops/cholesky.h"

#include <cblas.h>
#include <f77blas.h>

#include <algorithm>

#include "ops/gemm.h"

namespace scant {
namespace {

// Of blocks and of strips of rows: products of this size run at sgemm's rate.
constexpr int64_t kTile = 256;

bool factorise_block(MatrixView a) {
  auto n = static_cast<blasint>(a.rows), stride = static_cast<blasint>(a.stride);
  blasint info = 0;
  char upper = 'U';  // LAPACK reads columns where we have rows: its upper triangle is our lower one
  BLASFUNC(spotrf)(&upper, &n, a.data, &stride, &info);
  return info == 0;
}

/// x <- x L^-T.
void divide_by_block(ConstMatrixView l, MatrixView x) {
  cblas_strsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit,
              static_cast<blasint>(x.rows), static_cast<blasint>(x.cols), 1.0f, l.data,
              static_cast<blasint>(l.stride), x.data, static_cast<blasint>(x.stride));
}

/// The lower triangle of a -= x x^T by strips of rows, the longest first; what lies above the
/// diagonal inside a strip is computed too.
void subtract_products(ConstMatrixView x, MatrixView a, Context& context) {
  const int64_t strips = (a.rows + kTile - 1) / kTile;
  context.threads.parallel_for(strips, [&](int64_t index) {
    const int64_t r = (strips - 1 - index) * kTile, rows = std::min(kTile, a.rows - r);
    gemm(x.rows_from(r, rows), x.rows_from(0, r + rows),
         a.rows_from(r, rows).cols_from(0, r + rows),
         {.b = Transpose::kYes, .alpha = -1.0f, .beta = 1.0f});
  });
}

}  // namespace

bool cholesky_lower(MatrixView a, Context& context) {
  pin_blas_to_one_thread();
  for (int64_t begin = 0; begin < a.rows; begin += kTile) {
    const int64_t size = std::min(kTile, a.rows - begin), left = a.rows - begin - size;
    const MatrixView block = a.rows_from(begin, size).cols_from(begin, size);
    if (!factorise_block(block)) return false;
    const MatrixView below = a.rows_from(begin + size, left).cols_from(begin, size);
    context.threads.parallel_for((left + kTile - 1) / kTile, [&](int64_t tile) {
      const int64_t r = tile * kTile;
      divide_by_block(block, below.rows_from(r, std::min(kTile, left - r)));
    });
    subtract_products(below, a.rows_from(begin + size, left).cols_from(begin + size, left),
                      context);
  }
  return true;
}

void solve_unit_upper(ConstMatrixView v, MatrixView x) {
  pin_blas_to_one_thread();
  cblas_strsm(CblasRowMajor, CblasLeft, CblasUpper, CblasNoTrans, CblasUnit,
              static_cast<blasint>(x.rows), static_cast<blasint>(x.cols), 1.0f, v.data,
              static_cast<blasint>(v.stride), x.data, static_cast<blasint>(x.stride));
}

}  // namespace scant
