#pragma once

#include <cstdint>

#include "ops/quantize/quantize_kernels.h"

// What every instruction set provides to lower a quadratic over the values of one row that lie on a
// grid. Declarations and plain data only: the ISA files include this header.
namespace scant {

/// `count` neighbouring values x of one row. Half the objective has gradient g and curvature H:
/// when value c changes by d, the objective grows by d (2 g[c] + H[c, c] d), and g by d times row c
/// of H.
struct DescentRow {
  int64_t count;
  float* values;
  float* gradient;
  const uint8_t* keep;            ///< 1: kept, 0: pruned; never null
  const float* curvature;         ///< count x count, symmetric
  const float* diagonal;          ///< of it
  const float* inverse_diagonal;  ///< 0 where the diagonal is not positive
  const float* scales;            ///< one per value
  const int32_t* zero_points;     ///< one per value; null: all 0
  const float* offsets;           ///< one per value, for kOther only; null: all 0
};

/// Rows of a matrix, each times a factor.
struct RowCombination {
  const float* rows;
  int64_t stride;        ///< floats from row to row
  const int32_t* index;  ///< of `terms` rows
  const float* factors;  ///< one per term
  int64_t terms;
};

/// One row of the dispatch table. All are noexcept and allocate nothing; all arithmetic is in
/// float32, products and sums rounded one after the other, and equal on every instruction set.
struct DescentKernels {
  const char* name;
  bool (*accepts)(const QuantizeGrid& grid);
  /// From left to right every kept value becomes the grid's nearest to x - g / H[c, c] if that
  /// lowers the objective. True if any changed.
  bool (*choose_values)(const QuantizeGrid& grid, const DescentRow& row);
  /// What values [begin, begin + count) would change by if they changed places: kept ones to 0,
  /// pruned ones to the grid's best for them; and by how much the objective would grow.
  void (*price)(const QuantizeGrid& grid, const DescentRow& row, int64_t begin, int64_t count,
                float* changes, float* growths);
  /// sums[k] += factors[t] * rows[index[t], k] for k < count, terms in order.
  void (*add_rows)(const RowCombination& from, int64_t count, float* sums);
};

extern const DescentKernels kDescentReference;
#if defined(__x86_64__)
extern const DescentKernels kDescentAvx2;
extern const DescentKernels kDescentAvx512;
#endif

}  // namespace scant
