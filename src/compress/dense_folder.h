#pragma once

#include <nlohmann/json_fwd.hpp>

#include "checkpoint/checkpoint.h"
#include "core/atomic_write.h"

namespace scant {

/// config.json of the copy: the source's, with the dtype that transformers must use so that no
/// stored value is rounded.
nlohmann::ordered_json dense_config(const Checkpoint& checkpoint, bool widened);

/// Everything that is not a tensor: config.json, tokenizer, companion files. `quantization` becomes
/// "quantization_config"; null: there is none.
void write_companions(const Checkpoint& checkpoint, const AtomicFolder& folder, bool widened,
                      const nlohmann::ordered_json& quantization);

}  // namespace scant
