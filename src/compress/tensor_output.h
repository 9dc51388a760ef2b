#pragma once

#include <span>

#include "checkpoint/checkpoint.h"
#include "checkpoint/folder_writer.h"
#include "core/context.h"
#include "core/tensor.h"
#include "formats/packed.h"
#include "models/linear.h"

namespace scant {

/// outputs x inputs as the dense checkpoint has it: transposed where that stores inputs x outputs.
Matrix stored_orientation(bool transposed, Matrix values);

/// All values of a packed matrix.
Matrix unpacked_values(const PackedMatrix& matrix, Context& context);

/// Narrows and appends in pieces, so that no second copy of a tensor exists.
void append_values(FolderWriter& writer, std::span<const float> values, DType dtype);

/// Writes simulated values in `dtype` if every one of them is exact in it, else as F32. What it
/// took.
DType write_simulated(FolderWriter& writer, const std::string& tensor,
                      std::span<const float> values, std::optional<DType> dtype);

/// Copies a tensor as it is; block types are widened to F32. The type that was written.
DType copy_tensor(const Checkpoint& checkpoint, const StoredTensor& tensor, FolderWriter& writer);

}  // namespace scant
