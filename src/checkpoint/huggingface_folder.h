#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "checkpoint/checkpoint.h"

namespace scant {

/// A folder in the layout of transformers' save_pretrained():
///
///   config.json                    needed if there are weights
///   model.safetensors              or model.safetensors.index.json and the shards that it names
///   tokenizer.json, ...            the tokenizer, and other companion files
///
/// If config.json has a quantization_config of scant, tensors are put together from their packed
/// parts (packed_folder.h). A folder with only a tokenizer.json opens too and has no tensors.
/// Throws Error for a folder with neither, for one with weights in other formats only
/// (pytorch_model.bin, ...), and for one whose weights are quantized already
/// (`quantization_config`); an unknown quant_method passes if all weights are plain F32, F16 or
/// BF16.
std::unique_ptr<Checkpoint> open_huggingface_folder(const std::string& path);

/// True for any folder.
bool is_huggingface_folder(const std::string& path);

/// The "weight_map" of a model.safetensors.index.json: tensor name to file name. Throws Error
/// naming `where` unless it maps to plain names of .safetensors files.
std::map<std::string, std::string> parse_shard_index(std::string_view text,
                                                     const std::string& where);

}  // namespace scant
