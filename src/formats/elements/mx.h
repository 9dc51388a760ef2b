#pragma once

#include <array>
#include <cmath>

#include "formats/elements/element.h"
#include "formats/elements/integer_grid.h"
#include "formats/elements/mini_float.h"

namespace scant {

/// The OCP Microscaling formats 1.0: blocks of 32 that share a power of two,
/// 2^(floor(log2 absmax) - emax) with emax the exponent of the element's largest number, clamped
/// to 2^-127 .. 2^127. Elements saturate, so the largest values of a block may be clipped.
/// mxint8 is -127..127 in units of 2^-6 (the code -128 is left out).
struct MxElement : NoOptions, NoZeroPoint {
  enum class Kind : uint8_t { kFp8E4M3, kFp8E5M2, kFp6E3M2, kFp6E2M3, kFp4, kInt8 };
  Kind kind = Kind::kFp4;
  friend bool operator==(const MxElement& a, const MxElement& b) { return a.kind == b.kind; }

  MxElement() : MxElement(Kind::kFp4) {}
  explicit MxElement(Kind kind_in) : kind(kind_in), number_(kNumbers[index()].number()) {}

  static constexpr std::string_view kFamily = "mx";
  static constexpr std::string_view kSyntax =
      "mxfp8_e4m3, mxfp8_e5m2, mxfp6_e3m2, mxfp6_e2m3, mxfp4, mxint8";
  static constexpr std::string_view kMeaning = "OCP Microscaling: a power of two per block of 32";
  static constexpr bool kNeedsMean = false;
  static std::vector<std::string> examples() {
    std::vector<std::string> all;
    all.reserve(kNumbers.size());
    for (const Number& number : kNumbers) all.emplace_back(number.name);
    return all;
  }

  static std::optional<MxElement> parse(std::string_view name) {
    for (size_t i = 0; i < kNumbers.size(); ++i) {
      if (kNumbers[i].name == name) return MxElement(static_cast<Kind>(i));
    }
    return std::nullopt;
  }
  std::string name() const { return std::string(kNumbers[index()].name); }
  ElementRules rules() const {
    return {.scales = ElementRules::Scales::kBlocks,
            .granularity = {Granularity::Kind::kGroup, 32},
            .storage = ScaleStorage::kE8M0};
  }
  ElementPremises premises() const { return {}; }
  int code_bits() const { return kind == Kind::kInt8 ? 8 : number_.bits(); }

  /// The element's numbers: a small float or, for mxint8, integers in units of 2^-6.
  const MiniFloat& number() const { return number_; }
  IntegerGrid integers() const { return kInt8; }
  int largest_exponent() const { return kind == Kind::kInt8 ? 0 : number_.largest_exponent(); }

  uint8_t nearest(float y, int32_t) const {
    return kind == Kind::kInt8 ? kInt8.code(kInt8.nearest(y * 64.0f)) : number_.nearest(y);
  }
  uint8_t stochastic(float y, int32_t, float u) const {
    return kind == Kind::kInt8 ? kInt8.code(kInt8.stochastic(y * 64.0f, u))
                               : number_.stochastic(y, u);
  }
  float code_value(uint8_t code) const {
    return kind == Kind::kInt8 ? static_cast<float>(kInt8.value(code)) / 64.0f
                               : number_.value(code);
  }
  float smallest() const { return -largest(); }
  float largest() const { return kind == Kind::kInt8 ? 127.0f / 64.0f : number_.largest(); }
  std::vector<uint8_t> codes() const {
    return kind == Kind::kInt8 ? kInt8.codes() : number_.codes();
  }
  double wanted_scale(const BlockStatistics& statistics) const {
    const float absmax = statistics.absmax();
    if (absmax == 0.0f) return 0.0;
    return std::ldexp(1.0, std::ilogb(absmax) - largest_exponent());
  }

 private:
  struct Number {
    std::string_view name;
    int exponent_bits;
    int mantissa_bits;
    int reserved;
    MiniFloat number() const { return {exponent_bits, mantissa_bits, reserved}; }
  };
  // In the order of Kind; the integer's row is not read.
  static constexpr std::array<Number, 6> kNumbers = {{{"mxfp8_e4m3", 4, 3, 1},
                                                      {"mxfp8_e5m2", 5, 2, 4},
                                                      {"mxfp6_e3m2", 3, 2, 0},
                                                      {"mxfp6_e2m3", 2, 3, 0},
                                                      {"mxfp4", 2, 1, 0},
                                                      {"mxint8", 1, 6, 0}}};
  static constexpr IntegerGrid kInt8{-127, 127, 8};
  size_t index() const { return static_cast<size_t>(kind); }

  MiniFloat number_;
};

}  // namespace scant
