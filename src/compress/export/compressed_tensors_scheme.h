#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "compress/export/export_target.h"

namespace scant {

/// The name of the target in sentences and in quantization_config.
inline constexpr std::string_view kCompressedTensors = "compressed-tensors";

/// How compressed-tensors (0.20; docs/formats/compressed-tensors.md) stores one weight.
struct CompressedTensorsScheme {
  enum class Layout : uint8_t {
    kPacked,  ///< pack-quantized: a string of bits per row, in words of 32
    kInt8,    ///< int-quantized: an I8 per weight
    kFloat8,  ///< float-quantized, mxfp8-quantized: an F8_E4M3 per weight
    kString,  ///< nvfp4-, mxfp4-, mxfp6-pack-quantized: a string of bits per row, in bytes
  };
  Layout layout = Layout::kPacked;
  std::string format;              ///< "pack-quantized"
  nlohmann::ordered_json weights;  ///< arguments
  nlohmann::ordered_json inputs;   ///< arguments; null: inputs stay as they are

  friend bool operator==(const CompressedTensorsScheme&, const CompressedTensorsScheme&) = default;
};

/// Throws Error naming the tensor, what it has that cannot be said, and the nearest that can.
CompressedTensorsScheme compressed_tensors_scheme(const ExportedWeight& weight);

}  // namespace scant
