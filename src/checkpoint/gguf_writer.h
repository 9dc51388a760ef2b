#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/gguf.h"
#include "core/atomic_write.h"

namespace scant {

/// The keys of a GGUF file to write, in order. A key that is there already is a std::logic_error.
class GgufKeys {
 public:
  void text(std::string_view key, std::string_view value);
  void u32(std::string_view key, uint64_t value);
  void f32(std::string_view key, double value);
  void boolean(std::string_view key, bool value);
  void texts(std::string_view key, std::span<const std::string> values);
  void floats(std::string_view key, std::span<const float> values);
  void integers(std::string_view key, std::span<const int32_t> values);
  /// A value of another file, unchanged.
  void copy(std::string_view key, const GgufStoredValue& value);

  bool has(std::string_view key) const { return names_.contains(key); }
  uint64_t count() const { return names_.size(); }
  const std::string& bytes() const { return bytes_; }

 private:
  void begin(std::string_view key, GgufValueType type);

  std::set<std::string, std::less<>> names_;
  std::string bytes_;
};

struct GgufPlannedTensor {
  std::string name;  ///< at most 63 bytes
  Shape shape;       ///< outermost first; rows are whole blocks of the type
  const GgufType* type = nullptr;

  uint64_t bytes() const;
};

/// Writes a GGUF file of version 3 (gguf.h draws it) in one stream: the header at once, then each
/// tensor's data in the order of the plan. Memory: the header.
class GgufWriter {
 public:
  /// Throws Error naming a tensor that the format cannot have.
  GgufWriter(OutputFile& file, const GgufKeys& keys, std::vector<GgufPlannedTensor> plan);

  /// Data of the next tensor, in any number of pieces. std::logic_error if calls do not follow the
  /// plan; Error on any I/O failure.
  void begin_tensor(std::string_view name);
  void append(std::span<const std::byte> bytes);
  /// After all data: pads the last tensor.
  void finish();
  /// Bytes of tensor data, without padding.
  uint64_t total_bytes() const { return total_bytes_; }

 private:
  void end_tensor();

  OutputFile& file_;
  std::vector<GgufPlannedTensor> plan_;
  size_t next_ = 0;
  uint64_t left_ = 0;  ///< bytes of the open tensor that are still to come
  uint64_t total_bytes_ = 0;
};

}  // namespace scant
