#pragma once

#include <string>

#include "compress/export/onnx/onnx_graph.h"
#include "compress/export/onnx/onnx_weights.h"
#include "models/blocks/norm.h"

namespace scant {

/// The norm of x over its last dimension, of `width` values. `scope`: what its nodes are called.
std::string add_onnx_norm(OnnxGraph& graph, OnnxWeights& weights, const NormSpec& spec,
                          const std::string& x, int64_t width, const std::string& scope);

}  // namespace scant
