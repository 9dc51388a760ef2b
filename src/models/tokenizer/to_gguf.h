#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "models/tokenizer/spec.h"

namespace scant {

struct GgufTokenizer {
  GgufVocabulary vocabulary;
  std::vector<std::string> notes;  ///< where readers of GGUF give other ids
};

/// The other way of gguf_tokenizer_spec(): the vocabulary from which llama.cpp gives the ids of
/// this tokenizer. `tokenizer_config` and `config` (tokenizer_config.json, config.json; may be
/// empty objects) name the special tokens; `rows`: of the embedding, ids without a token get
/// "[PADi]". SentencePiece scores are ranks of merges. Throws Error naming the tokenizer's file and
/// what no known vocabulary has: another pre-tokenizer, normalizer or template.
GgufTokenizer to_gguf(const TokenizerSpec& spec, const nlohmann::json& tokenizer_config,
                      const nlohmann::json& config, int64_t rows);

}  // namespace scant
