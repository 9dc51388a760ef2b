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
  /// Fills QuantizedMatrix::column_factors (but not for plain formats).
  bool column_factors = false;
  /// Fills QuantizedMatrix::column_order of formats with groups. Takes no pruned weights.
  bool column_order = false;
};

/// Every quantizer, in the order of help and tables.
std::span<const Quantizer> all_quantizers();
/// Null if there is none of that name.
const Quantizer* find_quantizer(std::string_view name);

/// Round to nearest: every weight by itself, as the number format says.
Quantizer rtn_quantizer();
/// Round to nearest at the scales that lose least by sum h_c (what - w)^2, h_c the squared norm of
/// the column's input: the search of `:mse` for every format, weighted (the "importance matrix" of
/// llama.cpp).
Quantizer imatrix_quantizer();
/// Round to nearest of columns times s, s = (root mean square of the input)^a, which is undone
/// after decoding (AWQ, arXiv 2306.00978; it takes the mean magnitude of inputs where we have H). a
/// is the best of 0, 1/20, ..., 19/20 by the layer's error. As every layer has an s of its own, it
/// is stored: one float16 per column.
Quantizer awq_quantizer();
/// One sweep with compensation (GPTQ, arXiv 2210.17323), act-order and static groups.
Quantizer gptq_quantizer();
/// The same sweep with groups formed in its order (`desc_act` without static groups elsewhere): one
/// int32 per column is stored.
Quantizer gptq_desc_act_quantizer();
/// The same sweep as gptq for InputStatistics::matched_target() (GPTAQ, arXiv 2504.02692).
Quantizer gptaq_quantizer();

}  // namespace scant
