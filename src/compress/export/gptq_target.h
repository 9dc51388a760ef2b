#pragma once

#include "compress/export/export_target.h"

namespace scant {

/// GPTQ's layout (docs/formats/gptq.md) in its two versions, which differ in their zero points.
ExportTarget gptq_target();
ExportTarget gptq_v2_target();

}  // namespace scant
