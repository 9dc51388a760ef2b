#pragma once

#include "compress/export/export_target.h"

namespace scant {

/// GGUF of version 3, the file of llama.cpp (docs/formats/gguf.md).
ExportTarget gguf_target();

}  // namespace scant
