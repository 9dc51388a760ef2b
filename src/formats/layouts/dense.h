#pragma once

#include "formats/layouts/layout.h"

namespace scant {

/// Every weight's code, kept or not; a pruned weight is the code of zero.
///
///   codes   a run per row: c(r,0) c(r,1) ... c(r,cols-1)
///   scales  one per block of the format, row by row; zero points and constants after them
struct DenseLayout {
  static constexpr std::string_view kName = "dense";
  static constexpr std::string_view kMeaning = "the code of every weight, zero where pruned";

  static std::optional<std::string> refusal(const NumberFormat& format,
                                            const SparsityPattern* pattern) {
    if (pattern == nullptr || format.rules().has_zero) return std::nullopt;
    return "it has no code for zero, so a layout that stores no mask cannot prune";
  }
  static LayoutExtent extent(const StoredMatrix& matrix) {
    return {.kept = matrix.rows * matrix.cols,
            .code_bytes = matrix.rows * bytes_of(matrix.cols * matrix.format.code_bits()),
            .scales = all_scales(matrix)};
  }
  static void write(const PackedSpec& spec, const CodeRows& rows, PackedBytes& out);
  static PackedIndex index(const LayoutView&) { return {}; }
  static void read_row(const LayoutView& view, int64_t row, std::span<uint32_t> codes,
                       std::span<uint8_t> keep);
  static int64_t scale_place(const LayoutView& view, int64_t row, int64_t block) {
    return place_among_all(view.spec, row, block);
  }
};

}  // namespace scant
