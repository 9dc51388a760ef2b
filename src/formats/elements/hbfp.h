#pragma once

#include <cmath>

#include "formats/elements/element.h"
#include "formats/elements/integer_grid.h"

namespace scant {

/// hbfpK: block floating point with sign and K-1 mantissa bits (Drumond et al., "Training DNNs with
/// hybrid block floating point", NeurIPS 2018). The block's exponent is e = ceil(log2 absmax), its
/// scale the step 2^(e - (K-1)), clamped to 2^-127 at the lower end; integers are clipped to
/// +-(2^(K-1) - 1), that is values to +-(2^e - step).
struct HbfpElement : NoOptions, NoZeroPoint {
  int bits = 8;
  friend bool operator==(const HbfpElement&, const HbfpElement&) = default;

  static constexpr std::string_view kFamily = "hbfp";
  static constexpr std::string_view kSyntax = "hbfp8, hbfp6, hbfp4";
  static constexpr std::string_view kMeaning = "block floating point: an exponent per block of 64";
  static constexpr bool kNeedsMean = false;
  static std::vector<std::string> examples() { return {"hbfp8", "hbfp6", "hbfp4"}; }

  static std::optional<HbfpElement> parse(std::string_view name) {
    for (const int bits : {8, 6, 4}) {
      if (const HbfpElement element{{}, {}, bits}; element.name() == name) return element;
    }
    return std::nullopt;
  }
  std::string name() const { return "hbfp" + std::to_string(bits); }
  ElementRules rules() const {
    return {.scales = ElementRules::Scales::kBlocks,
            .granularity = {Granularity::Kind::kGroup, 64},
            .storage = ScaleStorage::kE8M0,
            .zero_scale = std::ldexp(1.0f, 1 - bits)};
  }
  ElementPremises premises() const { return {}; }
  int code_bits() const { return bits; }

  IntegerGrid integers() const {
    const int half = 1 << (bits - 1);
    return {1 - half, half - 1, bits};
  }
  uint8_t nearest(float y, int32_t) const { return integers().code(integers().nearest(y)); }
  uint8_t stochastic(float y, int32_t, float u) const {
    return integers().code(integers().stochastic(y, u));
  }
  float code_value(uint8_t code) const { return static_cast<float>(integers().value(code)); }
  float smallest() const { return static_cast<float>(integers().lowest); }
  float largest() const { return static_cast<float>(integers().highest); }
  std::vector<uint8_t> codes() const { return integers().codes(); }
  double wanted_scale(const BlockStatistics& statistics) const {
    const float absmax = statistics.absmax();
    if (absmax == 0.0f) return 0.0;
    int exponent = 0;
    if (std::frexp(absmax, &exponent) == 0.5f) --exponent;  // a power of two is its own ceiling
    return std::ldexp(1.0, exponent - (bits - 1));
  }
};

}  // namespace scant
