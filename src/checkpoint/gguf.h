#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "checkpoint/gguf_blocks.h"
#include "core/tensor.h"

namespace scant {

/// The GGUF file format, version 3 (github.com/ggml-org/ggml, docs/gguf.md); version 2 is laid out
/// alike. Little endian throughout.
///
///   "GGUF" | u32 version | u64 tensor count | u64 key count
///   keys:     text key | u32 value type | value           text = u64 length + bytes
///   tensors:  text name | u32 rank | u64 extents, innermost first | u32 type | u64 offset
///   padding to `general.alignment` (default 32)
///   data: each tensor at its offset from here, padded to the alignment, in the order listed
///
/// Everything below points into the bytes that were parsed.
enum class GgufValueType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kText,
  kArray,
  kU64,
  kI64,
  kF64
};

struct GgufArray {
  GgufValueType type = GgufValueType::kU8;  ///< never kArray
  uint64_t count = 0;
  std::span<const std::byte> items;  ///< as stored
};

using GgufValue = std::variant<uint64_t, int64_t, float, double, bool, std::string_view, GgufArray>;

struct GgufTensor {
  std::string_view name;
  Shape shape;  ///< outermost first: the reverse of the file
  const GgufType* type = nullptr;
  uint64_t bytes = 0;
  const std::byte* data = nullptr;
};

/// A value as it stands in the file.
struct GgufStoredValue {
  GgufValueType type = GgufValueType::kU8;
  std::span<const std::byte> bytes;  ///< after the type; of an array with its type and count
};

/// A parsed and validated file. The accessors throw Error naming the file and the key if the value
/// has another type or does not fit.
class GgufFile {
 public:
  /// Throws Error naming `where` and the key or tensor if anything is truncated, there twice, not
  /// UTF-8, out of order, overlapping or too large. `bytes` must outlive this object.
  GgufFile(std::span<const std::byte> bytes, std::string where);

  const std::string& where() const { return where_; }
  uint32_t version() const { return version_; }
  const std::map<std::string_view, GgufValue>& values() const { return values_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }

  /// By key, every value's bytes.
  const std::map<std::string_view, GgufStoredValue>& stored_values() const { return stored_; }
  const GgufValue* find(std::string_view key) const;
  std::optional<std::string_view> text(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  /// An integer of any width, from 0 to 2^31 - 1.
  std::optional<int64_t> integer(std::string_view key) const;
  /// A finite number. Of a float32 the shortest decimal that gives it, read as double: 1e-05, not
  /// 9.99999974e-06.
  std::optional<double> number(std::string_view key) const;
  std::optional<std::vector<std::string>> texts(std::string_view key) const;
  std::optional<std::vector<float>> floats(std::string_view key) const;
  std::optional<std::vector<int32_t>> integers(std::string_view key) const;

 private:
  void check_layout(uint64_t header_end, const std::vector<uint64_t>& offsets);
  const GgufArray* array(std::string_view key, GgufValueType type, std::string_view expected) const;

  std::span<const std::byte> bytes_;
  std::string where_;
  uint32_t version_ = 0;
  std::map<std::string_view, GgufValue> values_;
  std::map<std::string_view, GgufStoredValue> stored_;
  std::vector<GgufTensor> tensors_;
};

}  // namespace scant
