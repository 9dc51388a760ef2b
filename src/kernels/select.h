#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "core/cpu.h"

namespace scant {

/// A row of an op's table: functions for one instruction set. `Row` is the op's own struct of
/// function pointers and starts with `const char* name`.
template <typename Row>
struct KernelRow {
  Isa isa;
  const Row* row;
};

/// The first row that this process may run. Tables are ordered best first and end with the portable
/// reference, which always runs.
template <typename Row, size_t kRows>
const Row& select_kernel(const std::array<KernelRow<Row>, kRows>& table) {
  static_assert(kRows > 0);
  for (const KernelRow<Row>& candidate : table) {
    if (candidate.isa <= active_isa()) return *candidate.row;
  }
  return *table.back().row;
}

}  // namespace scant
