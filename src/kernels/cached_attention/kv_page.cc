#include "kernels/cached_attention/kv_page.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "core/dtype.h"
#include "core/error.h"
#include "kernels/cached_attention/rows.h"

namespace scant {
namespace {

constexpr auto kNames = std::to_array<std::pair<KvType, std::string_view>>(
    {{KvType::kF32, "fp32"}, {KvType::kBf16, "bf16"}, {KvType::kInt8, "int8"}});

void store_int8(std::span<const float> x, int64_t width, std::byte* out, float* scale) {
  float largest = 0;
  for (const float value : x) largest = std::max(largest, std::abs(value));
  *scale = largest / 127;
  const float inverse = largest > 0 ? 127 / largest : 0;
  auto* codes = reinterpret_cast<int8_t*>(out);
  for (size_t i = 0; i < x.size(); ++i) {
    codes[i] = static_cast<int8_t>(std::nearbyint(x[i] * inverse));
  }
  std::memset(codes + x.size(), 0, static_cast<size_t>(width) - x.size());
}

void store_row(KvType type, std::span<const float> x, int64_t width, std::byte* out, float* scale) {
  if (type == KvType::kInt8) return store_int8(x, width, out, scale);
  const DType dtype = type == KvType::kF32 ? DType::kF32 : DType::kBF16;
  narrow(x, dtype, out);
  const size_t used = x.size() * dtype_size(dtype);
  std::memset(out + used, 0, static_cast<size_t>(width) * dtype_size(dtype) - used);
}

}  // namespace

std::string_view kv_type_name(KvType type) {
  for (const auto& [known, name] : kNames) {
    if (known == type) return name;
  }
  return "?";
}

KvType parse_kv_type(std::string_view text) {
  for (const auto& [type, name] : kNames) {
    if (name == text) return type;
  }
  throw Error("", std::string(text) + " is not supported; expected fp32, bf16 or int8");
}

int64_t KvPageLayout::width() const {
  return (head_dim + kCachedPadding - 1) / kCachedPadding * kCachedPadding;
}

int64_t KvPageLayout::row_bytes() const {
  return width() * (type == KvType::kF32 ? 4 : type == KvType::kBf16 ? 2 : 1);
}

int64_t KvPageLayout::head_bytes() const {
  const int64_t scale_bytes = type == KvType::kInt8 ? int64_t{sizeof(float)} : 0;
  return 2 * kKvPage * (row_bytes() + scale_bytes);
}

KvPageLayout::Head KvPageLayout::head(std::byte* page, int64_t head) const {
  std::byte* keys = page + head * head_bytes();
  std::byte* values = keys + kKvPage * row_bytes();
  if (type != KvType::kInt8) return {keys, values, nullptr, nullptr};
  auto* scales = reinterpret_cast<float*>(values + kKvPage * row_bytes());
  return {keys, values, scales, scales + kKvPage};
}

void KvPageLayout::store(std::byte* page, int64_t position, const float* k, const float* v) const {
  for (int64_t h = 0; h < kv_heads; ++h) {
    const Head parts = head(page, h);
    const auto size = static_cast<size_t>(head_dim);
    float* const key_scale = parts.key_scales == nullptr ? nullptr : parts.key_scales + position;
    float* const value_scale =
        parts.value_scales == nullptr ? nullptr : parts.value_scales + position;
    store_row(type, {k + h * head_dim, size}, width(), parts.keys + position * row_bytes(),
              key_scale);
    store_row(type, {v + h * head_dim, size}, width(), parts.values + position * row_bytes(),
              value_scale);
  }
}

}  // namespace scant
