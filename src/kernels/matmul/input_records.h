#pragma once

// Included by ISA files: declarations only.
#include <cstdint>

namespace scant {

/// How inputs of few tokens are laid out as int8: one run of records per token. Past the last
/// column stand zeros, so that kernels take whole records. x_i is codes[i] times the scale of its
/// 32 columns, and scales are laid out as the lanes of a vector of sums need them: each lane holds
/// the scale of the columns that it sums.
struct InputRecords {
  int64_t columns;  ///< of a record
  int64_t bytes;
  /// A record from its codes and their scales, one per 32.
  void (*make)(const int8_t* codes, const float* scales, uint8_t* record) noexcept;
};

/// Columns that every record divides.
inline constexpr int64_t kRecordPadding = 256;

// For vectors of 32 bytes, 8 lanes:
//
//   natural   per 64 columns  | 64 codes | 8 scales |
//   halves    per 64 columns  | 32 codes of even columns | 32 of odd columns | 8 scales |
//   quads4    per 128 columns | x[4q] | x[4q+1] | x[4q+2] | x[4q+3]: 32 bytes each, plus 128 |
//                             | 8 scales | 32 bytes unused |
//   quads8    per 128 columns | the same, signed, quads in the order 0-7, 16-23, 8-15, 24-31 |
//                             | 16 scales |
inline constexpr int64_t kNaturalRecord = 96;
inline constexpr int64_t kHalvesRecord = 96;
inline constexpr int64_t kQuads4Record = 192;
inline constexpr int64_t kQuads8Record = 192;
extern const InputRecords kNaturalRecords, kHalvesRecords, kQuads4Records, kQuads8Records;

// For vectors of 64 bytes, 16 lanes:
//
//   natural   per 128 columns | 128 codes | 32 scales |
//   shifted   per 128 columns | 128 codes plus 128 | 4 scales, one per 32 columns | 48 bytes unused
//   |
//                             so that 11008 columns take half of a first-level cache
//   halves    per 128 columns | as above, 64 codes each, 16 scales |
//   quads4    per 256 columns | as above, 64 bytes each, signed, 16 scales |
//   quads8    per 256 columns | as above, plus 128, quads in the order 0-7, 32-39, 8-15, 40-47 and
//                             so on | 32 scales |
inline constexpr int64_t kWideNaturalRecord = 256;
inline constexpr int64_t kWideShiftedRecord = 192;
inline constexpr int64_t kWideHalvesRecord = 192;
inline constexpr int64_t kWideQuads4Record = 320;
inline constexpr int64_t kWideQuads8Record = 384;
extern const InputRecords kWideNaturalRecords, kWideShiftedRecords, kWideHalvesRecords,
    kWideQuads4Records, kWideQuads8Records;

}  // namespace scant
