#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/all_elements.h"
#include "formats/scale.h"

namespace scant {

/// What is quantized decides the default granularity: weights per output row, activations per
/// token.
enum class Role : uint8_t { kWeight, kActivation };

/// A number format: how a matrix of real values becomes codes and scales. Spelled
/// ELEMENT[:GRANULARITY][:OPTION...], for example "int4:g128:mse" (docs/formats/numbers.md). The
/// parts after the element may come in any order, each at most once.
struct NumberFormat {
  Element element;
  Role role = Role::kWeight;
  Granularity granularity;
  ScaleStorage scale_storage = ScaleStorage::kF32;
  bool mse = false;         ///< search the scale with the least squared error
  bool stochastic = false;  ///< stochastic rounding

  friend bool operator==(const NumberFormat&, const NumberFormat&) = default;

  /// Throws Error naming the part that is unknown or contradicts another, and what is allowed.
  static NumberFormat parse(std::string_view spelling, Role role);
  /// The shortest spelling that parses to this format (defaults are left out).
  std::string spelling() const;

  /// "tensor", "channel" or "token", "g128", "block=32"; "none" for the plain ones.
  std::string granularity_name() const;
  /// "int4", without granularity and options.
  std::string element_name() const;
  /// What the element says about scales and zeros.
  ElementRules rules() const;
  /// True for fp32, bf16, fp16: no codes, no scales.
  bool is_plain() const;
  /// Bits of one stored code (32 or 16 for the plain ones).
  int code_bits() const;
  /// Bits of one stored scale, or of the record of a super-block; 0 for the plain ones.
  int scale_bits() const;
  /// Bits of one stored zero point (as wide as a code); 0 without `:asym`.
  int zero_point_bits() const;
  /// Blocks of a rows x cols matrix that have a scale each; 0 for the plain formats.
  int64_t block_count(int64_t rows, int64_t cols) const;
  /// How scales of neighbouring blocks are stored together; null: each alone.
  const SuperBlock* super_block() const;
  /// Scales that are stored for them: the same, or the records of super-blocks.
  int64_t scale_count(int64_t rows, int64_t cols) const;
  /// Neighbouring blocks of a row that share a stored scale: 1 without super-blocks.
  int64_t blocks_per_scale() const;
  /// Second-level scales (float32 each): 1 for a weight, one per row for activations; 0 unless
  /// the element has two levels.
  int64_t tensor_scale_count(int64_t rows) const;
  /// True if the quantizer is a "max-scaled block quantizer": its scale depends on max |x| alone,
  /// and at one scale it keeps the order of magnitudes, maps 0 to 0 and rounds to nearest. What the
  /// theorems about orders ask for; false for :asym, :mse, :stoch, nf4, ternary, binary.
  bool max_scaled() const;
};

/// Spellings that together use every element, granularity and option, for tests, help and
/// benchmarks; each is the shortest one of its format.
std::vector<std::string> number_format_examples(Role role);

/// What may follow the element, each with its colon: ":tensor", ":channel", ":gN", ":narrow", ...
std::vector<std::string> allowed_parts(const Element& element, Role role);

/// One line of help per element family.
struct ElementHelp {
  std::string family;   ///< "int"
  std::string syntax;   ///< "int2 to int8"
  std::string meaning;  ///< one clause
  std::string parts;    ///< what may follow: ":tensor, :channel, :gN, :narrow, ..."
};
std::vector<ElementHelp> number_format_help(Role role);

}  // namespace scant
