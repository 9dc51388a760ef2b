#include "compress/export/gguf_super_blocks.h"

#include <algorithm>
#include <cstring>

#include "core/dtype.h"

namespace scant {
namespace {

constexpr size_t kRuns = 8;  // of 32 values in 256

void put_half(float value, std::byte* out) {
  const uint16_t bits = f32_to_f16(value);
  std::memcpy(out, &bits, sizeof bits);
}

/// The scales of the block that begins at `column`.
SuperBlockScales scales_at(const GgufRow& row, int64_t column) {
  return row.matrix().super_block_scales(row.row(), row.group(column));
}

/// Code j of the block that begins at `column`, counted from the lowest one.
class Codes {
 public:
  Codes(const GgufRow& row, int64_t column, unsigned sign_bit = 0)
      : codes_(row.codes().data() + column), sign_bit_(sign_bit) {}
  unsigned operator()(size_t j) const { return codes_[j] ^ sign_bit_; }

 private:
  const uint32_t* codes_;
  unsigned sign_bit_;  // of two's complement
};

void add_bits(std::byte& byte, unsigned bits) { byte |= static_cast<std::byte>(bits); }

/// Low and high nibbles of 16 bytes, and bit j of `fifth` for code j.
uint32_t put_small_block(const Codes& code, std::byte* out) {
  uint32_t fifth = 0;
  for (size_t j = 0; j < 16; ++j) {
    out[j] = static_cast<std::byte>((code(j) & 15) | (code(j + 16) & 15) << 4);
    fifth |= code(j) >> 4 << j | code(j + 16) >> 4 << (j + 16);
  }
  return fifth;
}

/// Bits 2r, 2r + 1 of byte 32 half + j belong to element j of run r of a half.
void put_pairs(const Codes& code, std::byte* out) {
  std::fill_n(out, 64, std::byte{0});
  for (size_t run = 0; run < kRuns; ++run) {
    for (size_t j = 0; j < 32; ++j) {
      add_bits(out[run / 4 * 32 + j], (code(32 * run + j) & 3) << (run % 4 * 2));
    }
  }
}

/// Runs 2k and 2k + 1 are low and high nibbles of 32 bytes.
void put_nibbles(const Codes& code, std::byte* out) {
  std::fill_n(out, 128, std::byte{0});
  for (size_t run = 0; run < kRuns; ++run) {
    for (size_t j = 0; j < 32; ++j) {
      add_bits(out[run / 2 * 32 + j], (code(32 * run + j) & 15) << (run % 2 * 4));
    }
  }
}

/// Bit `bit` of element j of run r is bit r of byte j.
void put_planes(const Codes& code, unsigned bit, std::byte* out) {
  std::fill_n(out, 32, std::byte{0});
  for (size_t run = 0; run < kRuns; ++run) {
    for (size_t j = 0; j < 32; ++j) {
      add_bits(out[j], ((code(32 * run + j) >> bit) & 1) << run);
    }
  }
}

/// d, dmin and the 12 bytes of scales and minima that Q4_K and Q5_K begin with.
void put_scales_and_minima(const SuperBlockScales& scales, std::byte* out) {
  put_half(scales.super.scale, out);
  put_half(0.0f - scales.super.offset, out + 2);
  std::byte* bytes = out + 4;
  std::fill_n(bytes, 12, std::byte{0});
  for (size_t j = 0; j < 4; ++j) {
    const auto scale = static_cast<unsigned>(scales.scales[j]);
    const auto later_scale = static_cast<unsigned>(scales.scales[j + 4]);
    const auto minimum = static_cast<unsigned>(scales.offsets[j]);
    const auto later_minimum = static_cast<unsigned>(scales.offsets[j + 4]);
    bytes[j] = static_cast<std::byte>(scale | later_scale >> 4 << 6);
    bytes[j + 4] = static_cast<std::byte>(minimum | later_minimum >> 4 << 6);
    bytes[j + 8] = static_cast<std::byte>((later_scale & 15) | (later_minimum & 15) << 4);
  }
}

}  // namespace

void encode_q4_1(const GgufRow& row, int64_t column, std::byte* block) {
  const SuperScale super = scales_at(row, column).super;
  put_half(super.scale, block);
  put_half(super.offset, block + 2);
  put_small_block(Codes(row, column), block + 4);
}

void encode_q5_1(const GgufRow& row, int64_t column, std::byte* block) {
  const SuperScale super = scales_at(row, column).super;
  put_half(super.scale, block);
  put_half(super.offset, block + 2);
  const uint32_t fifth = put_small_block(Codes(row, column), block + 8);
  std::memcpy(block + 4, &fifth, sizeof fifth);
}

void encode_q2_k(const GgufRow& row, int64_t column, std::byte* block) {
  const SuperBlockScales scales = scales_at(row, column);
  for (size_t b = 0; b < 16; ++b) {
    block[b] = static_cast<std::byte>(scales.scales[b] | scales.offsets[b] << 4);
  }
  put_pairs(Codes(row, column), block + 16);
  put_half(scales.super.scale, block + 80);
  put_half(0.0f - scales.super.offset, block + 82);
}

void encode_q3_k(const GgufRow& row, int64_t column, std::byte* block) {
  const SuperBlockScales scales = scales_at(row, column);
  const Codes code(row, column, 4);
  put_planes(code, 2, block);
  put_pairs(code, block + 32);
  std::byte* bytes = block + 96;
  std::fill_n(bytes, 12, std::byte{0});
  for (size_t b = 0; b < 16; ++b) {
    const auto scale = static_cast<unsigned>(scales.scales[b] + 32);
    add_bits(bytes[b % 8], (scale & 15) << (b / 8 * 4));
    add_bits(bytes[8 + b % 4], scale >> 4 << (b / 4 * 2));
  }
  put_half(scales.super.scale, block + 108);
}

void encode_q4_k(const GgufRow& row, int64_t column, std::byte* block) {
  put_scales_and_minima(scales_at(row, column), block);
  put_nibbles(Codes(row, column), block + 16);
}

void encode_q5_k(const GgufRow& row, int64_t column, std::byte* block) {
  const Codes code(row, column);
  put_scales_and_minima(scales_at(row, column), block);
  put_planes(code, 4, block + 16);
  put_nibbles(code, block + 48);
}

void encode_q6_k(const GgufRow& row, int64_t column, std::byte* block) {
  const SuperBlockScales scales = scales_at(row, column);
  const Codes code(row, column, 32);
  std::fill_n(block, 192, std::byte{0});
  for (size_t run = 0; run < kRuns; ++run) {
    const size_t half = run / 4;
    for (size_t j = 0; j < 32; ++j) {
      const unsigned q = code(32 * run + j);
      add_bits(block[half * 64 + run % 2 * 32 + j], (q & 15) << (run % 4 / 2 * 4));
      add_bits(block[128 + half * 32 + j], q >> 4 << (run % 4 * 2));
    }
  }
  for (size_t b = 0; b < 16; ++b) block[192 + b] = static_cast<std::byte>(scales.scales[b]);
  put_half(scales.super.scale, block + 208);
}

}  // namespace scant
