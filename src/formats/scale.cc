#include "formats/scale.h"

#include <bit>
#include <cmath>

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

}  // namespace scant
