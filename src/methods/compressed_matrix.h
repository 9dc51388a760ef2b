#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/context.h"
#include "formats/mask.h"
#include "formats/pattern.h"
#include "formats/quantized.h"
#include "formats/size.h"
#include "methods/input_statistics.h"

namespace scant {

/// What a method needs to know of a layer besides its weight. Empty for data-free methods.
struct Statistics {
  const InputStatistics* inputs = nullptr;
};

/// Errors of a compressed matrix against the dense one.
struct MatrixError {
  double squared = 0;               ///< sum of (what - w)^2
  double relative = 0;              ///< sqrt(squared / sum of w^2); 0 for a matrix of zeros
  double largest = 0;               ///< max |what - w|
  double sparsity_squared = 0;      ///< the part of the pruned positions
  double quantization_squared = 0;  ///< the part of the kept positions
};

/// A matrix made smaller: its mask, its codes, what it evaluates to, and what that cost.
struct CompressedMatrix {
  std::optional<QuantizedMatrix> quantized;  ///< pruned weights have the code of zero, if there is
  std::optional<Mask> mask;
  Matrix values;  ///< simulated: code times scale, zero where pruned
  MatrixError error;
  /// sqrt(tr(E H E^T) / tr(W H W^T)), the relative error of the layer's output on calibration
  /// text; nothing without statistics.
  std::optional<double> output_error;
};

/// q(s(x)), s(q(x)), and the mask by gain (docs/theory.md).
enum class Order : uint8_t { kSparsifyFirst, kQuantizeFirst, kJoint };
inline constexpr Order kOrders[] = {Order::kSparsifyFirst, Order::kQuantizeFirst, Order::kJoint};

/// "sparsify-first", "quantize-first", "joint".
std::string_view order_name(Order order);
/// Throws Error naming what is allowed.
Order parse_order(std::string_view name);

/// What to do to one matrix. With a pattern alone or a format alone the order says nothing.
struct CompressionSpec {
  std::optional<SparsityPattern> pattern;
  std::optional<NumberFormat> format;
  Order order = Order::kSparsifyFirst;
  std::string pruner = "magnitude";  ///< a name of all_pruners()
  std::string quantizer = "rtn";     ///< a name of all_quantizers()
  std::string joint = "gain_mask";   ///< a name of all_joint_solvers(); read by Order::kJoint
  uint64_t seed = 0;
  uint64_t stream = 0;  ///< per tensor, for stochastic rounding
};

/// Compresses one weight (outputs x inputs). Throws Error if the combination is refused (the
/// sentence says what and why) or if a value is NaN or infinite (naming its place). Pure: the
/// result depends on the arguments only, not on the number of threads.
CompressedMatrix compress_matrix(ConstMatrixView weight, const CompressionSpec& spec,
                                 const Statistics& statistics, Context& context);

/// The sentence that refuses this combination, or nothing if it is supported. What
/// docs/guide/support.md prints.
std::optional<std::string> refusal(const CompressionSpec& spec);

/// Its methods in their order: "rtn", "sparsegpt, gptq", "one-pass".
std::string method_names(const CompressionSpec& spec);

/// Whether one of its methods reads Statistics::inputs. The spec must not be refused.
bool needs_calibration(const CompressionSpec& spec);

/// Whether it wants to know what the layer's inputs are in the dense model.
bool matches_dense_outputs(const CompressionSpec& spec);

/// Bytes of a weight compressed so: stored_size() of formats/size.h and what its methods store
/// besides. Without a format in the spec, kept values are stored as `plain`.
StoredSize compressed_size(int64_t rows, int64_t cols, const CompressionSpec& spec,
                           const NumberFormat& plain, int64_t kept);

/// Errors of `values` against `weight`; positions outside `mask` (null: none) are the pruned ones.
/// Sums in double, in a fixed order.
MatrixError matrix_error(ConstMatrixView weight, ConstMatrixView values, const Mask* mask,
                         Context& context);

}  // namespace scant
