#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

namespace scant {

/// A float of 1 sign bit, `exponent_bits` and `mantissa_bits` (at most 8 in all), with subnormals
/// and bias 2^(exponent_bits - 1) - 1, stored in that order in the low bits:
///
///     | sign | exponent | mantissa |
///
/// `reserved` codes at the top of each sign are not numbers (NaN, Inf): 1 for OCP E4M3, 4 for
/// E5M2, 0 elsewhere. Source: OCP 8-bit Floating Point Specification (OFP8) 1.0, section 5; OCP
/// Microscaling Formats (MX) 1.0, section 5.3.
class MiniFloat {
 public:
  MiniFloat(int exponent_bits, int mantissa_bits, int reserved)
      : exponent_bits_(exponent_bits), mantissa_bits_(mantissa_bits), reserved_(reserved) {
    largest_ = value(largest_code());
  }
  friend bool operator==(const MiniFloat&, const MiniFloat&) = default;

  int exponent_bits() const { return exponent_bits_; }
  int mantissa_bits() const { return mantissa_bits_; }
  int bits() const { return 1 + exponent_bits_ + mantissa_bits_; }
  int bias() const { return (1 << (exponent_bits_ - 1)) - 1; }
  /// Exponent of the smallest normal number.
  int smallest_exponent() const { return 1 - bias(); }
  uint8_t sign_bit() const { return static_cast<uint8_t>(1u << (bits() - 1)); }
  uint8_t largest_code() const { return static_cast<uint8_t>(sign_bit() - 1 - reserved_); }
  float largest() const { return largest_; }
  /// Exponent of the largest number: "emax" of the MX specification.
  int largest_exponent() const { return (largest_code() >> mantissa_bits_) - bias(); }

  float value(uint8_t code) const {
    const int magnitude = code & (sign_bit() - 1);
    const int field = magnitude >> mantissa_bits_;
    const int fraction = magnitude & ((1 << mantissa_bits_) - 1);
    const int significand = field == 0 ? fraction : fraction + (1 << mantissa_bits_);
    const float result =
        std::ldexp(static_cast<float>(significand), std::max(field, 1) - bias() - mantissa_bits_);
    return (code & sign_bit()) != 0 ? -result : result;
  }

  /// Nearest, ties to the even code, saturating; a zero is always code 0.
  uint8_t nearest(float y) const {
    const Position at = locate(y);
    const bool up = at.fraction > 0.5f || (at.fraction == 0.5f && (at.lower & 1) != 0);
    return with_sign(at.lower + (up ? 1 : 0), y);
  }
  /// The code of larger magnitude with probability `fraction`, the position between the two.
  uint8_t stochastic(float y, float u) const {
    const Position at = locate(y);
    return with_sign(at.lower + (u < at.fraction ? 1 : 0), y);
  }

  /// All numbers by increasing value, one zero.
  std::vector<uint8_t> codes() const {
    std::vector<uint8_t> all;
    for (int code = largest_code(); code > 0; --code) {
      all.push_back(static_cast<uint8_t>(code | sign_bit()));
    }
    for (int code = 0; code <= largest_code(); ++code) all.push_back(static_cast<uint8_t>(code));
    return all;
  }

 private:
  struct Position {
    int lower;       // code of the magnitude at or below |y|
    float fraction;  // of the way to the next code
  };
  // Within a binade the codes are equally spaced, and the first code of a binade follows the last
  // of the one below: so the code is the binade's offset plus the integer part.
  Position locate(float y) const {
    const float magnitude = std::min(std::fabs(y), largest());
    const int exponent = static_cast<int>(std::bit_cast<uint32_t>(magnitude) >> 23) - 127;
    const int binade = std::max(exponent, smallest_exponent());
    const float steps = magnitude * std::bit_cast<float>((127 + mantissa_bits_ - binade) << 23);
    const int whole = static_cast<int>(steps);
    return {((binade - smallest_exponent()) << mantissa_bits_) + whole,
            steps - static_cast<float>(whole)};
  }
  uint8_t with_sign(int code, float y) const {
    return static_cast<uint8_t>(y < 0.0f && code != 0 ? code | sign_bit() : code);
  }

  int exponent_bits_;
  int mantissa_bits_;
  int reserved_;
  float largest_;
};

}  // namespace scant
