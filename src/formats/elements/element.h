#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/scale.h"
#include "formats/segment.h"
#include "formats/super_block.h"

namespace scant {

/// What a format's spelling may say about scales, and what it means when it says nothing.
struct ElementRules {
  enum class Scales : uint8_t {
    kNone,    ///< plain values
    kAny,     ///< :tensor, :channel or :token, :gN
    kGroups,  ///< :gN
    kBlocks,  ///< :block=N
    kFixed,   ///< nothing: the element's own blocks and its own search, without options
  };
  Scales scales = Scales::kAny;
  Granularity granularity{Granularity::Kind::kRow, 0};  ///< the default
  /// Set: how scales are stored is part of the format's definition, there is no `:scale=`.
  std::optional<ScaleStorage> storage = std::nullopt;
  bool zero_point = false;  ///< an integer zero point per block
  bool two_level = false;   ///< one more float32 scale per tensor
  bool has_zero = true;     ///< 0 is a code
  float zero_scale = 1.0f;  ///< the scale of a block of zeros
  bool weights_only = false;
};

/// What theory can build on, as far as it depends on the element alone.
struct ElementPremises {
  bool scale_from_absmax = true;  ///< the scale depends on max |x| alone
  /// At one scale, |x| > |y| gives |q(x)| >= |q(y)| and a gain 2 v x - v^2 that is no smaller.
  bool magnitudes_ordered = true;
  bool zero_to_zero = true;
};

/// How an element family is named and parsed.
template <typename T>
concept NamedElement = std::copyable<T> && std::equality_comparable<T> &&
    std::default_initializable<T> && requires(const T element, T changed, std::string_view text) {
  { T::kFamily } -> std::convertible_to<std::string_view>;   // "int"
  { T::kSyntax } -> std::convertible_to<std::string_view>;   // "int2 to int8"
  { T::kMeaning } -> std::convertible_to<std::string_view>;  // one clause, for help
  // Spellings of members of the family, options included: all of them where they are few.
  { T::examples() } -> std::same_as<std::vector<std::string>>;
  // The element of that name; nothing if it is no member of the family.
  { T::parse(text) } -> std::same_as<std::optional<T>>;
  { element.name() } -> std::same_as<std::string>;
  // Words that may follow as options ("narrow"); set_option takes one of them and throws Error
  // if it contradicts an earlier one; option() is the one in force, or empty.
  { T::option_words() } -> std::same_as<std::vector<std::string_view>>;
  { changed.set_option(text) } -> std::same_as<void>;
  { element.option() } -> std::same_as<std::string_view>;
  { element.rules() } -> std::same_as<ElementRules>;
  { element.premises() } -> std::same_as<ElementPremises>;
  { element.code_bits() } -> std::same_as<int>;
};

/// Values without codes and scales: fp32, bf16, fp16.
template <typename T>
concept UncodedElement = requires(const T element, float x) {
  { element.round(x) } -> std::same_as<float>;  // nearest even, saturating
};

/// Codes of at most 8 bits. With y = x / scale in float32, the value of a code is
/// (code_value(code) - zero_point) * scale + offset in float32.
template <typename T>
concept CodedElement = requires(const T element, float y, int32_t zero_point, float u,
                                uint8_t code) {
  // The code nearest to y, ties to even, saturating; never the code of negative zero.
  { element.nearest(y, zero_point) } -> std::same_as<uint8_t>;
  // One of the two codes around y. Integers and tables take the upper one if u is less than its
  // probability (y - lower) / (upper - lower), floats do the same with magnitudes. u is uniform
  // in [0, 1).
  { element.stochastic(y, zero_point, u) } -> std::same_as<uint8_t>;
  { element.code_value(code) } -> std::same_as<float>;
  { element.smallest() } -> std::same_as<float>;  // code value
  { element.largest() } -> std::same_as<float>;
  // Every code that nearest() can return, by increasing value.
  { element.codes() } -> std::same_as<std::vector<uint8_t>>;
};

/// Scales of single blocks that follow from what is known of their values.
template <typename T>
concept ElementScaledByStatistics = CodedElement<T> &&
    requires(const T element, float y, const BlockStatistics& statistics) {
  // The real scale of a block, before it is rounded for storage; 0 for a block of zeros.
  { element.wanted_scale(statistics) } -> std::same_as<double>;
  // The zero point at a scale; 0 for elements without.
  { element.zero_point(y, y) } -> std::same_as<int32_t>;  // (min, scale)
  { T::kNeedsMean } -> std::convertible_to<bool>;         // wanted_scale reads sum and count
};

/// Scales that are integers, stored in records of several blocks, and searched.
template <typename T>
concept ElementScaledBySearch = CodedElement<T> &&
    requires(const T element, const Segment& values) {
  { element.super_block() } -> std::same_as<const SuperBlock&>;         // of a table that stays
  { element.search_scales(values) } -> std::same_as<SuperBlockScales>;  // of one super-block
};

/// What a number format must provide to be listed in all_elements.h.
template <typename T>
concept ElementFamily = NamedElement<T> &&
    (ElementScaledByStatistics<T> || ElementScaledBySearch<T> || UncodedElement<T>);

/// x in units of the block's scale, in float32; 0 if the scale is 0.
inline float in_units(float x, float scale) { return scale == 0.0f ? 0.0f : x / scale; }

template <CodedElement T>
uint8_t encode(const T& element, float x, BlockScale block) {
  return element.nearest(in_units(x - block.offset, block.scale), block.zero_point);
}

template <CodedElement T>
uint8_t encode_stochastic(const T& element, float x, BlockScale block, float u) {
  if (block.scale == 0.0f) return encode(element, x, block);  // nothing to choose between
  return element.stochastic(in_units(x - block.offset, block.scale), block.zero_point, u);
}

template <CodedElement T>
float decode(const T& element, uint8_t code, BlockScale block) {
  const float units = element.code_value(code) - static_cast<float>(block.zero_point);
  return units * block.scale + block.offset;
}

/// The element for families without options.
struct NoOptions {
  static std::vector<std::string_view> option_words() { return {}; }
  void set_option(std::string_view) {}
  std::string_view option() const { return {}; }
  friend bool operator==(const NoOptions&, const NoOptions&) = default;
};

/// The zero point for families without one.
struct NoZeroPoint {
  int32_t zero_point(float, float) const { return 0; }
  friend bool operator==(const NoZeroPoint&, const NoZeroPoint&) = default;
};

}  // namespace scant
