#pragma once

#include <cstdint>

namespace scant {

/// The most memory of this process that was resident at once since it started or since
/// reset_peak_memory(), file maps included; 0 where the system does not say.
int64_t peak_memory_bytes();
/// Starts counting anew. Without effect where the system does not allow it.
void reset_peak_memory();

}  // namespace scant
