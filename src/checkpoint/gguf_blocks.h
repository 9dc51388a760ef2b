#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/dtype.h"

namespace scant {

/// A tensor type of GGUF: `elements` values stored in `bytes`. The layouts of the block types are
/// drawn in gguf_blocks.cc.
struct GgufType {
  uint32_t id;                                             ///< as in the file
  std::string_view name;                                   ///< "Q4_K"
  uint32_t elements;                                       ///< per block; 1 for plain types
  uint32_t bytes;                                          ///< per block
  std::optional<DType> dtype;                              ///< plain types that core knows
  void (*dequantize)(const std::byte* block, float* out);  ///< one block; null if not supported
  /// True for F32, F16, BF16 and the block types that are dequantized.
  bool is_readable() const { return dequantize != nullptr || (dtype && is_weight_dtype(*dtype)); }
};

/// Null for an id or a name that is not a type.
const GgufType* find_gguf_type(uint32_t id);
const GgufType* find_gguf_type(std::string_view name);
/// "F32, F16, BF16, Q8_0, ...", for messages and documents.
std::string readable_gguf_types();

/// Values [first, first + out.size()) of a tensor of a readable type whose data begin at `data`,
/// computed in float32 in the order of operations of the formulas in gguf_blocks.cc.
void read_gguf_values(const GgufType& type, const std::byte* data, uint64_t first,
                      std::span<float> out);

}  // namespace scant
