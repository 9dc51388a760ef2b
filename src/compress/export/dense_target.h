#pragma once

#include "compress/export/export_target.h"

namespace scant {

/// A Hugging Face folder of plain values: what every reader of safetensors loads.
ExportTarget dense_target();

/// Throws Error naming a module if what happens to its inputs cannot be said in the target: a
/// rotation, or a quantization of inputs whose weight is not among the exported ones. `reader`
/// names who would have to do it.
void refuse_lost_inputs(const ExportJob& job, std::string_view reader);

}  // namespace scant
