#pragma once

// Included by ISA files: declarations only.
#include <cstdint>

namespace scant {

/// One instruction set's rotation of one token's heads in place; `cosine` and `sine` have
/// head_dim / 2 entries.
struct RopeRow {
  const char* name;
  void (*rotate)(float* x, const float* cosine, const float* sine, int64_t heads,
                 int64_t head_dim) noexcept;
};

extern const RopeRow kRopeReference;
extern const RopeRow kRopeAvx2;
extern const RopeRow kRopeAvx512;

}  // namespace scant
