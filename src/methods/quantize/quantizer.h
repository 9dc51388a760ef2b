#pragma once

#include <span>
#include <string_view>

#include "methods/compressed_matrix.h"

namespace scant {

/// A way to choose scales and codes.
struct Quantizer {
  std::string_view name;
  std::string_view meaning;  ///< one clause, for help
  bool calibrated = false;   ///< reads Statistics::inputs
  bool matched = false;      ///< solves for InputStatistics::matched_target()
  /// `values` receives what the codes evaluate to; may not overlap `weight`.
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
/// One sweep with compensation (GPTQ, arXiv 2210.17323), act-order and static groups.
Quantizer gptq_quantizer();
/// The same sweep for InputStatistics::matched_target() (GPTAQ, arXiv 2504.02692).
Quantizer gptaq_quantizer();

}  // namespace scant
