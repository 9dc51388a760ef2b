#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "formats/scale.h"

namespace scant {

/// Neighbouring blocks of a row whose scales are stored together: small integers that share one
/// float16, and the same for offsets, where an element has them. Of block b
///   scale  = super scale * scales[b]
///   offset = super offset * offsets[b]
/// each rounded to float32.
struct SuperBlock {
  static constexpr size_t kMostBlocks = 16;

  int64_t values = 256;  ///< of a super-block; the last one of a row may be shorter
  int64_t block = 32;    ///< values that share a scale
  int scale_bits = 6;    ///< of an integer; 0: there is one block, whose integers are 1
  bool signed_scales = false;
  bool has_offsets = true;
  int offset_bits = 6;  ///< 0: as above, and an offset has either sign; else none is above 0

  int64_t blocks() const { return values / block; }
  int lowest_scale() const {
    return scale_bits == 0 ? 1 : signed_scales ? -(1 << (scale_bits - 1)) : 0;
  }
  int highest_scale() const {
    if (scale_bits == 0) return 1;
    return (1 << (signed_scales ? scale_bits - 1 : scale_bits)) - 1;
  }
  int lowest_offset() const { return has_offsets && offset_bits == 0 ? 1 : 0; }
  int highest_offset() const {
    if (!has_offsets) return 0;
    return offset_bits == 0 ? 1 : (1 << offset_bits) - 1;
  }
  friend bool operator==(const SuperBlock&, const SuperBlock&) = default;
};

/// What the integers of a super-block are multiplied by: numbers that float16 holds.
struct SuperScale {
  float scale = 0.0f;
  float offset = 0.0f;
  friend bool operator==(const SuperScale&, const SuperScale&) = default;
};

/// The scales of a super-block, as they are stored.
struct SuperBlockScales {
  SuperScale super;
  std::array<int, SuperBlock::kMostBlocks> scales{};
  std::array<int, SuperBlock::kMostBlocks> offsets{};
};

/// What codes meet: integers times what their super-block shares.
inline BlockScale effective_scale(BlockScale integers, SuperScale super) {
  return {integers.scale * super.scale, 0, integers.offset * super.offset};
}

/// The record of a super-block, low bits first:
///
///   |super scale: f16|super offset: f16, if there are offsets|
///   |scales[0], scales[1], ...: scale_bits each, two's complement|offsets[0], ...: offset_bits|
///
/// Bytes are whole for every element there is.
int64_t super_block_record_bits(const SuperBlock& shape);
/// Into zeroed bytes.
void write_super_block(const SuperBlock& shape, const SuperBlockScales& scales,
                       std::span<std::byte> record);
SuperBlockScales read_super_block(const SuperBlock& shape, std::span<const std::byte> record);
/// What the codes of one block meet.
BlockScale read_super_block(const SuperBlock& shape, std::span<const std::byte> record,
                            int64_t block);

}  // namespace scant
