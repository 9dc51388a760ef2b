#pragma once

#include <string>
#include <vector>

#include "checkpoint/gguf_architecture.h"
#include "checkpoint/gguf_writer.h"
#include "compress/export/export_target.h"

namespace scant {

/// What a GGUF file says of the model beside its tensors.
struct GgufMetadata {
  const GgufArchitecture* architecture = nullptr;
  GgufKeys keys;                    ///< all but general.name, general.file_type
  std::vector<float> rope_factors;  ///< of rope_freqs.weight; empty without
  std::vector<std::string> notes;
};

/// Of the model's configuration and tokenizer. Throws Error naming what llama.cpp's architectures
/// or tokenizers do not have, and the nearest that they have.
GgufMetadata gguf_metadata(const Model& model);

/// "135M", as names of models say it.
std::string size_label(int64_t parameters);

}  // namespace scant
