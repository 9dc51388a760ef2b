#pragma once

#include "formats/elements/element.h"
#include "formats/elements/integer_grid.h"

namespace scant {

/// -1, 0, 1 with the mean magnitude as scale ("absmean", BitNet b1.58, Ma et al., arXiv 2402.17764,
/// equations 1 to 3, without its epsilon). Two bits, two's complement.
struct TernaryElement : NoOptions, NoZeroPoint {
  friend bool operator==(const TernaryElement&, const TernaryElement&) = default;

  static constexpr std::string_view kFamily = "ternary";
  static constexpr std::string_view kSyntax = "ternary";
  static constexpr std::string_view kMeaning = "-1, 0, 1 with the mean magnitude as scale";
  static constexpr bool kNeedsMean = true;
  static std::vector<std::string> examples() { return {"ternary"}; }

  static std::optional<TernaryElement> parse(std::string_view name) {
    return name == "ternary" ? std::optional<TernaryElement>(TernaryElement{}) : std::nullopt;
  }
  std::string name() const { return "ternary"; }
  ElementRules rules() const { return {}; }
  ElementPremises premises() const { return {.scale_from_absmax = false}; }
  int code_bits() const { return 2; }

  uint8_t nearest(float y, int32_t) const { return kGrid.code(kGrid.nearest(y)); }
  uint8_t stochastic(float y, int32_t, float u) const { return kGrid.code(kGrid.stochastic(y, u)); }
  float code_value(uint8_t code) const { return static_cast<float>(kGrid.value(code)); }
  float smallest() const { return -1.0f; }
  float largest() const { return 1.0f; }
  std::vector<uint8_t> codes() const { return kGrid.codes(); }
  double wanted_scale(const BlockStatistics& statistics) const {
    return statistics.count == 0 ? 0.0 : statistics.sum / static_cast<double>(statistics.count);
  }

 private:
  static constexpr IntegerGrid kGrid{-1, 1, 2};
};

}  // namespace scant
