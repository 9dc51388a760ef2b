#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/context.h"
#include "core/tensor.h"

namespace scant {

/// P (H + damping I) P^T = R R^T with R = V diag(d): V upper triangular with a diagonal of ones.
/// Changes e of a row (in the order of elimination) cost |e R|^2. Once the changes of all columns
/// before j are fixed, column j is best at w[j] + sum over i < j of e[i] V[i, j] with e = w - what,
/// and being off by x costs (x d[j])^2. With U = R^-1 it is the factor of the inverse that GPTQ
/// (arXiv 2210.17323, section 3.3) and SparseGPT sweep with.
struct GramFactor {
  PaddedMatrix upper;           ///< V; below the diagonal zeros
  std::vector<float> diagonal;  ///< d > 0
  std::vector<int64_t> order;   ///< the column at position j of the elimination
  double damping = 0;           ///< that was added to the diagonal
};

/// From H (features x features, symmetric) with columns eliminated in `order`. `share` of the mean
/// diagonal (of 1 if that is 0) is added to the diagonal. While the Cholesky factorisation fails,
/// the damping grows tenfold; nothing if it failed with a damping of the mean itself.
/// In float32; deterministic for any number of threads.
std::optional<GramFactor> factorise_gram(ConstMatrixView gram, std::span<const int64_t> order,
                                         double share, Context& context);

/// The diagonal of (R R^T)^-1, in the order of elimination: as much work as the factorisation.
/// Deterministic for any number of threads.
std::vector<float> inverse_diagonal(const GramFactor& factor, Context& context);

/// rows <- rows (R R^T)^-1, columns in the order of elimination. Deterministic for any number of
/// threads.
void solve_gram(const GramFactor& factor, MatrixView rows, Context& context);

}  // namespace scant
