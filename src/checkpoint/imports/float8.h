#pragma once

#include "checkpoint/imports/importer.h"

namespace scant {

/// Folders of transformers' own FP8 methods: `fp8` (scales per block or tensor, weight_scale_inv)
/// and `fbgemm_fp8` (per output row, weight_scale); E4M3, value = code x scale.
FoundModel find_float8(const Checkpoint& folder, const nlohmann::json& config);

}  // namespace scant
