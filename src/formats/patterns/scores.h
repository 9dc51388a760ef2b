#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "core/context.h"
#include "core/tensor.h"
#include "formats/mask.h"

namespace scant {

/// A tile of a matrix, smaller at the right and lower edge.
struct GroupShape {
  int64_t rows = 0;
  int64_t cols = 0;
};

/// What a pattern ranks: one number per weight.
struct Scores {
  enum class Kind : uint8_t {
    kMagnitude,   ///< ranked by |value|; a unit (block, row, column) by its sum of squares
    kAdditive,    ///< ranked as they are, negative ones too; a unit by its sum
    kSignedRoot,  ///< ranked as they are; a unit by its sum of |value| value
  };
  ConstMatrixView values;
  Kind kind = Kind::kMagnitude;

  /// Integers in the order of the scores, equal for -0 and 0. The order of NaN is unspecified but
  /// fixed.
  uint32_t key(float value) const {
    const uint32_t bits =
        std::bit_cast<uint32_t>(value) & (kind == Kind::kMagnitude ? 0x7fffffffu : 0xffffffffu);
    constexpr uint32_t kSign = 0x80000000u;
    if (bits == kSign) return kSign;
    return (bits & kSign) != 0 ? ~bits : bits | kSign;
  }
  /// What a value adds to its unit's score.
  double term(float value) const {
    const double wide = value;
    if (kind == Kind::kAdditive) return wide;
    return kind == Kind::kMagnitude || wide > 0 ? wide * wide : -wide * wide;
  }
};

/// The keys of a piece of a row, for `count` values.
void score_keys(const Scores& scores, const float* values, int64_t count, uint32_t* keys);

/// Which keys go when `pruned` of a set go: all below `key`, and the first `ties` equal to it.
struct PruneThreshold {
  uint32_t key = 0;
  int64_t ties = 0;
};

/// The threshold for the `pruned` smallest of `keys`, 0 < pruned <= keys.size(). Reorders `keys`.
PruneThreshold prune_threshold(std::span<uint32_t> keys, int64_t pruned);

/// keep[i] = 1 for what `threshold` leaves of a run of values; uses up its ties.
void keep_above(const Scores& scores, std::span<const float> values, PruneThreshold& threshold,
                uint8_t* keep);

/// One byte per unit, 0 for the `pruned` smallest sums; on equal sums the lower index goes first.
std::vector<uint8_t> keep_largest_units(std::span<const double> sums, int64_t pruned);

/// Rows in fixed pieces of about 64k values, whatever the number of threads.
struct RowPieces {
  int64_t rows = 0;
  int64_t rows_per_piece = 1;

  RowPieces(int64_t rows_in, int64_t cols);
  int64_t count() const { return (rows + rows_per_piece - 1) / rows_per_piece; }
  int64_t begin(int64_t piece) const { return piece * rows_per_piece; }
  int64_t end(int64_t piece) const { return std::min(rows, (piece + 1) * rows_per_piece); }
};

}  // namespace scant
