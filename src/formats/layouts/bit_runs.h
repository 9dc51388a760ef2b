#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace scant {

/// Bytes that hold `bits`.
constexpr int64_t bytes_of(int64_t bits) { return (bits + 7) / 8; }

/// Bits [bit, bit + width) of a string packed from the low bit of a byte upwards; width <= 32.
uint32_t get_bits(std::span<const std::byte> bytes, int64_t bit, int width);
/// Writes them into zeroed bytes.
void put_bits(std::span<std::byte> bytes, int64_t bit, int width, uint32_t value);

/// The pieces that a code of `bits` bits is cut into, low bits first: 4, 2 and 1 bits for fewer
/// than 8, otherwise one (docs/formats/layouts.md).
struct CodePieces {
  std::array<int, 3> widths{};
  int count = 0;
  explicit CodePieces(int bits);
};

/// Appends a run of codes: one string of bits for each piece, filled up to a byte at the end.
void append_run(std::vector<std::byte>& bytes, std::span<const uint32_t> codes, int bits);

/// Codes [first, first + out.size()) of a run of `count` codes that starts at byte 0.
void read_run(std::span<const std::byte> run, int64_t count, int bits, int64_t first,
              std::span<uint32_t> out);

}  // namespace scant
