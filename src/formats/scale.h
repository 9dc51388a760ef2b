#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace scant {

/// Which values share one scale. Rows are a weight's outputs or an activation's tokens; groups
/// and blocks lie along the columns (the reduction dimension), the last one may be shorter.
struct Granularity {
  enum class Kind : uint8_t { kNone, kTensor, kRow, kGroup };
  Kind kind = Kind::kNone;
  int64_t size = 0;  ///< values in a group (":gN", ":block=N"); 0 for the other kinds
  friend bool operator==(const Granularity&, const Granularity&) = default;
};

/// How a scale is stored. A real scale is rounded up, so that nothing clips.
enum class ScaleStorage : uint8_t { kF32, kBF16, kF16, kE8M0, kE4M3 };
inline constexpr ScaleStorage kScaleStorages[] = {ScaleStorage::kF32, ScaleStorage::kBF16,
                                                  ScaleStorage::kF16, ScaleStorage::kE8M0,
                                                  ScaleStorage::kE4M3};

/// "fp32", "bf16", "fp16", "e8m0", "e4m3".
std::string_view scale_storage_name(ScaleStorage storage);
/// Bits of one stored scale: 32, 16, 16, 8, 8.
int scale_storage_bits(ScaleStorage storage);
/// Normal numbers have `mantissa_bits` after the leading one and start at 2^smallest_exponent.
struct ScaleStorageNumbers {
  int mantissa_bits;
  int smallest_exponent;
};
ScaleStorageNumbers scale_storage_numbers(ScaleStorage storage);
/// The smallest storable value >= `wanted` (finite, > 0); the largest storable one if there is
/// none. Never 0.
float round_up_scale(double wanted, ScaleStorage storage);
/// The largest storable value <= `limit` (at least the smallest normal one), or the largest one.
float round_down_scale(double limit, ScaleStorage storage);

/// Scale `index` of an array of stored ones; NaN for bits that stand for no number.
float read_scale(std::span<const std::byte> scales, int64_t index, ScaleStorage storage);
/// The largest magnitude of all that are stored; one that is not finite if there is any.
float largest_scale(std::span<const std::byte> scales, ScaleStorage storage);
/// The same the other way, for a scale that the storage holds exactly.
void write_scale(std::span<std::byte> scales, int64_t index, ScaleStorage storage, float scale);

/// The scale of one block as encode and decode see it.
struct BlockScale {
  float scale = 1.0f;
  int32_t zero_point = 0;  ///< 0 unless the element is `:asym`
  float offset = 0.0f;     ///< what values begin at; 0 unless the element has super-blocks with one
};

/// What a scale is chosen from: the values of a block that take part (the kept ones).
struct BlockStatistics {
  float min = 0.0f;   ///< min(x, 0) over the block
  float max = 0.0f;   ///< max(x, 0) over the block
  double sum = 0.0;   ///< of |x|; only for elements with kNeedsMean
  int64_t count = 0;  ///< values that take part
  float absmax() const { return -min > max ? -min : max; }
};

}  // namespace scant
