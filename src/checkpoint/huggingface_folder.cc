#include "checkpoint/huggingface_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>
#include <utility>

#include "checkpoint/imports/importer.h"
#include "checkpoint/json_text.h"
#include "checkpoint/packed_folder.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/tensor_table.h"
#include "core/error.h"
#include "core/file_map.h"

namespace scant {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

constexpr std::string_view kWeights = "model.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";
constexpr size_t kConfigLimit = size_t{16} << 20;
constexpr size_t kIndexLimit = size_t{128} << 20;
constexpr size_t kTokenizerLimit = size_t{512} << 20;

/// What save_pretrained() may write beside config.json and the weights.
constexpr std::array<std::string_view, 18> kCompanions = {
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "merges.txt",
    "normalizer.json",
    "preprocessor_config.json",
    "processor_config.json",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tekken.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer.model.v3",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
};

/// Methods of `quantization_config` whose tensors are not plain weights.
constexpr std::array<std::string_view, 22> kQuantMethods = {
    "aqlm",
    "auto-round",
    "autoround",
    "awq",
    "bitnet",
    "bitsandbytes",
    "compressed-tensors",
    "eetq",
    "exl2",
    "fbgemm_fp8",
    "finegrained_fp8",
    "fp8",
    "fp_quant",
    "gptq",
    "higgs",
    "hqq",
    "marlin",
    "modelopt",
    "mxfp4",
    "quanto",
    "spqr",
    "vptq",
};

std::set<std::string> files_in(const std::string& folder) {
  std::set<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_regular_file(ignored)) names.insert(entry->path().filename().string());
  }
  if (error) throw Error(folder, "cannot be listed: " + error.message());
  return names;
}

/// Weights in a format that is not read: pickles run code when they are opened.
bool is_other_weights(const std::string& name) {
  const bool torch = name.starts_with("pytorch_model") && name.find(".bin") != std::string::npos;
  const bool meta = name.starts_with("consolidated") && name.ends_with(".pth");
  return torch || meta || name == "tf_model.h5" || name == "flax_model.msgpack";
}

class HuggingFaceFolder final : public Checkpoint {
 public:
  explicit HuggingFaceFolder(const std::string& path) : path_(path), files_(files_in(path)) {
    if (files_.contains("config.json")) {
      config_ =
          parse_json_object(read_file(file("config.json"), kConfigLimit), file("config.json"));
    }
    if (files_.contains(std::string(kWeights))) {
      add_shard(std::string(kWeights));
    } else if (files_.contains(std::string(kIndex))) {
      add_indexed_shards();
    } else {
      require_tokenizer_only();
    }
    if (!table_.tensors().empty() && config_.is_null()) {
      throw Error(path_, "has weights but no config.json");
    }
    check_not_quantized();
  }

  const std::string& path() const override { return path_; }
  std::string_view container() const override { return "safetensors"; }
  const json& config() const override { return config_; }
  const std::vector<StoredTensor>& tensors() const override { return table_.tensors(); }
  const StoredTensor* find(std::string_view name) const override { return table_.find(name); }

  std::optional<TokenizerFiles> tokenizer_files() const override {
    if (!files_.contains("tokenizer.json")) return std::nullopt;
    TokenizerFiles result;
    result.source = file("tokenizer.json");
    result.tokenizer_json = read_file(result.source, kTokenizerLimit);
    if (files_.contains("tokenizer_config.json")) {
      result.tokenizer_config_json = read_file(file("tokenizer_config.json"), kConfigLimit);
    }
    return result;
  }

  void read_rows(const StoredTensor& tensor, int64_t begin, int64_t count,
                 std::span<float> out) const override {
    const std::string where = file(tensor.file);
    check_row_range(where, tensor, begin, count, out.size());
    if (!tensor.dtype || !is_weight_dtype(*tensor.dtype)) {
      throw Error(where, fmt::format("tensor {} has dtype {}; expected F32, F16 or BF16",
                                     quoted_name(tensor.name), tensor.type));
    }
    const auto first = static_cast<size_t>(begin) * static_cast<size_t>(tensor.row_size());
    widen(data_.at(tensor.index) + first * dtype_size(*tensor.dtype), *tensor.dtype, out);
  }

  TensorView raw(const StoredTensor& tensor) const override {
    if (!tensor.dtype) return {};
    return {data_.at(tensor.index), *tensor.dtype, tensor.shape};
  }

  std::vector<std::string> companion_files() const override {
    std::vector<std::string> names;
    for (const std::string_view name : kCompanions) {
      if (files_.contains(std::string(name))) names.emplace_back(name);
    }
    return names;
  }

 private:
  std::string file(std::string_view name) const { return fmt::format("{}/{}", path_, name); }

  void add_shard(const std::string& name) {
    maps_.emplace_back(file(name));
    const std::span<const std::byte> bytes = maps_.back().bytes();
    SafetensorsHeader header = parse_safetensors(bytes, file(name));
    for (SafetensorsEntry& entry : header.entries) {
      data_.push_back(bytes.data() + header.data_begin + entry.begin);
      table_.add({.name = std::move(entry.name),
                  .shape = std::move(entry.shape),
                  .type = std::move(entry.type),
                  .dtype = entry.dtype,
                  .bytes = static_cast<int64_t>(entry.end - entry.begin),
                  .file = name},
                 path_);
    }
  }

  void add_indexed_shards() {
    const std::map<std::string, std::string> weight_map =
        parse_shard_index(read_file(file(kIndex), kIndexLimit), file(kIndex));
    std::map<std::string, const std::string*> shards;  // a tensor of each, for messages
    for (const auto& [tensor, shard] : weight_map) shards.emplace(shard, &tensor);
    for (const auto& [shard, tensor] : shards) {
      if (!files_.contains(shard)) {
        throw Error(path_, fmt::format("lacks the shard {} that {} names for tensor {}",
                                       quoted_name(shard), kIndex, quoted_name(*tensor)));
      }
      add_shard(shard);
    }
    for (const auto& [tensor, shard] : weight_map) {
      const StoredTensor* found = table_.find(tensor);
      if (found == nullptr || found->file != shard) {
        throw Error(file(shard), fmt::format("lacks tensor {} that {} places there",
                                             quoted_name(tensor), kIndex));
      }
    }
  }

  /// There are no weights to read: is that meant?
  void require_tokenizer_only() const {
    for (const std::string& name : files_) {
      if (is_other_weights(name)) {
        throw Error(path_, fmt::format("has its weights only as {}; expected safetensors "
                                       "(model.safetensors or shards with an index)",
                                       name));
      }
    }
    for (const std::string& name : files_) {
      if (name.ends_with(".safetensors")) {
        throw Error(path_, fmt::format("has {} but neither {} nor {}", name, kWeights, kIndex));
      }
    }
    if (files_.contains("tokenizer.json")) return;
    throw Error(path_,
                config_.is_null()
                    ? "has neither config.json nor tokenizer.json; expected a model folder"
                    : fmt::format("has config.json but neither {} nor {}", kWeights, kIndex));
  }

  void check_not_quantized() const {
    if (is_packed_config(config_) || importer_of(config_) != nullptr) return;
    const auto found = config_.is_null() ? config_.end() : config_.find("quantization_config");
    if (config_.is_null() || found == config_.end() || found->is_null()) return;
    const json method = found->is_object() ? found->value("quant_method", json()) : json();
    const std::string name = method.is_string() ? method.get<std::string>() : "unnamed method";
    const bool plain = std::ranges::all_of(table_.tensors(), [](const StoredTensor& tensor) {
      return tensor.dtype && is_weight_dtype(*tensor.dtype);
    });
    if (std::ranges::find(kQuantMethods, name) == kQuantMethods.end() && plain) return;
    std::string read;
    for (const Importer& importer : all_importers()) read += fmt::format(", {}", importer.method);
    throw Error(path_, fmt::format("is quantized by {} (quantization_config), which scant does not "
                                   "read; expected F32, F16 or BF16 weights{}",
                                   quoted_name(name), read));
  }

  std::string path_;
  std::set<std::string> files_;
  json config_;
  std::vector<FileMap> maps_;
  TensorTable table_;
  std::vector<const std::byte*> data_;  ///< by StoredTensor::index
};

}  // namespace

bool is_huggingface_folder(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

std::unique_ptr<Checkpoint> open_huggingface_folder(const std::string& path) {
  auto folder = std::make_unique<HuggingFaceFolder>(path);
  if (is_packed_config(folder->config())) return open_packed_folder(std::move(folder));
  if (const Importer* importer = importer_of(folder->config())) {
    return open_imported_folder(std::move(folder), *importer);
  }
  return folder;
}

std::map<std::string, std::string> parse_shard_index(std::string_view text,
                                                     const std::string& where) {
  const json index = parse_json_object(text, where);
  const auto weight_map = index.find("weight_map");
  if (weight_map == index.end() || !weight_map->is_object() || weight_map->empty()) {
    throw Error(where, "has no weight_map; expected an object of tensor names and file names");
  }
  std::map<std::string, std::string> result;
  for (const auto& [tensor, shard] : weight_map->items()) {
    const std::string name = shard.is_string() ? shard.get<std::string>() : std::string();
    if (!name.ends_with(".safetensors") || name.find('/') != std::string::npos) {
      throw Error(where, fmt::format("places tensor {} in {}; expected the name of a .safetensors "
                                     "file in this folder",
                                     quoted_name(tensor),
                                     shard.is_string() ? quoted_name(name) : shard.type_name()));
    }
    result.emplace(tensor, name);
  }
  return result;
}

}  // namespace scant
