#pragma once

#include "formats/layouts/layout.h"

namespace scant {

/// One bit per weight and the codes of the kept ones. Holds every pattern that keeps a fixed number
/// of weights: not blocks, which may be cut off at the edges.
///
///   positions  row 0: bit c of the row (low bit first) is 1 if weight (0, c) is kept, filled up to
///              a byte; row 1: ...
///   codes      one run: the kept codes of all rows; a reader finds the start of a row by counting
///              bits
///   scales     one per block of the format, row by row; zero points and constants after them
struct BitmaskLayout {
  static constexpr std::string_view kName = "bitmask";
  static constexpr std::string_view kMeaning = "one bit per weight, the codes of the kept ones";

  static std::optional<std::string> refusal(const NumberFormat&, const SparsityPattern* pattern) {
    if (pattern == nullptr) return "a bitmask is for a sparsity pattern";
    if (!std::holds_alternative<BlockPattern>(pattern->pattern)) return std::nullopt;
    return "blocks have layouts of their own";
  }
  static LayoutExtent extent(const StoredMatrix& matrix) {
    return {.position_bits = matrix.rows * matrix.cols,
            .position_bytes = matrix.rows * bytes_of(matrix.cols),
            .kept = matrix.kept,
            .code_bytes = bytes_of(matrix.kept * matrix.format.code_bits()),
            .scales = all_scales(matrix)};
  }
  static void write(const PackedSpec& spec, const CodeRows& rows, PackedBytes& out);
  static PackedIndex index(const LayoutView& view);
  static void read_row(const LayoutView& view, int64_t row, std::span<uint32_t> codes,
                       std::span<uint8_t> keep);
  static int64_t scale_place(const LayoutView& view, int64_t row, int64_t block) {
    return place_among_all(view.spec, row, block);
  }
};

}  // namespace scant
