#pragma once

#include <array>
#include <cstdint>

#include "compress/export/export_target.h"
#include "compress/export/onnx/onnx_graph.h"

namespace scant {

/// How a weight's codes are stored and which operators take them.
struct OnnxStorage {
  enum class Kind : uint8_t {
    kBlocks,      ///< uint4 in blocks: MatMulNBits, GatherBlockQuantized
    kDequantize,  ///< DequantizeLinear
  };
  Kind kind = Kind::kDequantize;
  OnnxType type = OnnxType::kInt8;  ///< of the codes
  int64_t block = 0;                ///< kBlocks: values that share a scale, 16 to 256
  bool zero_points = false;
  OnnxType scale_type = OnnxType::kFloat;
  /// What is stored for a code, before the zero point of kBlocks (8) is added.
  std::array<int16_t, 256> stored{};
};

/// Symmetric codes of kBlocks are counted from here, which its operators take for granted.
inline constexpr int kOnnxBlockZero = 8;

/// Throws Error naming the weight, what ONNX lacks and the nearest that it has.
OnnxStorage onnx_storage(const ExportedWeight& weight);

/// The same for the inputs of linear layers; `tensor` is what the message names.
void check_onnx_inputs(const std::string& tensor, const NumberFormat& format,
                       const ActivationMethod& method, int64_t width);

}  // namespace scant
