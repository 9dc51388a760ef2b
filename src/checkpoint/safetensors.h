#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/tensor.h"

namespace scant {

/// The safetensors file format (github.com/huggingface/safetensors, README "Format"):
///
///   byte 0         8              8 + N                        end of file
///        +---------+--------------+----------------------------+
///        | N (u64, | JSON header, | data: the tensors, back to |
///        | little  | N bytes,     | back, little endian, row   |
///        | endian) | from '{'     | major                      |
///        +---------+--------------+----------------------------+
///
///   header = {"__metadata__": {text: text, ...},
///             NAME: {"dtype": "BF16", "shape": [rows, cols], "data_offsets": [begin, end]}, ...}
///
/// Offsets count from the start of the data.
struct SafetensorsEntry {
  std::string name;
  std::string type;            ///< as spelled in the file
  std::optional<DType> dtype;  ///< absent for types that only newer tools know (F4, F8_E8M0, ...)
  Shape shape;
  uint64_t begin = 0;  ///< offsets into the data
  uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;        ///< by offset
  std::map<std::string, std::string> metadata;  ///< "__metadata__"
  size_t data_begin = 0;                        ///< 8 + N
};

/// Longest header that is read, as in the reference implementation.
inline constexpr uint64_t kSafetensorsHeaderLimit = 100'000'000;

/// Parses and validates a whole file. Every byte of the data belongs to exactly one tensor: no
/// holes, no overlap, nothing left over; each tensor has exactly the bytes that its shape and type
/// need. Throws Error naming `where` and the tensor otherwise.
SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::string& where);

}  // namespace scant
