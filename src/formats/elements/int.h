#pragma once

#include "core/error.h"
#include "formats/elements/element.h"
#include "formats/elements/integer_grid.h"
#include "formats/spelling.h"

namespace scant {

/// Integers of b = 2 .. 8 bits.
///   full   -2^(b-1) .. 2^(b-1)-1, scale absmax / ((2^b - 1) / 2): the symmetric grid of GPTQ
///          (Frantar et al., arXiv 2210.17323) and compressed-tensors
///   narrow -(2^(b-1)-1) .. 2^(b-1)-1, scale absmax / (2^(b-1)-1)
///   asym   0 .. 2^b-1 with zero point z, scale (max(x,0) - min(x,0)) / (2^b-1),
///          z = round(-min(x,0) / scale), value (code - z) * scale
struct IntElement {
  enum class Grid : uint8_t { kFull, kNarrow, kAsym };
  int bits = 8;
  Grid grid = Grid::kFull;
  friend bool operator==(const IntElement&, const IntElement&) = default;

  static constexpr std::string_view kFamily = "int";
  static constexpr std::string_view kSyntax = "int2 to int8";
  static constexpr std::string_view kMeaning =
      "integers; :narrow leaves the lowest code out, :asym has a zero point";
  static constexpr bool kNeedsMean = false;
  static std::vector<std::string> examples() {
    std::vector<std::string> all;
    for (int bits = 8; bits >= 2; --bits) {
      for (const char* grid : {"", ":narrow", ":asym"}) {
        all.push_back("int" + std::to_string(bits) + grid);
      }
    }
    return all;
  }

  static std::optional<IntElement> parse(std::string_view name) {
    if (!name.starts_with("int")) return std::nullopt;
    const auto bits = parse_decimal(name.substr(3), 8);
    if (!bits || *bits < 2) return std::nullopt;
    return IntElement{static_cast<int>(*bits), Grid::kFull};
  }
  std::string name() const { return "int" + std::to_string(bits); }
  static std::vector<std::string_view> option_words() { return {"narrow", "asym"}; }
  void set_option(std::string_view word) {
    if (grid != Grid::kFull) {
      throw Error("",
                  quoted_part(word) + " contradicts " + quoted_part(option()) + "; allowed is one");
    }
    grid = word == "narrow" ? Grid::kNarrow : Grid::kAsym;
  }
  std::string_view option() const {
    return grid == Grid::kFull ? "" : grid == Grid::kNarrow ? "narrow" : "asym";
  }
  ElementRules rules() const { return {.zero_point = grid == Grid::kAsym}; }
  /// The full grid reaches -2^(b-1) for x = -absmax only, where its gain equals that of 2^(b-1)-1.
  ElementPremises premises() const { return {.scale_from_absmax = grid != Grid::kAsym}; }
  int code_bits() const { return bits; }

  IntegerGrid integers() const {
    const int half = 1 << (bits - 1);
    if (grid == Grid::kAsym) return {0, 2 * half - 1, bits};
    return {grid == Grid::kFull ? -half : 1 - half, half - 1, bits};
  }
  /// `:asym` rounds before the zero point is added, as GPTQ does.
  uint8_t nearest(float y, int32_t zero_point) const {
    return integers().code(shifted(zero_point).nearest(y) + zero_point);
  }
  uint8_t stochastic(float y, int32_t zero_point, float u) const {
    return integers().code(shifted(zero_point).stochastic(y, u) + zero_point);
  }
  float code_value(uint8_t code) const {
    return static_cast<float>(grid == Grid::kAsym ? code : integers().value(code));
  }
  float smallest() const { return static_cast<float>(integers().lowest); }
  float largest() const { return static_cast<float>(integers().highest); }
  std::vector<uint8_t> codes() const { return integers().codes(); }

  double wanted_scale(const BlockStatistics& statistics) const {
    const double steps = (1 << bits) - 1;
    if (grid == Grid::kAsym) {
      return (static_cast<double>(statistics.max) - static_cast<double>(statistics.min)) / steps;
    }
    return statistics.absmax() / (grid == Grid::kFull ? steps / 2 : (1 << (bits - 1)) - 1);
  }
  int32_t zero_point(float min, float scale) const {
    return grid == Grid::kAsym ? integers().nearest(-min / scale) : 0;
  }

 private:
  // The grid as distances from the zero point.
  IntegerGrid shifted(int32_t zero_point) const {
    IntegerGrid grid_now = integers();
    grid_now.lowest -= zero_point;
    grid_now.highest -= zero_point;
    return grid_now;
  }
};

}  // namespace scant
