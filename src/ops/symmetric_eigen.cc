#include "ops/symmetric_eigen.h"

#include <f77blas.h>

#include <string>

#include "core/error.h"

// Not in OpenBLAS's header.
extern "C" void BLASFUNC(ssyevd)(const char* job, const char* triangle, const blasint* n, float* a,
                                 const blasint* stride, float* values, float* work,
                                 const blasint* work_size, blasint* integers,
                                 const blasint* integers_size, blasint* info);

namespace scant {

SymmetricEigen symmetric_eigen(ConstMatrixView matrix) {
  if (matrix.rows != matrix.cols) {
    throw Error("eigenvectors", "of a matrix of " + shape_text({matrix.rows, matrix.cols}));
  }
  SymmetricEigen result{std::vector<float>(static_cast<size_t>(matrix.rows)),
                        Matrix::copy_of(matrix)};
  if (matrix.rows == 0) return result;
  const auto n = static_cast<blasint>(matrix.rows);
  // LAPACK reads columns where we have rows: its upper triangle is our lower one, and the columns
  // that it returns are our rows.
  const char vectors = 'V', upper = 'U';
  float best_size = 0;
  blasint best_integers = 0, info = 0;
  const blasint ask = -1;
  BLASFUNC(ssyevd)
  (&vectors, &upper, &n, result.vectors.data(), &n, result.values.data(), &best_size, &ask,
   &best_integers, &ask, &info);
  // The size comes back as a float, which may have rounded it down.
  const auto size = static_cast<blasint>(static_cast<double>(best_size) * (1 + 1e-6)) + 1;
  std::vector<float> work(static_cast<size_t>(size));
  std::vector<blasint> integers(static_cast<size_t>(best_integers));
  BLASFUNC(ssyevd)
  (&vectors, &upper, &n, result.vectors.data(), &n, result.values.data(), work.data(), &size,
   integers.data(), &best_integers, &info);
  if (info != 0) {
    throw Error("eigenvectors", "did not converge (LAPACK ssyevd: " + std::to_string(info) + ")");
  }
  return result;
}

}  // namespace scant
