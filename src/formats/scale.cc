#include "formats/scale.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "core/dtype.h"
#include "formats/elements/mini_float.h"

namespace scant {
namespace {

struct StorageInfo {
  std::string_view name;
  int bits;
  int mantissa_bits;
  int smallest_exponent;  // of a normal number; the subnormal step is 2^(this - mantissa_bits)
  double largest;
};

// In the order of ScaleStorage.
constexpr StorageInfo kStorages[] = {
    {"fp32", 32, 23, -126, 0x1.fffffep127},
    {"bf16", 16, 7, -126, 0x1.fep127},
    {"fp16", 16, 10, -14, 65504.0},
    {"e8m0", 8, 0, -127, 0x1p127},
    {"e4m3", 8, 3, -6, 448.0},
};

const StorageInfo& info(ScaleStorage storage) { return kStorages[static_cast<size_t>(storage)]; }

template <typename T>
T load(std::span<const std::byte> bytes, int64_t index) {
  T value;
  std::memcpy(&value, bytes.data() + static_cast<size_t>(index) * sizeof value, sizeof value);
  return value;
}

template <typename T>
void store(std::span<std::byte> bytes, int64_t index, T value) {
  std::memcpy(bytes.data() + static_cast<size_t>(index) * sizeof value, &value, sizeof value);
}

const MiniFloat& e4m3() {
  static const MiniFloat number{4, 3, 1};
  return number;
}

}  // namespace

std::string_view scale_storage_name(ScaleStorage storage) { return info(storage).name; }
int scale_storage_bits(ScaleStorage storage) { return info(storage).bits; }
ScaleStorageNumbers scale_storage_numbers(ScaleStorage storage) {
  return {info(storage).mantissa_bits, info(storage).smallest_exponent};
}

float round_up_scale(double wanted, ScaleStorage storage) {
  const StorageInfo& format = info(storage);
  if (wanted >= format.largest) return static_cast<float>(format.largest);
  const auto bits = std::bit_cast<uint64_t>(wanted);
  const int exponent = static_cast<int>(bits >> 52) - 1023;
  if (exponent >= format.smallest_exponent) {  // drop mantissa bits; a carry reaches the exponent
    const uint64_t dropped = (uint64_t{1} << (52 - format.mantissa_bits)) - 1;
    return static_cast<float>(std::bit_cast<double>((bits + dropped) & ~dropped));
  }
  const double step = std::ldexp(1.0, format.smallest_exponent - format.mantissa_bits);
  return static_cast<float>(std::ceil(wanted / step) * step);
}

float round_down_scale(double limit, ScaleStorage storage) {
  const StorageInfo& format = info(storage);
  if (limit >= format.largest) return static_cast<float>(format.largest);
  const uint64_t dropped = (uint64_t{1} << (52 - format.mantissa_bits)) - 1;
  return static_cast<float>(std::bit_cast<double>(std::bit_cast<uint64_t>(limit) & ~dropped));
}

float read_scale(std::span<const std::byte> scales, int64_t index, ScaleStorage storage) {
  switch (storage) {
    case ScaleStorage::kF32:
      return load<float>(scales, index);
    case ScaleStorage::kBF16:
      return bf16_to_f32(load<uint16_t>(scales, index));
    case ScaleStorage::kF16:
      return f16_to_f32(load<uint16_t>(scales, index));
    case ScaleStorage::kE8M0: {
      const auto exponent = load<uint8_t>(scales, index);
      return exponent == 255 ? std::nanf("") : std::ldexp(1.0f, exponent - 127);
    }
    case ScaleStorage::kE4M3:
      break;
  }
  const auto code = load<uint8_t>(scales, index);
  return (code & 0x7fu) == 0x7fu ? std::nanf("") : e4m3().value(code);
}

namespace {

/// Stored bits without their sign: of formats whose magnitudes rise with them, those that are not
/// finite last.
template <typename T>
T largest_magnitude(std::span<const std::byte> scales, T magnitude) {
  const auto count = static_cast<int64_t>(scales.size() / sizeof(T));
  T largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    largest = std::max<T>(largest, static_cast<T>(load<T>(scales, i) & magnitude));
  }
  return largest;
}

}  // namespace

float largest_scale(std::span<const std::byte> scales, ScaleStorage storage) {
  const auto value = [&](auto bits) {
    return read_scale(std::as_bytes(std::span(&bits, 1)), 0, storage);
  };
  switch (storage) {
    case ScaleStorage::kF32:
      return value(largest_magnitude<int32_t>(scales, 0x7fffffff));
    case ScaleStorage::kBF16:
    case ScaleStorage::kF16:
      return value(largest_magnitude<int16_t>(scales, 0x7fff));
    case ScaleStorage::kE8M0:
      return value(largest_magnitude<uint8_t>(scales, 0xff));
    case ScaleStorage::kE4M3:
      break;
  }
  return value(largest_magnitude<uint8_t>(scales, 0x7f));
}

void write_scale(std::span<std::byte> scales, int64_t index, ScaleStorage storage, float scale) {
  switch (storage) {
    case ScaleStorage::kF32:
      return store(scales, index, scale);
    case ScaleStorage::kBF16:
      return store(scales, index, f32_to_bf16(scale));
    case ScaleStorage::kF16:
      return store(scales, index, f32_to_f16(scale));
    case ScaleStorage::kE8M0:
      return store(scales, index, static_cast<uint8_t>(std::ilogb(scale) + 127));
    case ScaleStorage::kE4M3:
      return store(scales, index, e4m3().nearest(scale));
  }
}

}  // namespace scant
