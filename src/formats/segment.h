#pragma once

#include <cstdint>

namespace scant {

/// Consecutive values of one row that share scales, or the part of a shared block in one row.
struct Segment {
  const float* values = nullptr;
  const uint8_t* keep = nullptr;  ///< null: all values take part
  int64_t count = 0;
  const float* importance = nullptr;  ///< what squared errors are multiplied by; null: 1

  bool kept(int64_t i) const { return keep == nullptr || keep[i] != 0; }
};

}  // namespace scant
