#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace scant {

/// How cached keys and values are stored. kInt8 is symmetric with one float32 scale, max|x| / 127,
/// per token and head.
enum class KvType : uint8_t { kF32, kBf16, kInt8 };

/// "fp32", "bf16", "int8". parse_kv_type throws Error listing these.
std::string_view kv_type_name(KvType type);
KvType parse_kv_type(std::string_view text);

/// Positions in a page.
inline constexpr int64_t kKvPage = 128;

/// Where the keys and values of kKvPage consecutive positions lie in one piece of memory. For each
/// head: keys, kKvPage x width; values, the same; with kInt8 then the scales of keys and of values,
/// kKvPage each. Rows are padded with zeros to a whole number of vectors.
struct KvPageLayout {
  KvType type = KvType::kF32;
  int64_t kv_heads = 1;
  int64_t head_dim = 1;

  int64_t width() const;      ///< head_dim padded
  int64_t row_bytes() const;  ///< of one key
  int64_t head_bytes() const;
  int64_t bytes() const { return kv_heads * head_bytes(); }

  /// The parts of head `head` of a page.
  struct Head {
    std::byte* keys;
    std::byte* values;
    float* key_scales;  ///< null but for kInt8
    float* value_scales;
  };
  Head head(std::byte* page, int64_t head) const;

  /// Stores one token's keys and values, kv_heads * head_dim each, at `position` of the page.
  void store(std::byte* page, int64_t position, const float* k, const float* v) const;
};

}  // namespace scant
