#pragma once

#include "core/context.h"
#include "formats/mask.h"
#include "formats/pattern.h"
#include "formats/quantized.h"
#include "methods/input_statistics.h"
#include "ops/gram_factor.h"

namespace scant {

/// One pass over the columns of a weight in the order of `factor`, each column's change made good
/// by the columns after it: with V the factor and e = w - what, column j becomes the grid's nearest
/// to w[j] + sum over i < j of e[i] V[i, j], or 0. With a grid alone it is GPTQ (arXiv 2210.17323),
/// with a pattern alone SparseGPT (arXiv 2301.00774), with both the one-pass joint of the latter;
/// they are written there with the factor of the inverse, which costs an inversion more.
struct Sweep {
  const GramFactor& factor;
  /// Chosen on the way by what pruning costs when all that is not fixed yet makes good for it: N:M
  /// groups as they are reached, unstructured ones per 128 columns; other patterns before the pass
  /// by w^2 / [H^-1]_jj.
  const SparsityPattern* pattern = nullptr;
  const Mask* mask = nullptr;             ///< instead of a pattern: already chosen
  const QuantizedMatrix* grid = nullptr;  ///< scales (codes are not read); null: real values
  /// Receives tr(E H E^T) of the whole sweep, as exact as float32 factors are; null: not wanted.
  double* squared_error = nullptr;
};

/// Sweeps `weight` (outputs x inputs) into `values`, which may be the weight itself: kept weights
/// end on the grid, pruned ones at 0. The mask, if there is a pattern or a mask. Deterministic for
/// any number of threads. N:M needs a factor from left to right.
Mask run_sweep(const Sweep& sweep, ConstMatrixView weight, MatrixView values, Context& context);

/// How squared errors count by column where the scales of a grid are searched before a sweep: by
/// the squared norm of the input for formats whose scales are always searched (blocks of GGUF);
/// empty, all alike, for others.
std::vector<float> grid_importance(const NumberFormat& format, const InputStatistics& inputs);

/// The mask that a pattern chooses by w^2 / [H^-1]_jj, the loss of pruning one weight alone.
Mask select_by_loss(ConstMatrixView values, const SparsityPattern& pattern,
                    const GramFactor& factor, Context& context);

/// Near to what a sweep will choose, from the weights as they come: by w^2 d[j]^2 for N:M,
/// select_by_loss() for other patterns.
Mask likely_mask(ConstMatrixView values, const SparsityPattern& pattern, const GramFactor& factor,
                 Context& context);

}  // namespace scant
