#pragma once

#include <memory>
#include <optional>

#include "checkpoint/checkpoint.h"
#include "checkpoint/packed_folder.h"

namespace scant {

/// How a matrix of a GGUF checkpoint is stored in scant's terms: Q4_0, Q5_0 and Q8_0 are integers
/// in groups of 32, MXFP4 is mxfp4, TQ2_0 ternary in groups of 256, and Q4_1, Q5_1 and Q2_K to Q6_K
/// have formats of their own. Nothing for other types, other checkpoints and vectors.
std::optional<PackedEntry> gguf_packed_entry(const Checkpoint& checkpoint,
                                             const StoredTensor& tensor);

/// The codes and scales of such a matrix, outputs x inputs, rows in transformers' order. Throws
/// Error naming the tensor for a code or scale that the number format does not have.
PackedMatrix gguf_packed(const Checkpoint& checkpoint, const StoredTensor& tensor,
                         const PackedEntry& entry);

}  // namespace scant
