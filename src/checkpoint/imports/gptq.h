#pragma once

#include "checkpoint/imports/importer.h"

namespace scant {

/// Folders of GPTQ (docs/formats/gptq.md): checkpoint_format gptq (v1) and gptq_v2, 2, 3, 4 and 8
/// bits, symmetric or not, with desc_act.
FoundModel find_gptq(const Checkpoint& folder, const nlohmann::json& config);

}  // namespace scant
