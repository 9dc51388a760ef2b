#pragma once

#include <vector>

#include "core/tensor.h"

namespace scant {

/// A = V^T diag(values) V with V orthogonal.
struct SymmetricEigen {
  std::vector<float> values;  ///< ascending
  Matrix vectors;             ///< V: row i is the eigenvector of values[i]
};

/// Of a symmetric matrix with finite values, of which the lower triangle is read. LAPACK in float32
/// (divide and conquer, about 9 n^3 operations). Throws Error if it does not converge.
SymmetricEigen symmetric_eigen(ConstMatrixView matrix);

}  // namespace scant
