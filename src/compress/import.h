#pragma once

#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/context.h"

namespace scant {

/// What became of the tensors that were stored alike.
struct ImportedKind {
  std::string stored;   ///< "int4:asym:g128:scale=fp16 (act-order)", "Q4_K", "BF16"
  std::string written;  ///< the number format of its codes, or the type of its values: "F32"
  bool codes = false;
  int64_t tensors = 0;
  int64_t stored_bytes = 0, written_bytes = 0;
};

struct ImportResult {
  std::vector<ImportedKind> kinds;  ///< in the order of the file
  int64_t written_bytes = 0;        ///< safetensors files of OUT
};

/// Writes another tool's folder or GGUF file as a packed folder: codes as they are where scant has
/// their number format, other tensors as their values. The folder appears whole or not at all.
/// Throws Error if there are no such codes, and on damaged tensors and I/O failures.
ImportResult import_model(const Checkpoint& source, const std::string& out, bool overwrite,
                          Context& context);

}  // namespace scant
