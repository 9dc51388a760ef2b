#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "formats/layouts/bitmask.h"
#include "formats/layouts/block_sparse.h"
#include "formats/layouts/dense.h"
#include "formats/layouts/n_of_m.h"
#include "formats/layouts/structured.h"

namespace scant {

/// A way to store a matrix. The header of each draws it.
template <typename L>
concept PackedLayout = requires(const NumberFormat& format, const SparsityPattern* pattern,
                                const StoredMatrix& matrix, const PackedSpec& spec,
                                const CodeRows& rows, const LayoutView& view, PackedBytes& bytes,
                                int64_t i, std::span<uint32_t> codes, std::span<uint8_t> keep) {
  { L::kName } -> std::convertible_to<std::string_view>;
  { L::kMeaning } -> std::convertible_to<std::string_view>;
  /// Why it cannot hold this combination (pattern null: dense), as one clause; nothing if it can.
  { L::refusal(format, pattern) } -> std::same_as<std::optional<std::string>>;
  /// What it takes of a matrix that it can hold.
  { L::extent(matrix) } -> std::same_as<LayoutExtent>;
  /// Appends positions and codes. Throws Error if the mask keeps more than the pattern allows.
  { L::write(spec, rows, bytes) } -> std::same_as<void>;
  /// Checks the positions (sizes are right already) and derives what reading needs. Throws Error.
  { L::index(view) } -> std::same_as<PackedIndex>;
  /// As PackedMatrix::read_row().
  { L::read_row(view, i, codes, keep) } -> std::same_as<void>;
  /// Where the scale of a row's block stands among the stored ones; -1: it has none.
  { L::scale_place(view, i, i) } -> std::same_as<int64_t>;
};

/// Bytes in one layout: what it takes, and scales, zero points and constants. Scales (or records of
/// super-blocks) take whole bytes, each; zero points stand one after the other and fill up their
/// last byte; a constant is a float32.
template <PackedLayout Layout>
StoredSize layout_size(const StoredMatrix& matrix) {
  const LayoutExtent extent = Layout::extent(matrix);
  const NumberFormat& format = matrix.format;
  StoredSize size;
  size.layout = Layout::kName;
  size.weights = matrix.rows * matrix.cols;
  size.codes = bytes_of(extent.kept * format.code_bits());
  size.positions = bytes_of(extent.position_bits);
  size.padding = extent.code_bytes - size.codes + extent.position_bytes - size.positions;
  size.scales = extent.scales * bytes_of(format.scale_bits());
  size.zero_points = bytes_of(extent.scales * format.zero_point_bits());
  size.constants = format.tensor_scale_count(matrix.rows) * static_cast<int64_t>(sizeof(float));
  return size;
}

template <PackedLayout... Layouts>
struct LayoutList {
  /// Calls visit.template operator()<Layout>() for each, in order.
  template <typename Visit>
  static void for_each(Visit&& visit) {
    (visit.template operator()<Layouts>(), ...);
  }

  /// The smallest that can hold the matrix, the first of equals; nothing if none can.
  static std::optional<StoredSize> smallest(const StoredMatrix& matrix) {
    std::optional<StoredSize> best;
    for_each([&]<typename Layout>() {
      if (Layout::refusal(matrix.format, matrix.pattern)) return;
      StoredSize size = layout_size<Layout>(matrix);
      if (!best || size.total() < best->total()) best = std::move(size);
    });
    return best;
  }

  /// The sentence that refuses, or nothing if some layout can hold the combination.
  static std::optional<std::string> refusal(const NumberFormat& format,
                                            const SparsityPattern* pattern) {
    std::string reasons;
    bool is_held = false;
    for_each([&]<typename Layout>() {
      const auto reason = Layout::refusal(format, pattern);
      is_held = is_held || !reason;
      if (reason) reasons += "; " + std::string(Layout::kName) + ": " + *reason;
    });
    if (is_held) return std::nullopt;
    return "no layout can store " + format.spelling() +
           (pattern == nullptr ? "" : " with " + pattern->spelling()) + reasons;
  }
};

/// Every layout: one line each. Of equally small ones the first is taken.
using AllLayouts = LayoutList<DenseLayout,          //
                              NOfMLayout,           //
                              NOfMPositionsLayout,  //
                              StructuredLayout,     //
                              BlockBitmaskLayout,   //
                              BlockRowsLayout,      //
                              BitmaskLayout>;

}  // namespace scant
