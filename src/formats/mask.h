#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace scant {

/// Which weights of a matrix are kept: one byte each, 1 = kept, row-major.
struct Mask {
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<uint8_t> keep;

  /// Everything kept.
  static Mask all(int64_t rows, int64_t cols);
  bool empty() const { return keep.empty(); }
  uint8_t operator()(int64_t r, int64_t c) const { return keep[static_cast<size_t>(r * cols + c)]; }
  const uint8_t* row(int64_t r) const { return keep.data() + r * cols; }
  uint8_t* row(int64_t r) { return keep.data() + r * cols; }
  int64_t kept() const;
  friend bool operator==(const Mask&, const Mask&) = default;
};

}  // namespace scant
