#pragma once

#include "formats/layouts/layout.h"

namespace scant {

/// Kept R x C blocks one after the other, row of blocks by row of blocks, with one bit per block.
///
///   positions  bit b (low bit first) is 1 if block b is kept, filled up to a byte at the end
///   codes      a run per kept block: its R * C codes, row by row; blocks at the right and lower
///              edge are stored whole, the code of zero outside the matrix
///   scales     if scale groups lie inside blocks (:gN with N dividing C): per kept block its
///              R * C / N scales; otherwise one per block of the format, row by row.
///              Zero points in the same order, constants after them
struct BlockBitmaskLayout {
  static constexpr std::string_view kName = "block_bitmask";
  static constexpr std::string_view kMeaning = "kept blocks, and one bit per block";

  static std::optional<std::string> refusal(const NumberFormat& format,
                                            const SparsityPattern* pattern);
  static LayoutExtent extent(const StoredMatrix& matrix);
  static void write(const PackedSpec& spec, const CodeRows& rows, PackedBytes& out);
  static PackedIndex index(const LayoutView& view);
  static void read_row(const LayoutView& view, int64_t row, std::span<uint32_t> codes,
                       std::span<uint8_t> keep);
  static int64_t scale_place(const LayoutView& view, int64_t row, int64_t block);
};

/// The same blocks listed by row (block compressed sparse rows): smaller where few blocks are kept.
///
///   positions  uint32 start[rows of blocks + 1], the index of each row's first kept block; then
///              per kept block its block column, uint16 (uint32 from 65537 block columns on)
///   codes, scales  as in block_bitmask
struct BlockRowsLayout {
  static constexpr std::string_view kName = "block_rows";
  static constexpr std::string_view kMeaning = "kept blocks, and a list of them per row of blocks";

  static std::optional<std::string> refusal(const NumberFormat& format,
                                            const SparsityPattern* pattern);
  static LayoutExtent extent(const StoredMatrix& matrix);
  static void write(const PackedSpec& spec, const CodeRows& rows, PackedBytes& out);
  static PackedIndex index(const LayoutView& view);
  static void read_row(const LayoutView& view, int64_t row, std::span<uint32_t> codes,
                       std::span<uint8_t> keep);
  static int64_t scale_place(const LayoutView& view, int64_t row, int64_t block);
};

}  // namespace scant
