#pragma once

#include "checkpoint/imports/importer.h"

namespace scant {

/// Folders of bitsandbytes in 4 bits, NF4 and FP4 (values only), with plain or nested scales
/// ("double quantization"; Dettmers et al., arXiv 2305.14314).
FoundModel find_bitsandbytes(const Checkpoint& folder, const nlohmann::json& config);

}  // namespace scant
