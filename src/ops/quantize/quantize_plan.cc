#include "ops/quantize/quantize_plan.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "core/cpu.h"
#include "formats/block_codec.h"
#include "ops/quantize/table.h"

namespace scant {
namespace {

using Family = QuantizeGrid::Family;

QuantizeGrid integer_grid(const IntegerGrid& integers, float unit) {
  return {.family = Family::kUniform,
          .lowest = static_cast<float>(integers.lowest),
          .highest = static_cast<float>(integers.highest),
          .code_mask = (1 << integers.bits) - 1,
          .unit = unit};
}

// Without mantissa bits a tie goes to the even exponent, which the adder does not know.
QuantizeGrid float_grid(const MiniFloat& number) {
  return {.family = number.mantissa_bits() > 0 ? Family::kFloat : Family::kOther,
          .lowest = -number.largest(),
          .highest = number.largest(),
          .mantissa_bits = number.mantissa_bits(),
          .smallest_exponent = number.smallest_exponent(),
          .sign_bit = number.sign_bit(),
          .unit = 1.0f};
}

template <typename T>
QuantizeGrid grid_of(const T&) {
  return {.family = Family::kOther, .unit = 1.0f};
}
QuantizeGrid grid_of(const IntElement& element) { return integer_grid(element.integers(), 1.0f); }
QuantizeGrid grid_of(const HbfpElement& element) { return integer_grid(element.integers(), 1.0f); }
QuantizeGrid grid_of(const FloatElement& element) { return float_grid(element.number); }
QuantizeGrid grid_of(const Nvfp4Element& element) { return float_grid(element.number); }
QuantizeGrid grid_of(const MxElement& element) {
  return element.kind == MxElement::Kind::kInt8
             ? integer_grid(element.integers(), element.code_value(1))
             : float_grid(element.number());
}

// Exponents of a power-of-two scale: floor or ceil of log2 absmax, plus an offset.
struct PowerOfTwo {
  int32_t offset;
  bool ceiling;
};
template <typename T>
constexpr bool kPowerOfTwo = std::is_same_v<T, MxElement> || std::is_same_v<T, HbfpElement>;
PowerOfTwo power_of(const MxElement& element) { return {-element.largest_exponent(), false}; }
PowerOfTwo power_of(const HbfpElement& element) { return {1 - element.bits, true}; }

template <CodedElement T>
class ElementPlan final : public QuantizePlan {
 public:
  ElementPlan(const T& element, const NumberFormat& format)
      : QuantizePlan(format, element.rules(), grid_of(element)),
        codec_(element, format),
        largest_scale_(stored({.max = std::numeric_limits<float>::max()}, 1.0f)) {}

  float tensor_scale(float absmax) const override { return codec_.tensor_scale(absmax); }
  int candidates() const override { return codec_.candidates(); }
  BlockScale candidate(const BlockStatistics& statistics, float tensor_scale,
                       int index) const override {
    return codec_.stored_scale(statistics, tensor_scale, index);
  }

  void choose(const QuantizeRanges& ranges, int64_t blocks, float tensor_scale, float* scales,
              int32_t* zero_points) const override {
    if constexpr (kPowerOfTwo<T>) {
      choose_powers(ranges, blocks, scales);
    } else if (zero_points == nullptr) {
      choose_by_absmax(ranges, blocks, tensor_scale, scales);
    } else {
      for (int64_t b = 0; b < blocks; ++b) {
        const BlockScale chosen =
            codec_.stored_scale({.min = ranges.min[b], .max = ranges.max[b]}, tensor_scale, 0);
        scales[b] = chosen.scale;
        zero_points[b] = chosen.zero_point;
      }
    }
  }

 private:
  float stored(const BlockStatistics& statistics, float tensor_scale) const {
    return codec_.stored_scale(statistics, tensor_scale, 0).scale;
  }

  // round_up_scale() for normal numbers, without branches; the others again, one by one.
  void choose_by_absmax(const QuantizeRanges& ranges, int64_t blocks, float tensor_scale,
                        float* scales) const {
    const ScaleStorageNumbers numbers = scale_storage_numbers(format().scale_storage);
    const uint64_t dropped = (uint64_t{1} << (52 - numbers.mantissa_bits)) - 1;
    const double smallest = std::ldexp(1.0, numbers.smallest_exponent);
    const T element = codec_.element();
    const float largest_scale = largest_scale_;
    int64_t small = 0;
    for (int64_t b = 0; b < blocks; ++b) {
      const float absmax = std::bit_cast<float>(ranges.absmax_bits[b]);
      const double wanted = element.wanted_scale({.max = absmax}) / tensor_scale;
      const uint64_t rounded = (std::bit_cast<uint64_t>(wanted) + dropped) & ~dropped;
      scales[b] = std::min(static_cast<float>(std::bit_cast<double>(rounded)), largest_scale);
      small += wanted < smallest;
    }
    for (int64_t b = 0; small > 0 && b < blocks; ++b) {
      const float absmax = std::bit_cast<float>(ranges.absmax_bits[b]);
      if (element.wanted_scale({.max = absmax}) / tensor_scale >= smallest) continue;
      scales[b] = stored({.max = absmax}, tensor_scale);
      --small;
    }
  }

  // The same on the bits of absmax; a subnormal absmax ends at the smallest exponent either way.
  void choose_powers(const QuantizeRanges& ranges, int64_t blocks, float* scales) const {
    const PowerOfTwo power = power_of(codec_.element());
    const int32_t carry = power.ceiling ? 0x7fffff : 0;
    const float zero_scale = codec_.element().rules().zero_scale;
    for (int64_t b = 0; b < blocks; ++b) {
      const int32_t bits = ranges.absmax_bits[b];
      const int32_t field = ((bits + carry) >> 23) + power.offset;
      const int32_t scale_bits = field > 0 ? field << 23 : 1 << 22;  // 2^-127 is subnormal
      const float scale = std::min(std::bit_cast<float>(scale_bits), largest_scale_);
      scales[b] = bits == 0 ? zero_scale : scale;
    }
  }

  BlockCodec<T> codec_;
  float largest_scale_;
};

}  // namespace

QuantizePlan::QuantizePlan(const NumberFormat& format, const ElementRules& rules, QuantizeGrid grid)
    : format_(format), rules_(rules), grid_(grid) {
  grid_.format = &format_;
  kernels_ = &select_quantize_kernels(grid_, active_isa());
}

std::unique_ptr<const QuantizePlan> QuantizePlan::make(const NumberFormat& format) {
  if (format.stochastic) return nullptr;
  return std::visit(
      [&]<typename T>(const T& element) -> std::unique_ptr<const QuantizePlan> {
        if constexpr (ElementScaledByStatistics<T>) {
          if constexpr (!T::kNeedsMean) return std::make_unique<ElementPlan<T>>(element, format);
        }
        return nullptr;
      },
      format.element);
}

}  // namespace scant
