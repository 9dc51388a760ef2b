#pragma once

// Included by ISA files: declarations only.
#include <cstdint>

namespace scant {

/// One instruction set's fastest reading of memory and fastest multiplication of bytes.
struct PeakRow {
  const char* name;
  /// Reads `count` 64-bit words; the result keeps the reads from being left out.
  uint64_t (*read)(const uint64_t* words, int64_t count) noexcept;
  /// `rounds` times kOperations multiplications and additions of 8-bit integers in registers.
  int32_t (*multiply)(int64_t rounds) noexcept;
  int64_t operations;  ///< of one round
};

extern const PeakRow kPeakReference;
extern const PeakRow kPeakAvx2;
extern const PeakRow kPeakAvx512;

}  // namespace scant
