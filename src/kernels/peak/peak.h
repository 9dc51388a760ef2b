#pragma once

#include <cstdint>
#include <string_view>

#include "core/threads.h"

namespace scant {

/// What this machine can do at most with the threads of a pool, measured.
struct MachinePeak {
  double read_bytes_per_second = 0;       ///< of memory, far more than the caches hold
  double int8_operations_per_second = 0;  ///< multiplications and additions, 8 bits by 8 bits
};

/// Takes about half a second and `bytes` of memory; the best of several runs.
MachinePeak measure_peak(ThreadPool& threads, int64_t bytes = int64_t{256} << 20);

/// The row of the kernel table that runs now, for messages and tests.
std::string_view peak_kernel();

}  // namespace scant
