#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf.h"
#include "checkpoint/gguf_writer.h"

namespace scant {

/// A GGUF file: a model with its vocabulary (gguf_model.h says how it is translated), or only a
/// vocabulary, of any architecture, when there are no tensors. Throws Error for a part of a split
/// file.
std::unique_ptr<Checkpoint> open_gguf(const std::string& path);

/// The same from memory that outlives the result; `where` stands for the path.
std::unique_ptr<Checkpoint> open_gguf_bytes(std::span<const std::byte> bytes,
                                            const std::string& where);

/// True for a file that begins with "GGUF".
bool is_gguf_file(const std::string& path);

/// The keys tokenizer.ggml.*; nothing if the file has none, or model "none". Special token ids
/// beyond the tokens are left out. Throws Error naming the key if one has the wrong type or length.
std::optional<GgufVocabulary> read_gguf_vocabulary(const GgufFile& file);
/// The other way: adds these keys.
void write_gguf_vocabulary(const GgufVocabulary& vocabulary, GgufKeys& keys);

}  // namespace scant
