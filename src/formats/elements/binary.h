#pragma once

#include "formats/elements/element.h"

namespace scant {

/// -1, 1 with the mean magnitude as scale (Rastegari et al., "XNOR-Net", ECCV 2016, equation 6).
/// One bit, set for -1. There is no code for zero: a zero becomes +1, and a pruned value is zero
/// only because a mask says so.
struct BinaryElement : NoOptions, NoZeroPoint {
  friend bool operator==(const BinaryElement&, const BinaryElement&) = default;

  static constexpr std::string_view kFamily = "binary";
  static constexpr std::string_view kSyntax = "binary";
  static constexpr std::string_view kMeaning = "-1, 1 with the mean magnitude as scale";
  static constexpr bool kNeedsMean = true;
  static std::vector<std::string> examples() { return {"binary"}; }

  static std::optional<BinaryElement> parse(std::string_view name) {
    return name == "binary" ? std::optional<BinaryElement>(BinaryElement{}) : std::nullopt;
  }
  std::string name() const { return "binary"; }
  ElementRules rules() const { return {.has_zero = false, .zero_scale = 0.0f}; }
  ElementPremises premises() const { return {.scale_from_absmax = false, .zero_to_zero = false}; }
  int code_bits() const { return 1; }

  uint8_t nearest(float y, int32_t) const { return y < 0.0f ? 1 : 0; }
  uint8_t stochastic(float y, int32_t, float u) const { return u < (y + 1.0f) / 2.0f ? 0 : 1; }
  float code_value(uint8_t code) const { return (code & 1u) != 0 ? -1.0f : 1.0f; }
  float smallest() const { return -1.0f; }
  float largest() const { return 1.0f; }
  std::vector<uint8_t> codes() const { return {1, 0}; }
  double wanted_scale(const BlockStatistics& statistics) const {
    return statistics.count == 0 ? 0.0 : statistics.sum / static_cast<double>(statistics.count);
  }
};

}  // namespace scant
