#include "formats/scale.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/dtype.h"
#include "core/random.h"
#include "formats/elements/mini_float.h"

namespace scant {
namespace {

// Every value that can be stored, in increasing order, for the narrow ways to store a scale.
std::vector<float> storable(ScaleStorage storage) {
  std::vector<float> values;
  switch (storage) {
    case ScaleStorage::kE8M0:
      for (int e = -127; e <= 127; ++e) values.push_back(std::ldexp(1.0f, e));
      break;
    case ScaleStorage::kE4M3:
      for (uint8_t code = 1; code <= 0x7e; ++code) {
        values.push_back(MiniFloat(4, 3, 1).value(code));
      }
      break;
    case ScaleStorage::kF16:
      for (uint16_t bits = 1; bits < 0x7c00; ++bits) values.push_back(f16_to_f32(bits));
      break;
    case ScaleStorage::kBF16:
      for (uint16_t bits = 1; bits < 0x7f80; ++bits) values.push_back(bf16_to_f32(bits));
      break;
    case ScaleStorage::kF32:
      break;
  }
  return values;
}

TEST(Scale, RoundsUpToTheNextStorableValueAndSaturates) {
  for (const ScaleStorage storage : kScaleStorages) {
    const std::vector<float> values = storable(storage);
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(round_up_scale(values[i], storage), values[i]);
      const double above = std::nextafter(static_cast<double>(values[i]), 1e300);
      EXPECT_EQ(round_up_scale(above, storage), values[std::min(i + 1, values.size() - 1)]);
      if (i == 0) {
        EXPECT_EQ(round_up_scale(values[0] * 1e-3, storage), values[0]);
        EXPECT_EQ(round_up_scale(1e-300, storage), values[0]);
      } else {
        const double middle = 0.5 * values[i - 1] + 0.5 * values[i];
        EXPECT_EQ(round_up_scale(middle, storage), values[i]);
      }
    }
    if (!values.empty()) {
      EXPECT_EQ(round_up_scale(1e300, storage), values.back());
    }
  }
}

TEST(Scale, AFloat32ScaleRoundsUpInItsLastBit) {
  const CounterRandom random(1, 1);
  for (uint64_t i = 0; i < 20000; ++i) {
    const double wanted =
        std::exp2(60.0 * random.normal(2 * i)) * (1.0 + random.uniform(2 * i + 1));
    if (wanted > 1e38) continue;
    const float stored = round_up_scale(wanted, ScaleStorage::kF32);
    EXPECT_GE(static_cast<double>(stored), wanted);
    EXPECT_LT(static_cast<double>(std::nextafter(stored, 0.0f)), wanted);
  }
  EXPECT_EQ(round_up_scale(1e-60, ScaleStorage::kF32), std::numeric_limits<float>::denorm_min());
}

TEST(Scale, RoundsDownToAStorableValue) {
  EXPECT_EQ(round_down_scale(5.0, ScaleStorage::kE8M0), 4.0f);
  EXPECT_EQ(round_down_scale(1e300, ScaleStorage::kE4M3), 448.0f);
  EXPECT_EQ(round_down_scale(17.9, ScaleStorage::kE4M3), 16.0f);
  EXPECT_EQ(round_down_scale(1.0 + 0x1p-30, ScaleStorage::kF32), 1.0f);
}

TEST(Scale, NamesAndBitsAgreeWithTheStorage) {
  const int bits[] = {32, 16, 16, 8, 8};
  const char* names[] = {"fp32", "bf16", "fp16", "e8m0", "e4m3"};
  for (size_t i = 0; i < std::size(kScaleStorages); ++i) {
    EXPECT_EQ(scale_storage_bits(kScaleStorages[i]), bits[i]);
    EXPECT_EQ(scale_storage_name(kScaleStorages[i]), names[i]);
  }
}

TEST(Scale, StoredBytesGiveTheScaleBack) {
  for (const ScaleStorage storage : kScaleStorages) {
    std::vector<std::byte> bytes(static_cast<size_t>(4 * scale_storage_bits(storage) / 8));
    for (const double wanted : {0.3, 1.0, 400.0, 0.02}) {
      const float scale = round_up_scale(wanted, storage);
      write_scale(bytes, 2, storage, scale);
      EXPECT_EQ(read_scale(bytes, 2, storage), scale) << scale_storage_name(storage);
      EXPECT_NE(read_scale(bytes, 1, storage), scale) << "only one of them is written";
    }
  }
}

TEST(Scale, BitsThatAreNoNumberAreNaN) {
  const std::vector<std::byte> ones(4, std::byte{0xff});
  for (const ScaleStorage storage : kScaleStorages) {
    EXPECT_TRUE(std::isnan(read_scale(ones, 0, storage))) << scale_storage_name(storage);
  }
}

TEST(Scale, LargestOfAllThatAreStored) {
  for (const ScaleStorage storage : {ScaleStorage::kF32, ScaleStorage::kBF16, ScaleStorage::kF16,
                                     ScaleStorage::kE8M0, ScaleStorage::kE4M3}) {
    const size_t bytes = static_cast<size_t>(scale_storage_bits(storage)) / 8;
    std::vector<std::byte> scales(37 * bytes);
    for (int64_t i = 0; i < 37; ++i) write_scale(scales, i, storage, i == 20 ? 8.0f : 0.25f);
    EXPECT_EQ(largest_scale(scales, storage), 8.0f) << scale_storage_name(storage);
    if (storage != ScaleStorage::kE8M0) {  // it has no sign
      write_scale(scales, 5, storage, -16.0f);
      EXPECT_EQ(std::fabs(largest_scale(scales, storage)), 16.0f) << scale_storage_name(storage);
    }
    std::fill_n(scales.begin() + static_cast<int64_t>(30 * bytes), bytes, std::byte{0xff});  // NaN
    EXPECT_FALSE(std::isfinite(largest_scale(scales, storage))) << scale_storage_name(storage);
  }
}

}  // namespace
}  // namespace scant
