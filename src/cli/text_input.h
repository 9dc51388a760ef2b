#pragma once

#include <string>

#include "core/context.h"
#include "evaluate/sample_source.h"
#include "models/model.h"

namespace scant {

/// Tokenizes a text file with the model's tokenizer (no special tokens) and cuts it into windows.
/// Throws Error naming the option if the window is longer than the model's context.
TextWindows text_windows(const Model& model, const std::string& file,
                         const WindowProtocol& protocol, Context& context);

/// Throws Error if two models do not read the same ids from the same text.
void require_same_tokenizer(const Model& model, const Model& reference);

}  // namespace scant
