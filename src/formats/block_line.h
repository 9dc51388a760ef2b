#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "formats/elements/integer_grid.h"
#include "formats/segment.h"
#include "formats/super_block.h"

namespace scant {

/// What codes of a block stand for: scale * code + offset.
struct Line {
  float scale = 0.0f, offset = 0.0f;
};

/// Which lines there are.
struct LineRules {
  LineRules(const SuperBlock& shape, const IntegerGrid& levels)
      : lowest_code(static_cast<float>(levels.lowest)),
        highest_code(static_cast<float>(levels.highest)),
        has_offset(shape.has_offsets),
        any_offset(shape.offset_bits == 0),
        any_scale(shape.signed_scales) {}
  float lowest_code, highest_code;
  bool has_offset;
  bool any_offset;  ///< else none above 0
  bool any_scale;   ///< else none below 0
};

/// Weighted sums over the values of a block and their codes.
struct CodeSums {
  float weight = 0, code = 0, code_code = 0, x = 0, code_x = 0;
};

/// The values of one block that take part, and their weights. In float32, summed in eight lanes:
/// values must be near 1 in size.
class WeightedBlock {
 public:
  static constexpr size_t kWidest = 32;  ///< values

  /// Value i of `values` from `first` on is x * 2^-exponent; its weight is its importance over
  /// `most`. A block where every importance is 0 (and one without importances, most = 0) counts
  /// its values alike.
  void load(const Segment& values, int64_t first, int64_t count, int exponent, float most);

  /// Weighted squared error of the nearest codes.
  float error(const LineRules& rules, Line line) const;
  CodeSums sums(const LineRules& rules, Line line) const;
  /// The line of least squared error for the codes that this one gives; this one if there is none.
  Line fitted(const LineRules& rules, Line line) const;
  /// Of the lines through several ranges, each fitted to its codes, the best, fitted again.
  Line best_line(const LineRules& rules) const;

 private:
  std::array<float, kWidest> x_{}, weight_{};  // filled up with values of no weight
  size_t count_ = 0;                           // whole lanes
  float lowest_ = 0.0f, highest_ = 0.0f;
  bool empty_ = true;
};

}  // namespace scant
