#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/context.h"
#include "evaluate/sample_source.h"
#include "models/model.h"

namespace scant {

/// Tokenizes a text file with the model's tokenizer, no special tokens, for windows of `window`.
/// Throws Error naming the option if that is longer than the model's context.
std::vector<int32_t> text_ids(const Model& model, const std::string& file, int64_t window,
                              Context& context);

/// The same of a text that was read already; `source` names it in messages.
std::vector<int32_t> token_ids(const Model& model, const std::string& text,
                               const std::string& source, int64_t window, Context& context);

/// text_ids() cut into windows.
TextWindows text_windows(const Model& model, const std::string& file,
                         const WindowProtocol& protocol, Context& context);

/// Throws Error if two models do not read the same ids from the same text.
void require_same_tokenizer(const Model& model, const Model& reference);

}  // namespace scant
