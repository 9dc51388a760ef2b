#pragma once

#include <string>
#include <string_view>

#include "models/tokenizer/spec.h"

namespace scant {

/// Reads the text of a tokenizer.json (version 1.0 of the `tokenizers` library). Truncation and
/// padding are not read. Throws Error naming `source` and the part that is broken or not supported.
TokenizerSpec read_tokenizer_json(std::string_view text, const std::string& source);

/// A tokenizer.json that the `tokenizers` library loads with the same behaviour.
std::string write_tokenizer_json(const TokenizerSpec& spec);

}  // namespace scant
