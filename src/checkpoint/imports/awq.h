#pragma once

#include "checkpoint/imports/importer.h"

namespace scant {

/// Folders of AWQ, as AutoAWQ's version gemm lays them out (docs/formats/gptq.md): 4 bits with zero
/// points.
FoundModel find_awq(const Checkpoint& folder, const nlohmann::json& config);

}  // namespace scant
