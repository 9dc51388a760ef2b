#pragma once

#include <cstdint>

// What every instruction set provides to work on columns of a tile of rows: a column is kLanes
// consecutive float32, one per row. Declarations and plain data only: the ISA files include this
// header.
namespace scant {

constexpr int64_t kLanes = 64;
// Columns of a group among which the vector rows choose; kLanesReference does among any number.
constexpr int64_t kLargestLaneGroup = 64;

/// A column that a sweep finishes: `wanted` is on the grid, `best` is what it was before, `keep` is
/// all ones or 0 in a lane.
struct FinishedColumn {
  float* wanted;
  const float* best;
  const float* weights;
  const int32_t* keep;
  float cost, damping;
  float* changes;
  float* errors;
};

/// One row of the dispatch table. All are noexcept and allocate nothing.
struct LanesKernels {
  const char* name;
  /// sums[l] += columns[i * kLanes + l] * factors[i] for i = 0 ... count - 1 in this order, product
  /// and sum rounded one after the other.
  void (*add_products)(const float* columns, const float* factors, int64_t count, float* sums);
  /// In every lane of `count` columns: keep is all ones for the n largest |column * factor|, 0 for
  /// the others; on equal ones the first are not kept.
  void (*keep_largest)(const float* columns, const float* factors, int64_t count, int64_t n,
                       int32_t* keep);
  /// wanted becomes 0 where it is not kept, changes = weights - wanted,
  /// errors += cost (best - wanted)^2 - damping changes^2.
  void (*finish_column)(const FinishedColumn& column);
};

extern const LanesKernels kLanesReference;
#if defined(__x86_64__)
extern const LanesKernels kLanesAvx2;
extern const LanesKernels kLanesAvx512;
#endif

}  // namespace scant
