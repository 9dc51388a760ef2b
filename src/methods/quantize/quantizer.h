#pragma once

#include <span>
#include <string_view>

#include "methods/compressed_matrix.h"

namespace scant {

/// A way to choose scales and codes.
struct Quantizer {
  std::string_view name;
  std::string_view meaning;  ///< one clause, for help
  /// `values` receives what the codes evaluate to.
  QuantizedMatrix (*quantize)(ConstMatrixView weight, const NumberFormat& format,
                              const QuantizeOptions& options, const Statistics& statistics,
                              MatrixView values, Context& context);
};

/// Every quantizer, in the order of help and tables.
std::span<const Quantizer> all_quantizers();
/// Null if there is none of that name.
const Quantizer* find_quantizer(std::string_view name);

/// Round to nearest: every weight by itself, as the number format says.
Quantizer rtn_quantizer();

}  // namespace scant
