#include "core/dtype.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/error.h"

namespace scant {
namespace {

struct DTypeInfo {
  DType dtype;
  std::string_view name;
  size_t size;
};

constexpr std::array kDTypes = {
    DTypeInfo{DType::kF64, "F64", 8},        DTypeInfo{DType::kF32, "F32", 4},
    DTypeInfo{DType::kF16, "F16", 2},        DTypeInfo{DType::kBF16, "BF16", 2},
    DTypeInfo{DType::kF8E4M3, "F8_E4M3", 1}, DTypeInfo{DType::kF8E5M2, "F8_E5M2", 1},
    DTypeInfo{DType::kI64, "I64", 8},        DTypeInfo{DType::kU64, "U64", 8},
    DTypeInfo{DType::kI32, "I32", 4},        DTypeInfo{DType::kU32, "U32", 4},
    DTypeInfo{DType::kI16, "I16", 2},        DTypeInfo{DType::kU16, "U16", 2},
    DTypeInfo{DType::kI8, "I8", 1},          DTypeInfo{DType::kU8, "U8", 1},
    DTypeInfo{DType::kBool, "BOOL", 1},
};

const DTypeInfo& info(DType dtype) { return kDTypes[static_cast<size_t>(dtype)]; }

[[noreturn]] void refuse(DType dtype) {
  throw Error(std::string(dtype_name(dtype)), "not a weight dtype; expected F32, F16 or BF16");
}

}  // namespace

size_t dtype_size(DType dtype) { return info(dtype).size; }
std::string_view dtype_name(DType dtype) { return info(dtype).name; }

std::optional<DType> parse_dtype(std::string_view name) {
  for (const DTypeInfo& entry : kDTypes) {
    if (entry.name == name) return entry.dtype;
  }
  return std::nullopt;
}

bool is_weight_dtype(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

float bf16_to_f32(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

uint16_t f32_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

float f16_to_f32(uint16_t bits) {
  // Shift the half into float position and rebias by multiplication, which also handles subnormals.
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(bits & 0x7fffu) << 13;
  float value = std::bit_cast<float>(magnitude) * 0x1p112f;
  if ((bits & 0x7c00u) == 0x7c00u) {
    value = std::bit_cast<float>(magnitude | 0x7f800000u);
  }
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | sign);
}

uint16_t f32_to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // rounds past 65504
  if (magnitude < 0x38800000u) {  // subnormal half: let the float adder round at 2^-24
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}

void widen(const std::byte* source, DType dtype, std::span<float> out) {
  if (dtype == DType::kF32) {
    if (!out.empty()) std::memcpy(out.data(), source, out.size_bytes());
    return;
  }
  if (!is_weight_dtype(dtype)) refuse(dtype);
  // Chunks through an aligned buffer: the source of a memory map may be odd.
  constexpr size_t kChunk = 1024;
  std::array<uint16_t, kChunk> bits;
  for (size_t begin = 0; begin < out.size(); begin += kChunk) {
    const size_t count = std::min(kChunk, out.size() - begin);
    std::memcpy(bits.data(), source + begin * 2, count * 2);
    if (dtype == DType::kBF16) {
      for (size_t i = 0; i < count; ++i) out[begin + i] = bf16_to_f32(bits[i]);
    } else {
      for (size_t i = 0; i < count; ++i) out[begin + i] = f16_to_f32(bits[i]);
    }
  }
}

void narrow(std::span<const float> values, DType dtype, std::byte* out) {
  if (dtype == DType::kF32) {
    if (!values.empty()) std::memcpy(out, values.data(), values.size_bytes());
    return;
  }
  if (!is_weight_dtype(dtype)) refuse(dtype);
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t bits = dtype == DType::kBF16 ? f32_to_bf16(values[i]) : f32_to_f16(values[i]);
    std::memcpy(out + i * 2, &bits, 2);
  }
}

bool is_exact_in(std::span<const float> values, DType dtype) {
  if (dtype == DType::kF32) return true;
  if (!is_weight_dtype(dtype)) refuse(dtype);
  for (const float value : values) {
    const float back =
        dtype == DType::kBF16 ? bf16_to_f32(f32_to_bf16(value)) : f16_to_f32(f32_to_f16(value));
    if (std::bit_cast<uint32_t>(back) != std::bit_cast<uint32_t>(value)) return false;
  }
  return true;
}

}  // namespace scant
