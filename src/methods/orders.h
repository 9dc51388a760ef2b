#pragma once

#include <optional>
#include <span>

#include "methods/compressed_matrix.h"
#include "methods/prune/pruner.h"
#include "methods/quantize/quantizer.h"

namespace scant {

/// One weight and what is to be done to it, names resolved.
struct CompressionProblem {
  ConstMatrixView weight;
  const SparsityPattern& pattern;
  const NumberFormat& format;
  const Pruner& pruner;
  const Quantizer& quantizer;
  const Statistics& statistics;
  uint64_t seed = 0;
  uint64_t stream = 0;

  QuantizeOptions options() const { return {.seed = seed, .stream = stream}; }
};

/// Codes and the mask over them: a compressed matrix that is not spelled out in float32 yet.
struct MaskedCodes {
  QuantizedMatrix quantized;
  Mask mask;
};

/// q(s(x)): scales are chosen from what is kept. `values` (of the weight's shape) receives what
/// mask and codes evaluate to.
MaskedCodes sparsify_first(const CompressionProblem& problem, MatrixView values, Context& context);

/// s(q(x)): what is kept is chosen by the dequantized values; scales stay, and codes too unless the
/// pruner makes good for what it prunes. `values` as above.
MaskedCodes quantize_first(const CompressionProblem& problem, MatrixView values, Context& context);

/// The codes of values that lie on a grid (scales and element of `grid`; its codes are not read).
/// `values` becomes what they evaluate to, 0 where pruned. `mask` may be null.
QuantizedMatrix codes_on_grid(const QuantizedMatrix& grid, const Mask* mask, MatrixView values,
                              Context& context);

/// Gives pruned weights the code of zero (`binary` has none: its mask alone says so).
void prune_codes(QuantizedMatrix& quantized, const Mask& mask, Context& context);

/// Zero where pruned.
void prune_values(MatrixView values, const Mask& mask, Context& context);

/// sum over all weights of h_c (value - w)^2 with h_c of the column, 1 if `importance` is empty.
/// In double, in a fixed order.
double squared_error(ConstMatrixView weight, ConstMatrixView values,
                     std::span<const float> importance, Context& context);

}  // namespace scant
