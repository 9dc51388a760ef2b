#include "formats/layouts/bit_runs.h"

#include <algorithm>

namespace scant {
namespace {

constexpr uint32_t mask_of(int width) { return width >= 32 ? ~0u : (1u << width) - 1u; }

}  // namespace

uint32_t get_bits(std::span<const std::byte> bytes, int64_t bit, int width) {
  uint64_t value = 0;
  const int64_t first = bit / 8;
  const int64_t last = (bit + width + 7) / 8;
  for (int64_t i = first; i < last; ++i) {
    value |= std::to_integer<uint64_t>(bytes[static_cast<size_t>(i)]) << (8 * (i - first));
  }
  return static_cast<uint32_t>(value >> (bit % 8)) & mask_of(width);
}

void put_bits(std::span<std::byte> bytes, int64_t bit, int width, uint32_t value) {
  const uint64_t shifted = static_cast<uint64_t>(value & mask_of(width)) << (bit % 8);
  const int64_t first = bit / 8;
  const int64_t last = (bit + width + 7) / 8;
  for (int64_t i = first; i < last; ++i) {
    bytes[static_cast<size_t>(i)] |= static_cast<std::byte>((shifted >> (8 * (i - first))) & 0xffu);
  }
}

CodePieces::CodePieces(int bits) {
  if (bits >= 8) {
    widths[0] = bits;
    count = 1;
    return;
  }
  for (const int width : {4, 2, 1}) {
    if ((bits & width) != 0) widths[static_cast<size_t>(count++)] = width;
  }
}

void append_run(std::vector<std::byte>& bytes, std::span<const uint32_t> codes, int bits) {
  const auto count = static_cast<int64_t>(codes.size());
  const size_t begin = bytes.size();
  bytes.resize(begin + static_cast<size_t>(bytes_of(count * bits)));
  const std::span<std::byte> run = std::span(bytes).subspan(begin);
  const CodePieces pieces(bits);
  int64_t bit = 0;
  int shift = 0;
  for (int p = 0; p < pieces.count; ++p) {
    const int width = pieces.widths[static_cast<size_t>(p)];
    for (const uint32_t code : codes) {
      put_bits(run, bit, width, code >> shift);
      bit += width;
    }
    shift += width;
  }
}

void read_run(std::span<const std::byte> run, int64_t count, int bits, int64_t first,
              std::span<uint32_t> out) {
  std::ranges::fill(out, 0u);
  const CodePieces pieces(bits);
  int64_t piece_begin = 0;
  int shift = 0;
  for (int p = 0; p < pieces.count; ++p) {
    const int width = pieces.widths[static_cast<size_t>(p)];
    int64_t bit = piece_begin + first * width;
    if (8 % width == 0) {  // inside one byte each
      for (uint32_t& code : out) {
        const auto byte = std::to_integer<uint32_t>(run[static_cast<size_t>(bit / 8)]);
        code |= ((byte >> (bit % 8)) & mask_of(width)) << shift;
        bit += width;
      }
    } else {
      for (uint32_t& code : out) {
        code |= get_bits(run, bit, width) << shift;
        bit += width;
      }
    }
    piece_begin += count * width;
    shift += width;
  }
}

}  // namespace scant
