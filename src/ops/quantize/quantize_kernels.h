#pragma once

#include <cstdint>

// What every instruction set provides to quantize pieces of rows. Declarations and plain data only:
// the ISA files include this header.
namespace scant {

struct NumberFormat;

/// An element as arithmetic on float32. With y = x / scale, k is the nearest even integer multiple
/// of a quantum:
///   kUniform  quantum 1, y clamped to [lowest - zero point, highest - zero point], so that
///             value = k * scale, code = (k + zero point) & code_mask
///   kFloat    y clamped to [lowest, highest], quantum 2^(max(exponent of y, smallest_exponent) -
///             mantissa_bits), value = k * quantum * scale, code = sign, exponent, mantissa
///   kOther    no such form: only the reference kernels know it, through `format`
struct QuantizeGrid {
  enum class Family : uint8_t { kUniform, kFloat, kOther };
  Family family;
  float lowest;
  float highest;
  int32_t mantissa_bits;
  int32_t smallest_exponent;
  int32_t code_mask;  ///< kUniform
  int32_t sign_bit;   ///< kFloat
  float unit;         ///< scale below means unit times the block's: 1/64 for mxint8, else 1
  const NumberFormat* format;
};

/// A piece of one row: `count` values in blocks of `block` (the last may be shorter), each with a
/// scale and a zero point.
struct QuantizeRow {
  const float* values;
  int64_t count;
  int64_t block;
  const float* scales;         ///< what k is multiplied by; 0 gives zeros
  const int32_t* zero_points;  ///< null: all 0
  float* simulated;            ///< value per value, or null; may be `values`
  uint8_t* codes;              ///< code per value, or null
  const float* prefetch;       ///< where the next piece lies (may be `values`)
  bool stream;                 ///< write `simulated` past the caches; 64-byte aligned pieces only
};

/// Values that lie apart, each with its own block's scale.
struct QuantizeEach {
  const float* values;
  int64_t count;
  const float* scales;         ///< one per value
  const int32_t* zero_points;  ///< one per value; null: all 0
  float* simulated;            ///< value per value; may be `values`
  const float* offsets;        ///< one per value, for kOther only; null: all 0
};

/// What scales are chosen from, one entry per block.
struct QuantizeRanges {
  int32_t* absmax_bits;  ///< bits of the largest |x|; not finite if any value is not
  float* min;            ///< min(x, 0); null together with max unless zero points are needed
  float* max;            ///< max(x, 0)
};

/// One row of the dispatch table. All are noexcept and allocate nothing.
struct QuantizeKernels {
  const char* name;
  bool (*accepts)(const QuantizeGrid& grid);
  void (*ranges)(const float* values, int64_t count, int64_t block, const QuantizeRanges& out);
  void (*quantize)(const QuantizeGrid& grid, const QuantizeRow& row);
  /// Of one block: adds (value - x)^2 of value i, difference in float32 and the rest in double, to
  /// lane i mod 8.
  void (*squared_error)(const QuantizeGrid& grid, const QuantizeRow& row, double* lanes);
  void (*round_each)(const QuantizeGrid& grid, const QuantizeEach& each);
};

extern const QuantizeKernels kQuantizeReference;
#if defined(__x86_64__)
extern const QuantizeKernels kQuantizeAvx2;
extern const QuantizeKernels kQuantizeAvx512;
#endif

}  // namespace scant
