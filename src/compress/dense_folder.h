#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "checkpoint/checkpoint.h"
#include "core/atomic_write.h"

namespace scant {

/// config.json of the copy: the source's, with the dtype that transformers must use so that no
/// stored value is rounded; absent: the source's.
nlohmann::ordered_json dense_config(const Checkpoint& checkpoint, std::optional<DType> dtype);

/// That dtype for a folder where some tensor had to be widened, or none.
inline std::optional<DType> widened_dtype(bool widened) {
  return widened ? std::optional(DType::kF32) : std::nullopt;
}

/// Everything that is not a tensor: config.json, tokenizer, companion files. `quantization` becomes
/// "quantization_config"; null: there is none.
void write_companions(const Checkpoint& checkpoint, const AtomicFolder& folder,
                      std::optional<DType> dtype, const nlohmann::ordered_json& quantization);

}  // namespace scant
