#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "core/random.h"
#include "formats/all_elements.h"
#include "formats/number_format.h"
#include "formats/segment.h"

namespace scant {

/// Sums over a segment run in eight lanes (value i in lane i mod 8), so that vector code can give
/// the same bits; the lanes are added as two halves, then two quarters.
class LaneSum {
 public:
  void add(int64_t i, double term) { lanes_[static_cast<size_t>(i & 7)] += term; }
  double* lanes() { return lanes_.data(); }
  double total() const {
    std::array<double, 4> half;
    for (size_t i = 0; i < 4; ++i) half[i] = lanes_[i] + lanes_[i + 4];
    return (half[0] + half[2]) + (half[1] + half[3]);
  }

 private:
  std::array<double, 8> lanes_{};
};

/// What the scale of `segment` depends on.
template <bool kNeedsMean>
BlockStatistics segment_statistics(const Segment& segment) {
  BlockStatistics statistics;
  LaneSum sum;
  for (int64_t i = 0; i < segment.count; ++i) {
    if (!segment.kept(i)) continue;
    const float x = segment.values[i];
    if (x < statistics.min) statistics.min = x;
    if (x > statistics.max) statistics.max = x;
    if constexpr (kNeedsMean) {
      sum.add(i, std::fabs(static_cast<double>(x)));
      ++statistics.count;
    }
  }
  statistics.sum = sum.total();
  return statistics;
}

/// Statistics of a block of several segments: add them in the order of the rows.
inline void merge(BlockStatistics& into, const BlockStatistics& from) {
  if (from.min < into.min) into.min = from.min;
  if (from.max > into.max) into.max = from.max;
  into.sum += from.sum;
  into.count += from.count;
}

/// Where stochastic rounding takes its numbers from: value i of a segment uses number first + i.
struct Dither {
  CounterRandom random;
  uint64_t first;
};

/// The definition of a number format on one block: which scale, which codes, which values.
template <CodedElement T>
class BlockCodec {
 public:
  BlockCodec(const T& element, const NumberFormat& format)
      : element_(element), rules_(element.rules()), storage_(format.scale_storage) {
    for (size_t code = 0; code < table_.size(); ++code) {
      table_[code] = element.code_value(static_cast<uint8_t>(code));
    }
    const float reach = std::max(element.largest(), -element.smallest());
    largest_scale_ = round_down_scale(kLargestFloat / static_cast<double>(reach), storage_);
  }

  const T& element() const { return element_; }

  BlockStatistics statistics(const Segment& segment) const {
    return segment_statistics<T::kNeedsMean>(segment);
  }

  /// The second-level scale: the largest block scale becomes the largest E4M3 number.
  float tensor_scale(float absmax) const {
    if (absmax == 0.0f) return 1.0f;
    const double steps = 448.0 * element_.largest();
    return std::min(round_up_scale(absmax / steps, ScaleStorage::kF32),
                    round_down_scale(kLargestFloat / steps, ScaleStorage::kF32));
  }

  /// Scales that `:mse` compares: 1 - i / 100, i = 0 .. 79; exponents 0, -1, +1 for powers of two.
  /// The plain scale is the first.
  int candidates() const { return storage_ == ScaleStorage::kE8M0 ? 3 : 80; }
  double candidate_factor(int i) const {
    constexpr std::array<double, 3> kPowers = {1.0, 0.5, 2.0};
    if (storage_ == ScaleStorage::kE8M0) return kPowers[static_cast<size_t>(i)];
    return (100 - i) / 100.0;
  }

  /// The stored scale and the zero point of a block, for one candidate.
  BlockScale stored_scale(const BlockStatistics& statistics, float tensor_scale,
                          int candidate) const {
    const double wanted = element_.wanted_scale(statistics);
    if (wanted == 0.0) return {rules_.zero_scale, 0};
    const double factor = candidate_factor(candidate);
    const float rounded = round_up_scale(wanted * factor / tensor_scale, storage_);
    const float scale = std::min(rounded, largest_scale_);
    const auto min = static_cast<float>(statistics.min * factor);
    return {scale, element_.zero_point(min, scale)};
  }

  float value(uint8_t code, BlockScale effective) const {
    const float units = table_[code] - static_cast<float>(effective.zero_point);
    return units * effective.scale + effective.offset;
  }

  /// Sum of (value of the nearest code - x)^2 over the kept values, weighted by their importance,
  /// differences in float32, the rest in double.
  double squared_error(const Segment& segment, BlockScale effective) const {
    LaneSum sum;
    for (int64_t i = 0; i < segment.count; ++i) {
      if (!segment.kept(i)) continue;
      const float x = segment.values[i];
      const double difference = value(encode(element_, x, effective), effective) - x;
      const double squared = difference * difference;
      sum.add(i, segment.importance != nullptr ? squared * segment.importance[i] : squared);
    }
    return sum.total();
  }

  /// put(i, code) for every value of the segment, rounded to nearest or, with `dither`,
  /// stochastically; pruned values get the code of zero, or the nearest to it.
  template <typename Put>
  void encode_segment(const Segment& segment, BlockScale effective, const Dither* dither,
                      Put&& put) const {
    const uint8_t zero = encode(element_, 0.0f, effective);
    for (int64_t i = 0; i < segment.count; ++i) {
      if (!segment.kept(i)) {
        put(i, zero);
      } else if (dither == nullptr) {
        put(i, encode(element_, segment.values[i], effective));
      } else {
        const float u = dither->random.uniform(dither->first + static_cast<uint64_t>(i));
        put(i, encode_stochastic(element_, segment.values[i], effective, u));
      }
    }
  }

 private:
  static constexpr double kLargestFloat = 0x1.fffffep127;

  T element_;
  ElementRules rules_;
  ScaleStorage storage_;
  float largest_scale_;  // every value of a code stays finite
  std::array<float, 256> table_{};
};

/// What codes are multiplied by: the stored scale times the tensor scale, in float32.
inline BlockScale effective_scale(BlockScale stored, float tensor_scale) {
  return {stored.scale * tensor_scale, stored.zero_point, stored.offset};
}

}  // namespace scant
