#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/gguf_blocks.h"
#include "compress/export/export_target.h"

namespace scant {

/// The numbers of an element as integers times a unit, where they are that: int, ternary, E2M1 in
/// halves; not NF4.
struct GgufLevels {
  int lowest = 0;  ///< (code - zero point) over all codes and zero points
  int highest = 0;
  float unit = 1.0f;                   ///< a power of two
  std::array<int16_t, 256> of_code{};  ///< without the zero point

  static std::optional<GgufLevels> of(const NumberFormat& format);
};

/// One row of a packed matrix on its way into blocks.
class GgufRow {
 public:
  GgufRow(const ExportedWeight& weight, const PackedMatrix& matrix,
          const std::optional<GgufLevels>& levels);
  void read(int64_t row);

  const PackedMatrix& matrix() const { return matrix_; }
  int64_t row() const { return row_; }
  /// Of every weight of the row; the code of zero where it was pruned.
  std::span<const uint32_t> codes() const { return codes_; }
  /// (code - zero point) in units; 0 where pruned. Only with levels.
  std::span<const int16_t> levels() const { return values_; }
  /// The group of a column.
  int64_t group(int64_t column) const { return column / width_; }
  /// Scale times unit at `column` as float16 bits. Throws Error naming the scale and the nearest
  /// format if float16 does not hold it and some of the `count` weights there are not zero.
  uint16_t step(int64_t column, int64_t count) const;

 private:
  const ExportedWeight& weight_;
  const PackedMatrix& matrix_;
  const std::optional<GgufLevels>& levels_;
  int64_t width_;
  int64_t row_ = 0;
  std::vector<uint32_t> codes_;
  std::vector<uint8_t> keep_;
  std::vector<int16_t> values_;
};

/// A block type of GGUF that holds codes: one row of the table in gguf_types.cc.
struct GgufEncoding {
  const GgufType* type;
  std::string_view weights;  ///< for `scant export --list`
  std::string_view scales;
  /// Zero is a value of every block: pruned weights stay zero.
  bool keeps_zeros;
  /// Whether the codes are values of the type, whatever their scales are.
  bool (*holds)(const NumberFormat& format, const std::optional<GgufLevels>& levels);
  /// The block of type->elements weights that begins at `column`.
  void (*encode)(const GgufRow& row, int64_t column, std::byte* block);
};

/// general.file_type of a file whose matrices are mostly of this type.
uint32_t gguf_file_type(const GgufType& type);

/// In the order in which they are tried: the smallest first.
std::span<const GgufEncoding> all_gguf_encodings();

/// The type that holds the weight's codes. Throws Error naming the tensor, what is in the way and
/// the nearest format.
const GgufEncoding& gguf_encoding(const ExportedWeight& weight);

}  // namespace scant
