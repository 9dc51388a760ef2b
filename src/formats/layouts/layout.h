#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "formats/layouts/bit_runs.h"
#include "formats/packed.h"

namespace scant {

/// What a layout takes of a matrix.
struct LayoutExtent {
  int64_t position_bits = 0;   ///< without filling
  int64_t position_bytes = 0;  ///< filled up
  int64_t kept = 0;            ///< codes that are counted as codes
  int64_t code_bytes = 0;      ///< filled up
  int64_t scales = 0;
};

/// Positions and codes as they are stored.
struct LayoutView {
  const PackedSpec& spec;
  std::span<const std::byte> positions;
  std::span<const std::byte> codes;
  const PackedIndex* index = nullptr;  ///< null while it is made

  int code_bits() const { return spec.format.code_bits(); }
  [[noreturn]] void fail(const std::string& problem) const;
};

/// What is packed: codes row by row in their low bits (bits of the value for plain formats), and
/// what is kept of a row; all of it without a mask.
class CodeRows {
 public:
  CodeRows(const QuantizedMatrix& quantized, const Mask* mask)
      : quantized_(quantized), mask_(mask) {}
  int64_t rows() const { return quantized_.rows; }
  int64_t cols() const { return quantized_.cols; }
  int code_bits() const { return quantized_.format.code_bits(); }
  void read(int64_t row, std::span<uint32_t> codes) const;
  bool kept(int64_t row, int64_t col) const { return mask_ == nullptr || (*mask_)(row, col) != 0; }
  /// What stands where the matrix has no weight.
  uint32_t filler() const;

 private:
  const QuantizedMatrix& quantized_;
  const Mask* mask_;
};

struct PackedBytes {
  std::vector<std::byte> positions, codes;
};

/// The stored scales of every block of the matrix, pruned or not.
inline int64_t all_scales(const StoredMatrix& matrix) {
  return matrix.format.scale_count(matrix.rows, matrix.cols);
}

/// Where the scale of a row's block stands if every block has one.
int64_t place_among_all(const PackedSpec& spec, int64_t row, int64_t block);

/// One bit per unit: a byte each, 1 = kept. Throws Error unless exactly `kept` are set and nothing
/// past the last unit.
std::vector<uint8_t> read_flags(const LayoutView& view, int64_t units, int64_t kept);
/// As many units as the pattern keeps: those that hold a kept weight, filled up from the first on.
std::vector<uint8_t> chosen_units(std::vector<uint8_t> holds_kept, int64_t kept);
void append_flags(std::span<const uint8_t> flags, std::vector<std::byte>& bytes);
/// The place of each kept unit among the kept ones; -1 for the others.
std::vector<int64_t> places_of(std::span<const uint8_t> flags);

}  // namespace scant
