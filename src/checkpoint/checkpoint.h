#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/dtype.h"
#include "core/tensor.h"

namespace scant {

class PackedMatrix;
struct PackedEntry;
class GgufFile;
struct GgufTensor;

/// A tensor as it is stored, whatever the container.
struct StoredTensor {
  std::string name;            ///< Hugging Face name; containers with other names translate
  Shape shape;                 ///< outermost dimension first
  std::string type;            ///< "F32", "BF16", or a GGUF block type such as "Q4_1"
  std::optional<DType> dtype;  ///< set for plain types, absent for block types
  int64_t bytes = 0;           ///< as stored
  std::string file;            ///< name of the file it lies in, for sharding the output alike
  size_t index = 0;            ///< position in Checkpoint::tensors()
  int64_t rows() const { return shape.empty() ? 1 : shape[0]; }
  /// Elements per row. The product of all extents fits in int64_t, zero extents counted as one.
  int64_t row_size() const;
};

/// What a tokenizer is made from.
struct TokenizerFiles {
  std::string tokenizer_json;         ///< text of tokenizer.json; empty if there is none
  std::string tokenizer_config_json;  ///< text of tokenizer_config.json; may be empty
  std::string source;                 ///< file named in messages
};
/// The vocabulary of a GGUF file (keys tokenizer.ggml.*).
struct GgufVocabulary {
  std::string model;  ///< "gpt2" or "llama"
  std::string pre;    ///< "default", "smollm", "qwen2", ...
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<int32_t> types;
  std::vector<std::string> merges;
  std::optional<int64_t> bos, eos, unknown, padding;
  std::optional<bool> add_bos, add_eos, add_space_prefix;
  std::string chat_template;
  std::string source;
};

/// A model on disk: its configuration (Hugging Face's keys), its tensors (Hugging Face's names and
/// orientation), its tokenizer. Everything is memory-mapped; values are widened on reading.
class Checkpoint {
 public:
  virtual ~Checkpoint() = default;

  /// Opens a Hugging Face folder or a GGUF file (all_containers.cc lists the kinds). A folder or
  /// GGUF that holds only a tokenizer opens too: it has no tensors.
  /// Throws Error naming the file and tensor that is truncated, overlapping, missing or absurd.
  static std::unique_ptr<Checkpoint> open(const std::string& path);

  virtual const std::string& path() const = 0;
  virtual std::string_view container() const = 0;  ///< "safetensors", "GGUF v3"
  /// Keys of config.json. For GGUF: made from its metadata (gguf_model.h). Null JSON if there is
  /// none because only a tokenizer is there.
  virtual const nlohmann::json& config() const = 0;
  virtual const std::vector<StoredTensor>& tensors() const = 0;  ///< in file order
  virtual std::optional<TokenizerFiles> tokenizer_files() const = 0;
  virtual const GgufVocabulary* gguf_vocabulary() const { return nullptr; }

  /// Null if there is no such tensor.
  virtual const StoredTensor* find(std::string_view name) const;
  /// Throws Error naming the checkpoint and the tensor if it is missing.
  const StoredTensor& require(std::string_view name) const;

  /// Widens rows [begin, begin + count) of the first dimension to float32 (a vector: one row per
  /// value). `out.size()` = count x row_size. Thread-safe. Throws Error if the tensor's type is not
  /// one for weights, or if the rows or `out` do not fit it.
  virtual void read_rows(const StoredTensor& tensor, int64_t begin, int64_t count,
                         std::span<float> out) const = 0;
  /// The stored bytes of a plain tensor, for copying. Null data where bytes cannot be copied:
  /// block types, and tensors that the container keeps in another row order.
  virtual TensorView raw(const StoredTensor& tensor) const = 0;
  /// How a packed tensor is stored (packed_folder.h), and its matrix, outputs x inputs, checked
  /// when it is first asked for; null for others.
  virtual const PackedEntry* packed_entry_of(const StoredTensor&) const { return nullptr; }
  virtual std::shared_ptr<const PackedMatrix> packed(const StoredTensor&) const { return nullptr; }
  /// The file behind a GGUF checkpoint, and the tensor as it is stored there: its names, order of
  /// rows and orientation. Null for others.
  virtual const GgufFile* gguf_file() const { return nullptr; }
  virtual const GgufTensor* gguf_tensor(const StoredTensor&) const { return nullptr; }
  /// What the checkpoint itself says of the inputs of linear layers, as the keys of scant.json;
  /// null: scant.json says it, if there is one.
  virtual const nlohmann::json* linear_inputs() const { return nullptr; }
  /// The small files beside config.json and the weights that belong to the model (tokenizer.json,
  /// generation_config.json, chat_template.jinja, ...): names in the folder. None for GGUF.
  virtual std::vector<std::string> companion_files() const { return {}; }
};

}  // namespace scant
