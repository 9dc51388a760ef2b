#pragma once

#include <cstdint>

// What every instruction set provides to prune pieces of rows by N:M. Declarations and plain data
// only: the ISA files include this header.
namespace scant {

/// A piece of one row that starts at a group: of every m values the n of largest magnitude are
/// kept (on equal magnitudes the lower index is pruned first), of a tail of r values min(n, r).
struct NOfMRow {
  const float* values;
  int64_t count;
  int32_t n;
  int32_t m;
  float* pruned;          ///< the values, 0 where pruned, or null; may be `values`
  uint8_t* keep;          ///< 1 for kept values, 0 for pruned ones, or null
  const float* prefetch;  ///< where the next piece lies (may be `values`)
  bool stream;            ///< write `pruned` past the caches; 64-byte aligned pieces only
};

/// One row of the dispatch table. noexcept, allocates nothing. NaN counts as larger than any
/// number, so a group keeps one if it has one.
struct NOfMKernels {
  const char* name;
  bool (*accepts)(int64_t n, int64_t m);
  void (*prune)(const NOfMRow& row);
};

extern const NOfMKernels kNOfMReference;
#if defined(__x86_64__)
extern const NOfMKernels kNOfMAvx2;
extern const NOfMKernels kNOfMAvx512;
#endif

}  // namespace scant
