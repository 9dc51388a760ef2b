#pragma once

#include "formats/elements/element.h"
#include "formats/elements/mini_float.h"
#include "formats/spelling.h"

namespace scant {

/// fpN_eXmY: N = 1 + X + Y <= 8 bits, X >= 1, saturating, with a real scale absmax / largest.
/// fp8_e4m3 and fp8_e5m2 are the OCP 8-bit floats (largest 448 and 57344); the others have neither
/// Inf nor NaN (fp4_e2m1, fp6_e3m2 and fp6_e2m3 are those of OCP Microscaling 1.0).
struct FloatElement : NoOptions, NoZeroPoint {
  MiniFloat number{4, 3, 1};
  friend bool operator==(const FloatElement&, const FloatElement&) = default;

  static constexpr std::string_view kFamily = "float";
  static constexpr std::string_view kSyntax =
      "fp8_e4m3, fp8_e5m2, fp6_e3m2, fp6_e2m3, fp4_e2m1 or any fpN_eXmY with N = 1 + X + Y <= 8";
  static constexpr std::string_view kMeaning = "small floats with a real scale";
  static constexpr bool kNeedsMean = false;
  static std::vector<std::string> examples() {
    std::vector<std::string> all;
    for (int bits = 8; bits >= 2; --bits) {
      for (int exponent_bits = bits - 1; exponent_bits >= 1; --exponent_bits) {
        all.push_back(name_of(bits, exponent_bits));
      }
    }
    return all;
  }

  static std::optional<FloatElement> parse(std::string_view name) {
    // Only one-digit fields can add up to 8 bits, so the shape is fixed: fpN_eXmY.
    if (name.size() != 8 || !name.starts_with("fp") || name.substr(3, 2) != "_e" ||
        name[6] != 'm') {
      return std::nullopt;
    }
    const auto bits = parse_decimal(name.substr(2, 1), 8);
    const auto exponent_bits = parse_decimal(name.substr(5, 1), 7);
    const auto mantissa_bits = parse_decimal(name.substr(7, 1), 6);
    if (!bits || !exponent_bits || !mantissa_bits || *exponent_bits < 1 ||
        *bits != 1 + *exponent_bits + *mantissa_bits) {
      return std::nullopt;
    }
    const int reserved = name == "fp8_e4m3" ? 1 : name == "fp8_e5m2" ? 4 : 0;
    return FloatElement{
        {}, {}, {static_cast<int>(*exponent_bits), static_cast<int>(*mantissa_bits), reserved}};
  }
  std::string name() const { return name_of(number.bits(), number.exponent_bits()); }
  ElementRules rules() const { return {}; }
  ElementPremises premises() const { return {}; }
  int code_bits() const { return number.bits(); }

  uint8_t nearest(float y, int32_t) const { return number.nearest(y); }
  uint8_t stochastic(float y, int32_t, float u) const { return number.stochastic(y, u); }
  float code_value(uint8_t code) const { return number.value(code); }
  float smallest() const { return -number.largest(); }
  float largest() const { return number.largest(); }
  std::vector<uint8_t> codes() const { return number.codes(); }
  double wanted_scale(const BlockStatistics& statistics) const {
    return static_cast<double>(statistics.absmax()) / number.largest();
  }

 private:
  static std::string name_of(int bits, int exponent_bits) {
    return "fp" + std::to_string(bits) + "_e" + std::to_string(exponent_bits) + "m" +
           std::to_string(bits - 1 - exponent_bits);
  }
};

}  // namespace scant
