#pragma once

#include "core/context.h"
#include "core/tensor.h"

namespace scant {

/// A = L L^T in place, A symmetric n x n of which the lower triangle is read: L is left there, what
/// is above it is undefined. False if A is not positive definite. Blocks of the diagonal through
/// LAPACK, what they mean for the rest as products by tiles; deterministic for any number of
/// threads.
bool cholesky_lower(MatrixView a, Context& context);

/// X <- V^-1 X, V upper triangular with a diagonal of ones. Single-threaded.
void solve_unit_upper(ConstMatrixView v, MatrixView x);

}  // namespace scant
