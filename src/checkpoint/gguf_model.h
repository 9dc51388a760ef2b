#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf.h"
#include "checkpoint/gguf_architecture.h"

namespace scant {

/// A tensor of a GGUF file in the terms of transformers.
struct GgufTensorName {
  std::string name;              ///< in transformers
  int64_t interleaved_rows = 0;  ///< rows per head, or 0 if rows are in the same order
  bool transposed = false;       ///< transformers has inputs x outputs
};

/// The architecture of the file. Throws Error naming it if there is none in
/// gguf_architecture.h.
const GgufArchitecture& gguf_architecture(const GgufFile& file);

/// The config.json that the metadata mean: architectures, model_type, sizes, epsilon, rope_theta,
/// rope_scaling, tie_word_embeddings (true without output.weight), torch_dtype (of the matrices if
/// all are of one plain type, else float32), attention_bias, mlp_bias, and the token ids of the
/// vocabulary if there is one.
///
/// rope_scaling is null, {"rope_type": "linear", "factor": f}, or, if the file has the tensor
/// rope_freqs.weight (the divisor of each of the head_dim/2 rotary frequencies):
///  - {"rope_type": "llama3", "factor": f, "low_freq_factor": 1, "high_freq_factor": 4,
///    "original_max_position_embeddings": 8192} if the divisors are those of this formula, as in
///    every Llama 3; the tensor is then not listed;
///  - {"rope_type": "gguf_factors"} otherwise: the divisors are the tensor "rope_freqs.weight".
///
/// Throws Error naming the file and the key or tensor if the architecture is not known, or if the
/// metadata are missing, inconsistent or describe what it cannot be (experts, partial rotary
/// dimensions, YaRN, heads that differ by layer).
nlohmann::json gguf_config(const GgufFile& file, const GgufVocabulary* vocabulary);

/// Name and order of a tensor under `config`; an empty name for one that the configuration stands
/// for. Throws Error naming the tensor if the architecture has no such tensor or its rows do not
/// fit the heads.
GgufTensorName gguf_tensor_name(const GgufFile& file, const GgufTensor& tensor,
                                const nlohmann::json& config);

}  // namespace scant
