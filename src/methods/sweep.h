#pragma once

#include "core/context.h"
#include "formats/mask.h"
#include "formats/pattern.h"
#include "formats/quantized.h"
#include "ops/inverse_factor.h"

namespace scant {

/// One pass over the columns of a weight in the order of `factor`, each column's error made good by
/// the columns after it: w[k] -= e U[j, k] with e = (w[j] - what[j]) / U[j, j]. With a grid alone
/// it is GPTQ (arXiv 2210.17323), with a pattern alone SparseGPT (arXiv 2301.00774), with both the
/// one-pass joint of the latter.
struct Sweep {
  const InverseFactor& factor;
  /// Chosen on the way by the largest w^2 / U[j, j]^2: N:M groups as they are reached, unstructured
  /// ones per 128 columns; other patterns before the pass by w^2 / [H^-1]_jj.
  const SparsityPattern* pattern = nullptr;
  const Mask* mask = nullptr;             ///< instead of a pattern: already chosen
  const QuantizedMatrix* grid = nullptr;  ///< scales (codes are not read); null: real values
};

/// Changes `values` (outputs x inputs): kept weights end on the grid, pruned ones at 0. The mask,
/// if there is a pattern or a mask. Deterministic for any number of threads. N:M needs a factor
/// from left to right.
Mask run_sweep(const Sweep& sweep, MatrixView values, Context& context);

/// The mask that a pattern chooses by w^2 / [H^-1]_jj, the loss of pruning one weight alone.
Mask select_by_loss(ConstMatrixView values, const SparsityPattern& pattern,
                    const InverseFactor& factor, Context& context);

}  // namespace scant
