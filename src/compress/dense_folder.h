#pragma once

#include <string>

#include "checkpoint/checkpoint.h"
#include "core/atomic_write.h"

namespace scant {

/// config.json of the copy: the source's, with the dtype that transformers must use so that no
/// stored value is rounded.
std::string dense_config(const Checkpoint& checkpoint, bool widened);

/// Everything that is not a tensor: config.json, tokenizer, companion files.
void write_companions(const Checkpoint& checkpoint, const AtomicFolder& folder, bool widened);

}  // namespace scant
