#pragma once

#include <optional>
#include <string>

#include "checkpoint/checkpoint.h"
#include "models/tokenizer/spec.h"

namespace scant {

/// What a GGUF vocabulary means, as llama.cpp reads it. model "gpt2": byte-level BPE, words by
/// `pre`. model "llama": SentencePiece BPE; every way to put a token together from two others is a
/// merge, ranked by the score of the token, as transformers' converters do.
/// Throws Error naming the file if the model or pre-tokenizer is not supported or the lists do not
/// fit together.
TokenizerSpec gguf_tokenizer_spec(const GgufVocabulary& vocabulary);

/// The tokenizer.ggml.pre that stands for how the tokenizer makes words (and whether it looks words
/// up before it merges); nothing if no known one does.
std::optional<std::string> gguf_pre_of(const TokenizerSpec& spec);

/// The tokenizer_config.json that belongs to it: class, bos, eos, unk, pad, chat template.
std::string gguf_tokenizer_config(const GgufVocabulary& vocabulary);

}  // namespace scant
