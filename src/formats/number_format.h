#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/all_elements.h"

namespace scant {

/// What is quantized decides the default granularity: weights per output row, activations per
/// token.
enum class Role : uint8_t { kWeight, kActivation };

/// Which values share one scale. Rows are a weight's outputs or an activation's tokens; groups
/// and blocks lie along the columns (the reduction dimension), the last one may be shorter.
struct Granularity {
  enum class Kind : uint8_t { kNone, kTensor, kRow, kGroup };
  Kind kind = Kind::kNone;
  int64_t size = 0;  ///< values in a group (":gN", ":block=N"); 0 for the other kinds
  friend bool operator==(const Granularity&, const Granularity&) = default;
};

/// How a real scale is stored. It is rounded up, so that nothing clips.
enum class ScaleStorage : uint8_t { kF32, kBF16, kF16, kE8M0, kE4M3 };

/// A number format: how a matrix of real values becomes codes and scales. Spelled
/// ELEMENT[:GRANULARITY][:OPTION...], for example "int4:g128:mse" (docs/formats/numbers.md).
struct NumberFormat {
  Element element;
  Role role = Role::kWeight;
  Granularity granularity;
  ScaleStorage scale_storage = ScaleStorage::kF32;
  bool mse = false;         ///< search the scale with the least squared error
  bool stochastic = false;  ///< stochastic rounding

  /// Throws Error naming the part that is unknown or contradicts another, and what is allowed.
  static NumberFormat parse(std::string_view spelling, Role role);
  /// The shortest spelling that parses to this format (defaults are left out).
  std::string spelling() const;
  /// True for fp32, bf16, fp16: no codes, no scales.
  bool is_plain() const;
  /// Bits of one stored code (32 or 16 for the plain ones).
  int code_bits() const;
};

}  // namespace scant
