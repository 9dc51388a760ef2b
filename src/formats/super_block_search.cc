#include "formats/super_block_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/dtype.h"
#include "formats/block_line.h"

namespace scant {
namespace {

constexpr int kRefits = 3;
constexpr int kRounds = 4;  // of steps of a block's integers

Line line_of(SuperScale super, int scale, int offset) {
  return {super.scale * static_cast<float>(scale), super.offset * static_cast<float>(offset)};
}

/// Integers and what they share, in units of the super-block, and the errors of the blocks.
struct Choice {
  SuperScale super;
  std::array<int, SuperBlock::kMostBlocks> scales{}, offsets{};
  std::array<float, SuperBlock::kMostBlocks> errors{};

  Line line(size_t b) const { return line_of(super, scales[b], offsets[b]); }
  double error() const {
    double sum = 0;
    for (const float one : errors) sum += one;
    return sum;
  }
};

class Search {
 public:
  Search(const SuperBlock& shape, const IntegerGrid& levels, const Segment& values)
      : shape_(shape),
        rules_(shape, levels),
        count_(static_cast<size_t>((values.count + shape.block - 1) / shape.block)) {
    float absmax = 0, most = 0;
    for (int64_t i = 0; i < values.count; ++i) {
      if (!values.kept(i)) continue;
      absmax = std::max(absmax, std::fabs(values.values[i]));
      if (values.importance != nullptr) most = std::max(most, values.importance[i]);
    }
    is_zero_ = absmax == 0.0f;
    if (is_zero_) return;
    exponent_ = std::ilogb(absmax);
    for (size_t b = 0; b < count_; ++b) {
      const int64_t first = static_cast<int64_t>(b) * shape.block;
      blocks_[b].load(values, first, std::min(values.count - first, shape.block), exponent_, most);
      lines_[b] = blocks_[b].best_line(rules_);
    }
  }

  SuperBlockScales run() const {
    SuperBlockScales result;
    result.scales.fill(std::max(0, shape_.lowest_scale()));
    result.offsets.fill(shape_.lowest_offset());
    if (is_zero_) return result;
    Choice best = best_start();
    for (int i = 0; i < kRefits; ++i) {
      Choice next = best;
      next.super = fitted_super(best);
      improve_integers(next);
      if (!(next.error() < best.error())) break;
      best = next;
    }
    result.super = {stored(best.super.scale), stored(best.super.offset)};
    std::copy_n(best.scales.begin(), count_, result.scales.begin());
    std::copy_n(best.offsets.begin(), count_, result.offsets.begin());
    return result;
  }

 private:
  /// The nearest number that float16 holds.
  float stored(float in_units) const {
    constexpr double kLargest = 65504;
    const double value = std::ldexp(static_cast<double>(in_units), exponent_);
    return f16_to_f32(f32_to_f16(static_cast<float>(std::clamp(value, -kLargest, kLargest))));
  }
  float storable(float in_units) const {
    return static_cast<float>(std::ldexp(static_cast<double>(stored(in_units)), -exponent_));
  }

  /// The largest scale and the lowest offset become the last of their integers, or half of one
  /// more or less.
  Choice best_start() const {
    const auto by_size = [](float a, float b) { return std::fabs(a) < std::fabs(b); };
    Line largest;
    for (size_t b = 0; b < count_; ++b) {
      largest.scale = std::max(largest.scale, lines_[b].scale, by_size);
      largest.offset = std::max(largest.offset, lines_[b].offset, by_size);
    }
    Choice best;
    double least = std::numeric_limits<double>::infinity();
    const auto consider = [&](float last_scale, float last_offset) {
      Choice next;
      next.super.scale = storable(largest.scale / last_scale);
      if (shape_.has_offsets) next.super.offset = storable(largest.offset / last_offset);
      round_integers(next);
      improve_integers(next);
      if (!(next.error() < least)) return;
      least = next.error();
      best = next;
    };
    const auto last_scale = static_cast<float>(shape_.highest_scale());
    const auto last_offset = static_cast<float>(shape_.highest_offset());
    consider(last_scale, last_offset);
    for (const float more : {-0.5f, 0.5f}) {
      if (shape_.scale_bits > 0) consider(last_scale + more, last_offset + more);
    }
    for (const float more : {-0.5f, 0.0f, 0.5f}) {
      if (shape_.signed_scales) consider(static_cast<float>(shape_.lowest_scale()) - more, 1);
    }
    return best;
  }

  static int nearest_integer(float wanted, float unit, int lowest, int highest) {
    const float units = unit == 0 ? 0.0f : wanted / unit;
    return static_cast<int>(
        std::nearbyint(std::clamp(units, static_cast<float>(lowest), static_cast<float>(highest))));
  }

  void round_integers(Choice& choice) const {
    for (size_t b = 0; b < count_; ++b) {
      choice.scales[b] = nearest_integer(lines_[b].scale, choice.super.scale, shape_.lowest_scale(),
                                         shape_.highest_scale());
      choice.offsets[b] = nearest_integer(lines_[b].offset, choice.super.offset,
                                          shape_.lowest_offset(), shape_.highest_offset());
    }
  }

  /// Steps to neighbours as long as the error falls. A larger scale goes with a lower offset.
  void improve_integers(Choice& choice) const {
    constexpr std::array<std::pair<int, int>, 6> kSteps = {
        {{1, 0}, {-1, 0}, {0, 1}, {0, -1}, {1, 1}, {-1, -1}}};
    for (size_t b = 0; b < count_; ++b) {
      choice.errors[b] = blocks_[b].error(rules_, choice.line(b));
      for (int round = 0; round < kRounds; ++round) {
        const int scale = choice.scales[b], offset = choice.offsets[b];
        const float before = choice.errors[b];
        for (const auto& [larger, lower] : kSteps) {
          try_integers(choice, b, scale + larger, offset + lower);
        }
        if (!(choice.errors[b] < before)) break;
      }
    }
  }

  void try_integers(Choice& choice, size_t b, int scale, int offset) const {
    if (scale < shape_.lowest_scale() || scale > shape_.highest_scale() ||
        offset < shape_.lowest_offset() || offset > shape_.highest_offset()) {
      return;
    }
    const float squared = blocks_[b].error(rules_, line_of(choice.super, scale, offset));
    if (!(squared < choice.errors[b])) return;
    choice.errors[b] = squared;
    choice.scales[b] = scale;
    choice.offsets[b] = offset;
  }

  /// What is shared, of least squared error for all codes and integers of the choice.
  SuperScale fitted_super(const Choice& choice) const {
    double aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;
    for (size_t b = 0; b < count_; ++b) {
      const CodeSums sums = blocks_[b].sums(rules_, choice.line(b));
      const double scale = choice.scales[b], offset = choice.offsets[b];
      aa += scale * scale * sums.code_code;
      ab += scale * offset * sums.code;
      bb += offset * offset * sums.weight;
      ax += scale * sums.code_x;
      bx += offset * sums.x;
    }
    const double spread = aa * bb - ab * ab;
    SuperScale fit = choice.super;
    if (spread > 1e-9 * aa * bb) {
      fit = {static_cast<float>((bb * ax - ab * bx) / spread),
             static_cast<float>((aa * bx - ab * ax) / spread)};
    } else if (bb == 0 && aa > 0) {
      fit.scale = static_cast<float>(ax / aa);
    }
    if (shape_.offset_bits > 0) fit.offset = std::min(fit.offset, 0.0f);
    return {storable(fit.scale), storable(fit.offset)};
  }

  const SuperBlock& shape_;
  LineRules rules_;
  size_t count_;  // blocks
  bool is_zero_ = true;
  int exponent_ = 0;  // of the unit: the largest value is at least 1 and below 2
  std::array<WeightedBlock, SuperBlock::kMostBlocks> blocks_;
  std::array<Line, SuperBlock::kMostBlocks> lines_;
};

}  // namespace

SuperBlockScales search_super_block(const SuperBlock& shape, const IntegerGrid& levels,
                                    const Segment& values) {
  return Search(shape, levels, values).run();
}

}  // namespace scant
