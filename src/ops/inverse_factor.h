#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace scant {

/// The upper triangular U with (P (H + damping I) P^T)^-1 = U^T U: row j of U says how an error in
/// column j is made good by the columns after it (GPTQ, arXiv 2210.17323, section 3.3).
struct InverseFactor {
  Matrix upper;                ///< below the diagonal zeros
  std::vector<int64_t> order;  ///< the column at position j of the elimination
  double damping = 0;          ///< that was added to the diagonal
};

/// From H (features x features, symmetric) with columns eliminated in `order`. `share` of the mean
/// diagonal (of 1 if that is 0) is added to the diagonal. While the Cholesky factorisation fails,
/// the damping grows tenfold; nothing if it failed with a damping of the mean itself.
/// Single-threaded LAPACK in float32.
std::optional<InverseFactor> inverse_factor(ConstMatrixView gram, std::span<const int64_t> order,
                                            double share);

}  // namespace scant
