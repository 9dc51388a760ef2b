#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "compress/export/export_target.h"

namespace scant {

/// A Hugging Face folder of plain values: what every reader of safetensors loads.
ExportTarget dense_target();

/// Values rounded to `dtype`; `inexact` is set if that changed one. Throws Error naming the tensor
/// for a value that is too large for it.
std::vector<std::byte> round_values(std::span<const float> values, DType dtype,
                                    const std::string& tensor, bool& inexact);

/// Throws Error naming a module if what happens to its inputs cannot be said in the target: a
/// rotation, or a quantization of inputs whose weight is not among the exported ones. `reader`
/// names who would have to do it.
void refuse_lost_inputs(const ExportJob& job, std::string_view reader);

}  // namespace scant
