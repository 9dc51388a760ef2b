#pragma once

#include <string>

#include "compress/export/onnx/onnx_graph.h"
#include "models/input_quantization.h"

namespace scant {

/// x (tokens x width) as the numbers that it becomes, by QuantizeLinear and DequantizeLinear, with
/// scales from the values by token or group, or static ones. What check_onnx_inputs() lets pass.
std::string add_quantized_inputs(OnnxGraph& graph, const std::string& x, int64_t width,
                                 const InputQuantization& how);

}  // namespace scant
