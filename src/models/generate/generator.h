#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/context.h"
#include "models/generate/resident_model.h"
#include "models/generate/sampler.h"
#include "models/tokenizer/tokenizer.h"

namespace scant {

struct GenerateOptions {
  int64_t max_tokens = 256;
  SamplerOptions sampler;
  std::vector<std::string> stops;  ///< none empty
  std::set<int32_t> ends;          ///< tokens that end the text; their own text is not given
};

enum class EndReason : uint8_t { kEndToken, kStopString, kMaxTokens, kContext, kCancelled };
/// "end of text", "stop string", "max tokens", "context full", "interrupted"
std::string_view end_reason_name(EndReason reason);

struct Generation {
  std::vector<int32_t> tokens;  ///< without the end token
  std::string text;             ///< without the stop string
  EndReason reason = EndReason::kMaxTokens;
  double prompt_seconds = 0;      ///< to the first token's logits
  double generation_seconds = 0;  ///< from there on
  int64_t steps = 0;              ///< runs of the model after the prompt
};

/// Continues `prompt`, which goes through the model into `cache` (empty before). `on_text` gets
/// each piece of text as soon as it is certain. Stops early when the user asks. Throws Error if the
/// prompt is empty or longer than the cache.
Generation generate(const ResidentModel& model, const Tokenizer& tokenizer,
                    std::span<const int32_t> prompt, KvCache& cache, const GenerateOptions& options,
                    Context& context, const std::function<void(std::string_view)>& on_text);

}  // namespace scant
