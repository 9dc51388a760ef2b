#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace scant {

/// Plain element types of tensors, with the safetensors names ("F32", "BF16", "F8_E4M3", ...).
enum class DType : uint8_t {
  kF64,
  kF32,
  kF16,
  kBF16,
  kF8E4M3,
  kF8E5M2,
  kI64,
  kU64,
  kI32,
  kU32,
  kI16,
  kU16,
  kI8,
  kU8,
  kBool
};

size_t dtype_size(DType dtype);
std::string_view dtype_name(DType dtype);
std::optional<DType> parse_dtype(std::string_view name);

/// True for the types that a weight may have on disk: F32, F16, BF16.
bool is_weight_dtype(DType dtype);

// Scalar conversions; every 16-bit value is exact in float32. Narrowing rounds to nearest even;
// overflow gives infinity; NaN stays NaN.
float bf16_to_f32(uint16_t bits);
uint16_t f32_to_bf16(float value);
float f16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float value);

/// Widens `out.size()` elements of a weight dtype (F32, F16, BF16) to float32. Vectorised;
/// `source` needs no alignment.
void widen(const std::byte* source, DType dtype, std::span<float> out);

/// Narrows float32 to a weight dtype, nearest even.
void narrow(std::span<const float> values, DType dtype, std::byte* out);

/// True if every value survives a round trip through `dtype` bit for bit.
bool is_exact_in(std::span<const float> values, DType dtype);

}  // namespace scant
