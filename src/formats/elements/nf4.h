#pragma once

#include <array>

#include "formats/elements/element.h"

namespace scant {

/// NormalFloat of 4 bits (Dettmers et al., "QLoRA", arXiv 2305.14314, appendix E): 16 quantiles of
/// the normal distribution, scale absmax per group of 64. The codes are asymmetric around zero, so
/// the order of magnitudes of values of different sign does not hold.
struct Nf4Element : NoOptions, NoZeroPoint {
  friend bool operator==(const Nf4Element&, const Nf4Element&) = default;

  static constexpr std::string_view kFamily = "nf4";
  static constexpr std::string_view kSyntax = "nf4";
  static constexpr std::string_view kMeaning = "the 16 NormalFloat quantiles of QLoRA";
  static constexpr bool kNeedsMean = false;
  static constexpr std::array<float, 16> kValues = {-1.0f,
                                                    -0.6961928009986877f,
                                                    -0.5250730514526367f,
                                                    -0.39491748809814453f,
                                                    -0.28444138169288635f,
                                                    -0.18477343022823334f,
                                                    -0.09105003625154495f,
                                                    0.0f,
                                                    0.07958029955625534f,
                                                    0.16093020141124725f,
                                                    0.24611230194568634f,
                                                    0.33791524171829224f,
                                                    0.44070982933044434f,
                                                    0.5626170039176941f,
                                                    0.7229568362236023f,
                                                    1.0f};
  static std::vector<std::string> examples() { return {"nf4"}; }

  static std::optional<Nf4Element> parse(std::string_view name) {
    return name == "nf4" ? std::optional<Nf4Element>(Nf4Element{}) : std::nullopt;
  }
  std::string name() const { return "nf4"; }
  ElementRules rules() const { return {.granularity = {Granularity::Kind::kGroup, 64}}; }
  ElementPremises premises() const { return {.magnitudes_ordered = false}; }
  int code_bits() const { return 4; }

  /// A tie goes to the even code.
  uint8_t nearest(float y, int32_t) const {
    const size_t lower = locate(y);
    const float down = y - kValues[lower];
    const float up = kValues[lower + 1] - y;
    return static_cast<uint8_t>(up < down || (up == down && lower % 2 == 1) ? lower + 1 : lower);
  }
  uint8_t stochastic(float y, int32_t, float u) const {
    const size_t lower = locate(y);
    const float below = kValues[lower];
    const float above = kValues[lower + 1];
    return static_cast<uint8_t>(u < (y - below) / (above - below) ? lower + 1 : lower);
  }
  float code_value(uint8_t code) const { return kValues[code & 15u]; }
  float smallest() const { return -1.0f; }
  float largest() const { return 1.0f; }
  std::vector<uint8_t> codes() const {
    std::vector<uint8_t> all(kValues.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint8_t>(i);
    return all;
  }
  double wanted_scale(const BlockStatistics& statistics) const { return statistics.absmax(); }

 private:
  // The largest i <= 14 with kValues[i] <= y, or 0.
  static size_t locate(float y) {
    size_t lower = 0;
    for (size_t step = 8; step > 0; step /= 2) {
      if (lower + step <= 14 && kValues[lower + step] <= y) lower += step;
    }
    return lower;
  }
};

}  // namespace scant
