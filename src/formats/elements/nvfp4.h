#pragma once

#include "formats/elements/element.h"
#include "formats/elements/mini_float.h"

namespace scant {

/// NVFP4: E2M1 elements in groups of 16, each with an E4M3 scale, and one more float32 scale per
/// tensor (per token for activations), absmax(tensor) / (448 * 6): the group scale is
/// absmax / 6 / tensor scale. Source: NVIDIA, "Introducing NVFP4 for efficient and accurate
/// low-precision inference" (2025), and PTX ISA 8.7, block scaling.
struct Nvfp4Element : NoOptions, NoZeroPoint {
  MiniFloat number{2, 1, 0};
  friend bool operator==(const Nvfp4Element&, const Nvfp4Element&) = default;

  static constexpr std::string_view kFamily = "nvfp4";
  static constexpr std::string_view kSyntax = "nvfp4";
  static constexpr std::string_view kMeaning =
      "E2M1 with an E4M3 scale per 16 values and a float32 scale per tensor";
  static constexpr bool kNeedsMean = false;
  static std::vector<std::string> examples() { return {"nvfp4"}; }

  static std::optional<Nvfp4Element> parse(std::string_view name) {
    return name == "nvfp4" ? std::optional<Nvfp4Element>(Nvfp4Element{}) : std::nullopt;
  }
  std::string name() const { return "nvfp4"; }
  ElementRules rules() const {
    return {.scales = ElementRules::Scales::kGroups,
            .granularity = {Granularity::Kind::kGroup, 16},
            .storage = ScaleStorage::kE4M3,
            .two_level = true,
            .zero_scale = 0.0f};
  }
  ElementPremises premises() const { return {}; }
  int code_bits() const { return 4; }

  uint8_t nearest(float y, int32_t) const { return number.nearest(y); }
  uint8_t stochastic(float y, int32_t, float u) const { return number.stochastic(y, u); }
  float code_value(uint8_t code) const { return number.value(code); }
  float smallest() const { return -number.largest(); }
  float largest() const { return number.largest(); }
  std::vector<uint8_t> codes() const { return number.codes(); }
  double wanted_scale(const BlockStatistics& statistics) const {
    return static_cast<double>(statistics.absmax()) / number.largest();
  }
};

}  // namespace scant
