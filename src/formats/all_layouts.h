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

/// A way to store a matrix. The header of each draws it; size() is what its bytes must obey.
template <typename L>
concept PackedLayout = requires(const NumberFormat& format, const SparsityPattern* pattern,
                                const StoredMatrix& matrix) {
  { L::kName } -> std::convertible_to<std::string_view>;
  { L::kMeaning } -> std::convertible_to<std::string_view>;
  /// Why it cannot hold this combination (pattern null: dense), as one clause; nothing if it can.
  { L::refusal(format, pattern) } -> std::same_as<std::optional<std::string>>;
  /// Bytes, for what it can hold; the name and the number of weights are filled in by the list.
  { L::size(matrix) } -> std::same_as<StoredSize>;
};

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
      StoredSize size = Layout::size(matrix);
      size.layout = Layout::kName;
      size.weights = matrix.rows * matrix.cols;
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
