#pragma once

#include "compress/export/export_target.h"

namespace scant {

/// compressed-tensors, the format of vLLM and llm-compressor (docs/formats/compressed-tensors.md).
ExportTarget compressed_tensors_target();

}  // namespace scant
