#pragma once

#include <string>

#include "checkpoint/checkpoint.h"
#include "core/context.h"

namespace scant {

struct UnpackResult {
  int64_t tensors = 0;        ///< that were packed
  int64_t packed_bytes = 0;   ///< that they took
  int64_t written_bytes = 0;  ///< safetensors files of OUT
  bool widened = false;       ///< some tensor had to be stored as F32
};

/// Writes the dense folder of a packed one: what `scant compress` would have written with the same
/// recipe without packing, byte for byte in its tensors. The folder appears whole or not at all.
/// Throws Error if nothing is packed, if a packed tensor is damaged, and on I/O failures.
UnpackResult unpack_model(const Checkpoint& packed, const std::string& out, bool overwrite,
                          Context& context);

}  // namespace scant
