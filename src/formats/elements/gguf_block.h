#pragma once

#include <array>

#include "formats/elements/element.h"
#include "formats/elements/integer_grid.h"
#include "formats/super_block_search.h"

namespace scant {

/// The block types of GGUF whose blocks have offsets or scales in two levels (ggml, ggml-common.h):
/// integer codes q, blocks of 16 or 32 values, and
///   q4_1 q5_1       d q + m                    float16 d and m per 32
///   q2_k q4_k q5_k  (d s) q - (dmin m)         integers s and m of 4 or 6 bits per block, float16
///                                              d and dmin per 256
///   q3_k q6_k       (d s) q                    signed s of 6 or 8 bits, float16 d per 256
/// in float32, products rounded one after the other. Scales are searched (super_block_search.h);
/// codes are rounded to nearest at the stored ones.
struct GgufBlockElement : NoOptions {
  enum class Kind : uint8_t { kQ41, kQ51, kQ2K, kQ3K, kQ4K, kQ5K, kQ6K };
  Kind kind = Kind::kQ4K;
  friend bool operator==(const GgufBlockElement&, const GgufBlockElement&) = default;

  static constexpr std::string_view kFamily = "gguf_block";
  static constexpr std::string_view kSyntax = "q4_1, q5_1, q2_k, q3_k, q4_k, q5_k, q6_k";
  static constexpr std::string_view kMeaning =
      "blocks of GGUF: float16 scale and offset per 32, or integer ones per 16 or 32 under "
      "float16 per 256";
  static std::vector<std::string> examples() {
    std::vector<std::string> all;
    all.reserve(kTypes.size());
    for (const Type& type : kTypes) all.emplace_back(type.name);
    return all;
  }

  static std::optional<GgufBlockElement> parse(std::string_view name) {
    for (size_t i = 0; i < kTypes.size(); ++i) {
      if (kTypes[i].name == name) return GgufBlockElement{{}, static_cast<Kind>(i)};
    }
    return std::nullopt;
  }
  std::string name() const { return std::string(type().name); }
  /// Zero is a value only where values begin at no offset.
  ElementRules rules() const {
    return {.scales = ElementRules::Scales::kFixed,
            .granularity = {Granularity::Kind::kGroup, super_block().block},
            .storage = ScaleStorage::kF16,
            .has_zero = !super_block().has_offsets,
            .zero_scale = 0.0f,
            .weights_only = true};
  }
  ElementPremises premises() const {
    return {.scale_from_absmax = false,
            .magnitudes_ordered = false,
            .zero_to_zero = !super_block().has_offsets};
  }
  int code_bits() const { return integers().bits; }

  const SuperBlock& super_block() const { return type().super_block; }
  const IntegerGrid& integers() const { return type().integers; }
  uint8_t nearest(float y, int32_t) const { return integers().code(integers().nearest(y)); }
  uint8_t stochastic(float y, int32_t, float u) const {
    return integers().code(integers().stochastic(y, u));
  }
  float code_value(uint8_t code) const {
    return static_cast<float>(integers().lowest < 0 ? integers().value(code) : code);
  }
  float smallest() const { return static_cast<float>(integers().lowest); }
  float largest() const { return static_cast<float>(integers().highest); }
  std::vector<uint8_t> codes() const { return integers().codes(); }
  SuperBlockScales search_scales(const Segment& values) const {
    return search_super_block(super_block(), integers(), values);
  }

 private:
  struct Type {
    std::string_view name;
    SuperBlock super_block;
    IntegerGrid integers;
  };
  // In the order of Kind.
  static constexpr std::array<Type, 7> kTypes = {{
      {"q4_1", {.values = 32, .block = 32, .scale_bits = 0, .offset_bits = 0}, {0, 15, 4}},
      {"q5_1", {.values = 32, .block = 32, .scale_bits = 0, .offset_bits = 0}, {0, 31, 5}},
      {"q2_k", {.block = 16, .scale_bits = 4, .offset_bits = 4}, {0, 3, 2}},
      {"q3_k",
       {.block = 16, .scale_bits = 6, .signed_scales = true, .has_offsets = false},
       {-4, 3, 3}},
      {"q4_k", {.block = 32, .scale_bits = 6, .offset_bits = 6}, {0, 15, 4}},
      {"q5_k", {.block = 32, .scale_bits = 6, .offset_bits = 6}, {0, 31, 5}},
      {"q6_k",
       {.block = 16, .scale_bits = 8, .signed_scales = true, .has_offsets = false},
       {-32, 31, 6}},
  }};
  const Type& type() const { return kTypes[static_cast<size_t>(kind)]; }
};

}  // namespace scant
