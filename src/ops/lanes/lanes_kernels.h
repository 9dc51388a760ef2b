#pragma once

#include <cstdint>

// What every instruction set provides to work on columns of a tile of rows: a column is kLanes
// consecutive float32, one per row. Declarations and plain data only: the ISA files include this
// header.
namespace scant {

constexpr int64_t kLanes = 64;

/// One row of the dispatch table. All are noexcept and allocate nothing.
struct LanesKernels {
  const char* name;
  /// sums[l] += columns[i * kLanes + l] * factors[i] for i = 0 ... count - 1 in this order, product
  /// and sum rounded one after the other.
  void (*add_products)(const float* columns, const float* factors, int64_t count, float* sums);
};

extern const LanesKernels kLanesReference;
#if defined(__x86_64__)
extern const LanesKernels kLanesAvx2;
extern const LanesKernels kLanesAvx512;
#endif

}  // namespace scant
