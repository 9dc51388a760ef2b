#pragma once

#include "formats/layouts/layout.h"

namespace scant {

/// The rows or columns that are kept as a smaller dense matrix, and one bit per row or column.
///
///   positions  bit i (low bit first) is 1 if row (column) i is kept, filled up to a byte
///   codes      a run per kept row: the codes of its (kept) columns
///   scales     of the kept rows only, where every row has its own; where columns are pruned one
///              per block of the format, whose groups count the columns of the whole matrix.
///              Zero points in the same order, constants after them
struct StructuredLayout {
  static constexpr std::string_view kName = "structured";
  static constexpr std::string_view kMeaning = "the kept rows or columns, and one bit for each";

  static std::optional<std::string> refusal(const NumberFormat&, const SparsityPattern* pattern) {
    if (pattern != nullptr && std::holds_alternative<StructuredPattern>(pattern->pattern)) {
      return std::nullopt;
    }
    return "it is for whole rows or columns";
  }
  static LayoutExtent extent(const StoredMatrix& matrix);
  static void write(const PackedSpec& spec, const CodeRows& rows, PackedBytes& out);
  static PackedIndex index(const LayoutView& view);
  static void read_row(const LayoutView& view, int64_t row, std::span<uint32_t> codes,
                       std::span<uint8_t> keep);
  static int64_t scale_place(const LayoutView& view, int64_t row, int64_t block);
};

}  // namespace scant
