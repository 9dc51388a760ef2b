#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace scant {

/// How the rows of a tensor stand in a file. The writers of "llama" interleave the two halves of
/// each attention head's rotary dimensions: row 2 i + s of a head of d rows in the file is row
/// s d/2 + i in transformers (s = 0, 1; i < d/2), for weights and biases of queries and keys.
enum class GgufRows : uint8_t { kSame, kQueryHeads, kKeyHeads };

/// The row in the file that holds `row` of transformers, heads of `head` rows, and the other way.
int64_t gguf_row(int64_t row, int64_t head);
int64_t huggingface_row(int64_t row, int64_t head);

/// A module's name in both worlds; ".weight" and ".bias" follow in both.
struct GgufName {
  std::string_view gguf;
  std::string_view huggingface;
  GgufRows rows = GgufRows::kSame;
  /// The weight is inputs x outputs in transformers (Conv1D), outputs x inputs in the file.
  bool transposed = false;
};

/// An architecture of GGUF: how it names what transformers names otherwise. Read and written by
/// this one table (sources: gguf-py, constants.py; llama.cpp, src/llama-arch.cpp).
struct GgufArchitecture {
  std::string_view name;         ///< general.architecture, the prefix of its keys
  std::string_view model_class;  ///< what a file of it is read as
  std::span<const std::string_view> other_classes;  ///< that are written as it, too
  std::string_view model_type;                      ///< of config.json
  bool rotary = true;         ///< rotary positions; else a table, and transformers' names of GPT-2
  bool rope_factors = false;  ///< readers look at rope_freqs.weight
  std::string_view prefix;    ///< "model.", which folders of a base model leave out
  std::string_view layers;    ///< "model.layers."
  std::string_view epsilon;   ///< key of the norms' epsilon, after "NAME."
  std::string_view epsilon_in_config;
  std::string_view hidden, layer_count, feed_forward, heads, positions;  ///< keys of config.json
  std::span<const GgufName> model_names;
  std::span<const GgufName> layer_names;  ///< within blk.N and `layers` N
};

std::span<const GgufArchitecture> all_gguf_architectures();
/// By general.architecture, and by transformers' class; null if there is none.
const GgufArchitecture* find_gguf_architecture(std::string_view name);
const GgufArchitecture* gguf_architecture_of_class(std::string_view model_class);
/// "llama, qwen2, ...", for messages.
std::string gguf_architecture_names();

/// "llama.block_count"
std::string gguf_key(const GgufArchitecture& architecture, std::string_view key);

/// Keys after the architecture's name that are read and written.
namespace gguf_keys {
inline constexpr std::string_view kHidden = "embedding_length", kLayers = "block_count",
                                  kFeedForward = "feed_forward_length",
                                  kPositions = "context_length", kVocabulary = "vocab_size",
                                  kHeads = "attention.head_count",
                                  kKeyHeads = "attention.head_count_kv",
                                  kKeyLength = "attention.key_length",
                                  kValueLength = "attention.value_length",
                                  kWindow = "attention.sliding_window",
                                  kRotary = "rope.dimension_count", kTheta = "rope.freq_base",
                                  kScalingType = "rope.scaling.type",
                                  kScalingFactor = "rope.scaling.factor";
}  // namespace gguf_keys

/// The divisors of the rotary frequencies, in files of architectures with rope_factors.
inline constexpr std::string_view kRopeFactors = "rope_freqs.weight";

}  // namespace scant
