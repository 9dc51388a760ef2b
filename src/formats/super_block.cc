#include "formats/super_block.h"

#include "formats/layouts/bit_runs.h"

namespace scant {
namespace {

constexpr int64_t kHalf = 16;  // bits of a float16

int64_t first_integer(const SuperBlock& shape) { return shape.has_offsets ? 2 * kHalf : kHalf; }
int64_t first_offset(const SuperBlock& shape) {
  return first_integer(shape) + shape.blocks() * shape.scale_bits;
}

SuperScale read_super_scale(const SuperBlock& shape, std::span<const std::byte> record) {
  return {read_scale(record, 0, ScaleStorage::kF16),
          shape.has_offsets ? read_scale(record, 1, ScaleStorage::kF16) : 0.0f};
}

int read_integer_scale(const SuperBlock& shape, std::span<const std::byte> record, int64_t block) {
  const int bits = shape.scale_bits;
  if (bits == 0) return 1;
  const auto stored = static_cast<int>(get_bits(record, first_integer(shape) + block * bits, bits));
  return stored > shape.highest_scale() ? stored - (1 << bits) : stored;
}

int read_integer_offset(const SuperBlock& shape, std::span<const std::byte> record, int64_t block) {
  const int bits = shape.offset_bits;
  if (bits == 0 || !shape.has_offsets) return shape.lowest_offset();
  return static_cast<int>(get_bits(record, first_offset(shape) + block * bits, bits));
}

/// Numbers one after the other, from the low bit of a byte upwards.
class BitStream {
 public:
  explicit BitStream(const std::byte* from) : next_(from) {}
  int take(int width) {
    for (; held_ < width; held_ += 8) bits_ |= std::to_integer<uint32_t>(*next_++) << held_;
    const uint32_t value = bits_ & ((1u << width) - 1u);
    bits_ >>= width;
    held_ -= width;
    return static_cast<int>(value);
  }

 private:
  const std::byte* next_;
  uint32_t bits_ = 0;
  int held_ = 0;
};

}  // namespace

int64_t super_block_record_bits(const SuperBlock& shape) {
  return first_offset(shape) + (shape.has_offsets ? shape.blocks() * shape.offset_bits : 0);
}

void write_super_block(const SuperBlock& shape, const SuperBlockScales& scales,
                       std::span<std::byte> record) {
  write_scale(record, 0, ScaleStorage::kF16, scales.super.scale);
  if (shape.has_offsets) write_scale(record, 1, ScaleStorage::kF16, scales.super.offset);
  for (int64_t b = 0; b < shape.blocks(); ++b) {
    const auto at = static_cast<size_t>(b);
    put_bits(record, first_integer(shape) + b * shape.scale_bits, shape.scale_bits,
             static_cast<uint32_t>(scales.scales[at]));
    if (!shape.has_offsets) continue;
    put_bits(record, first_offset(shape) + b * shape.offset_bits, shape.offset_bits,
             static_cast<uint32_t>(scales.offsets[at]));
  }
}

SuperBlockScales read_super_block(const SuperBlock& shape, std::span<const std::byte> record) {
  SuperBlockScales scales{.super = read_super_scale(shape, record)};
  const auto count = static_cast<size_t>(shape.blocks());
  scales.scales.fill(1);
  scales.offsets.fill(shape.lowest_offset());
  BitStream bits(record.data() + first_integer(shape) / 8);
  for (size_t b = 0; b < count && shape.scale_bits > 0; ++b) {
    const int stored = bits.take(shape.scale_bits);
    scales.scales[b] = stored > shape.highest_scale() ? stored - (1 << shape.scale_bits) : stored;
  }
  for (size_t b = 0; b < count && shape.has_offsets && shape.offset_bits > 0; ++b) {
    scales.offsets[b] = bits.take(shape.offset_bits);
  }
  return scales;
}

BlockScale read_super_block(const SuperBlock& shape, std::span<const std::byte> record,
                            int64_t block) {
  return effective_scale({static_cast<float>(read_integer_scale(shape, record, block)), 0,
                          static_cast<float>(read_integer_offset(shape, record, block))},
                         read_super_scale(shape, record));
}

}  // namespace scant
