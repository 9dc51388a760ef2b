#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <set>

#include "checkpoint/checkpoint.h"
#include "models/tokenizer/tokenizer.h"

namespace scant {

/// generation_config.json of the model's folder; an empty object if there is none. Throws Error
/// naming the file if it is not a JSON object.
nlohmann::json read_generation_config(const Checkpoint& checkpoint);

/// The tokens that end a text: `eos_token_id`, a number or a list, of generation_config.json, or of
/// config.json where that is silent, and the tokenizer's `eos_token`. Throws Error naming the file
/// if an id is not a token's.
std::set<int32_t> end_tokens(const Checkpoint& checkpoint, const Tokenizer& tokenizer);

/// The text of a special token ("bos_token", "eos_token", ...) in tokenizer_config.json, which may
/// be a text or an object with `content`; empty if there is none.
std::string special_token(const nlohmann::json& tokenizer_config, const std::string& key);

/// tokenizer_config.json of a tokenizer; an empty object if it has none. Throws Error if it is not
/// a JSON object.
nlohmann::json tokenizer_config(const Tokenizer& tokenizer);

}  // namespace scant
