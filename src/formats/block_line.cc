#include "formats/block_line.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace scant {
namespace {

constexpr size_t kLanes = 8;
constexpr int kRefits = 3;
constexpr float kUnseen = 1e-6f;  // weight of values in a block where nothing has importance

float total(const std::array<float, kLanes>& lanes) {
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

float inverse_of(Line line) { return line.scale == 0 ? 0.0f : 1.0f / line.scale; }

float nearest_code(const LineRules& rules, float x, Line line, float inverse) {
  constexpr float kMagic = 0x1.8p23f;  // the adder rounds to nearest even
  const float units = (x - line.offset) * inverse;
  const float above = units < rules.lowest_code ? rules.lowest_code : units;
  const float inside = above > rules.highest_code ? rules.highest_code : above;
  return (inside + kMagic) - kMagic;
}

/// Calls use(line) for lines that go through about the whole range of values: tenths of a code more
/// and fewer than codes reach.
template <typename Use>
void for_ranges(const LineRules& rules, float lowest, float highest, const Use& use) {
  if (rules.has_offset) {
    const float from = rules.any_offset ? lowest : std::min(lowest, 0.0f);
    const float range = std::max(highest, from) - from;
    use(Line{0.0f, from});
    for (int tenths = -10; tenths <= 15 && range > 0; ++tenths) {
      const float steps =
          rules.highest_code - rules.lowest_code + 0.1f * static_cast<float>(tenths);
      use(Line{range / steps, from});
    }
    return;
  }
  const float extreme = -lowest > highest ? lowest : highest;
  use(Line{});
  for (int tenths = -9; tenths <= 9 && extreme != 0; ++tenths) {
    const float more = 0.1f * static_cast<float>(tenths);
    use(Line{extreme / (rules.lowest_code - more)});
    use(Line{extreme / (rules.highest_code + more)});
  }
}

}  // namespace

void WeightedBlock::load(const Segment& values, int64_t first, int64_t count, int exponent,
                         float most) {
  count_ = (static_cast<size_t>(count) + kLanes - 1) / kLanes * kLanes;
  bool seen = false;
  for (int64_t i = first; i < first + count && most > 0; ++i) {
    seen = seen || (values.kept(i) && values.importance[i] > 0);
  }
  for (int64_t i = 0; i < count; ++i) {
    if (!values.kept(first + i)) continue;
    const float weight = seen ? values.importance[first + i] / most : most > 0 ? kUnseen : 1.0f;
    if (weight == 0) continue;
    const auto at = static_cast<size_t>(i);
    const auto x = static_cast<float>(std::ldexp(values.values[first + i], -exponent));
    x_[at] = x;
    weight_[at] = weight;
    lowest_ = empty_ ? x : std::min(lowest_, x);
    highest_ = empty_ ? x : std::max(highest_, x);
    empty_ = false;
  }
}

float WeightedBlock::error(const LineRules& rules, Line line) const {
  const float inverse = inverse_of(line);
  std::array<float, kLanes> lanes{};
  for (size_t i = 0; i < count_; i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) {
      const float x = x_[i + l];
      const float off = nearest_code(rules, x, line, inverse) * line.scale + line.offset - x;
      lanes[l] += weight_[i + l] * (off * off);
    }
  }
  return total(lanes);
}

CodeSums WeightedBlock::sums(const LineRules& rules, Line line) const {
  const float inverse = inverse_of(line);
  std::array<float, kLanes> weight{}, code{}, code_code{}, x{}, code_x{};
  for (size_t i = 0; i < count_; i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) {
      const float w = weight_[i + l];
      const float q = nearest_code(rules, x_[i + l], line, inverse);
      weight[l] += w;
      code[l] += w * q;
      code_code[l] += w * q * q;
      x[l] += w * x_[i + l];
      code_x[l] += w * q * x_[i + l];
    }
  }
  return {total(weight), total(code), total(code_code), total(x), total(code_x)};
}

Line WeightedBlock::fitted(const LineRules& rules, Line line) const {
  const CodeSums all = sums(rules, line);
  const Line through_zero = {all.code_code > 0 ? all.code_x / all.code_code : 0.0f};
  if (!rules.has_offset) return through_zero;
  const float spread = all.weight * all.code_code - all.code * all.code;
  if (!(spread > 0)) return line;
  const float scale = (all.weight * all.code_x - all.code * all.x) / spread;
  const float offset = (all.x - scale * all.code) / all.weight;
  return offset > 0 && !rules.any_offset ? through_zero : Line{scale, offset};
}

Line WeightedBlock::best_line(const LineRules& rules) const {
  Line best;
  if (empty_) return best;
  float least = std::numeric_limits<float>::infinity();
  const auto is_better = [&](Line line) {
    if (!(line.scale >= 0) && !rules.any_scale) return false;
    const float squared = error(rules, line);
    if (!(squared < least)) return false;
    least = squared;
    best = line;
    return true;
  };
  for_ranges(rules, lowest_, highest_,
             [&](Line line) { is_better(line.scale == 0 ? line : fitted(rules, line)); });
  for (int i = 0; i < kRefits; ++i) {
    if (!is_better(fitted(rules, best))) break;
  }
  return best;
}

}  // namespace scant
