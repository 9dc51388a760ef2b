#pragma once

#include <algorithm>
#include <array>

#include "core/dtype.h"
#include "formats/elements/element.h"

namespace scant {

/// fp32, bf16, fp16: the values themselves, without scales.
struct PlainElement : NoOptions {
  DType dtype = DType::kF32;
  friend bool operator==(const PlainElement&, const PlainElement&) = default;

  static constexpr std::string_view kFamily = "plain";
  static constexpr std::string_view kSyntax = "fp32, bf16, fp16";
  static constexpr std::string_view kMeaning = "plain values, no scale";
  static std::vector<std::string> examples() { return {"fp32", "bf16", "fp16"}; }

  static std::optional<PlainElement> parse(std::string_view name) {
    for (const DType candidate : {DType::kF32, DType::kBF16, DType::kF16}) {
      if (const PlainElement element{{}, candidate}; element.name() == name) return element;
    }
    return std::nullopt;
  }
  std::string name() const {
    return dtype == DType::kF32 ? "fp32" : dtype == DType::kBF16 ? "bf16" : "fp16";
  }
  ElementRules rules() const {
    return {.scales = ElementRules::Scales::kNone, .granularity = {Granularity::Kind::kNone, 0}};
  }
  ElementPremises premises() const { return {}; }
  int code_bits() const { return static_cast<int>(8 * dtype_size(dtype)); }

  float round(float x) const {
    if (dtype == DType::kF32) return x;
    if (dtype == DType::kBF16) {
      constexpr float kLargest = 0x1.fep127f;
      return bf16_to_f32(f32_to_bf16(std::clamp(x, -kLargest, kLargest)));
    }
    constexpr float kLargest = 65504.0f;
    return f16_to_f32(f32_to_f16(std::clamp(x, -kLargest, kLargest)));
  }
};

}  // namespace scant
