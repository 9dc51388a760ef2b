#pragma once

#include <optional>
#include <string>

#include "core/context.h"
#include "formats/mask.h"
#include "formats/pattern.h"
#include "formats/quantized.h"

namespace scant {

/// What a method needs to know of a layer besides its weight. Empty for data-free methods.
struct Statistics {
  const Matrix* gram = nullptr;  ///< H = X^T X, features x features
};

/// Errors of a compressed matrix against the dense one.
struct MatrixError {
  double squared = 0;               ///< sum of (what - w)^2
  double relative = 0;              ///< sqrt(squared / sum of w^2)
  double largest = 0;               ///< max |what - w|
  double sparsity_squared = 0;      ///< the part of the pruned positions
  double quantization_squared = 0;  ///< the part of the kept positions
};

/// A matrix made smaller: its mask, its codes, what it evaluates to, and what that cost.
struct CompressedMatrix {
  std::optional<QuantizedMatrix> quantized;
  std::optional<Mask> mask;
  Matrix values;  ///< simulated: code times scale, zero where pruned
  MatrixError error;
};

/// The orders of docs/design and theory.md: q(s(x)), s(q(x)), and the mask by gain.
enum class Order : uint8_t { kSparsifyFirst, kQuantizeFirst, kJoint };

std::string_view order_name(Order order);
Order parse_order(std::string_view name);

/// What to do to one matrix: data-free here, calibrated methods add names.
struct CompressionSpec {
  std::optional<SparsityPattern> pattern;
  std::optional<NumberFormat> format;
  Order order = Order::kSparsifyFirst;
  std::string pruner = "magnitude";
  std::string quantizer = "rtn";
  uint64_t seed = 0;
  uint64_t stream = 0;  ///< per tensor, for stochastic rounding
};

/// Compresses one weight (outputs x inputs). Throws Error if the combination is refused; the
/// sentence says what and why. Pure: the result depends on the arguments only.
CompressedMatrix compress_matrix(ConstMatrixView weight, const CompressionSpec& spec,
                                 const Statistics& statistics, Context& context);

/// The sentence that refuses this combination, or nothing if it is supported. What
/// docs/guide/support.md prints.
std::optional<std::string> refusal(const CompressionSpec& spec);

}  // namespace scant
