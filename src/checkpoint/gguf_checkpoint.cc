#include "checkpoint/gguf_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "checkpoint/gguf_model.h"
#include "checkpoint/tensor_table.h"
#include "core/error.h"
#include "core/file_map.h"

namespace scant {
using nlohmann::json;
namespace {

class GgufCheckpoint final : public Checkpoint {
 public:
  GgufCheckpoint(FileMap map, std::span<const std::byte> bytes, const std::string& where)
      : map_(std::move(map)), file_(bytes, where), path_(where) {
    refuse_parts();
    vocabulary_ = read_gguf_vocabulary(file_);
    if (!file_.tensors().empty()) {
      config_ = gguf_config(file_, gguf_vocabulary());
      add_tensors();
    } else if (!vocabulary_) {
      throw Error(path_, "has neither tensors nor a vocabulary");
    }
  }

  const std::string& path() const override { return path_; }
  std::string_view container() const override {
    return file_.version() == 2 ? "GGUF v2" : "GGUF v3";
  }
  const json& config() const override { return config_; }
  const std::vector<StoredTensor>& tensors() const override { return table_.tensors(); }
  const StoredTensor* find(std::string_view name) const override { return table_.find(name); }
  std::optional<TokenizerFiles> tokenizer_files() const override { return std::nullopt; }
  const GgufVocabulary* gguf_vocabulary() const override {
    return vocabulary_ ? &*vocabulary_ : nullptr;
  }

  void read_rows(const StoredTensor& tensor, int64_t begin, int64_t count,
                 std::span<float> out) const override {
    check_row_range(path_, tensor, begin, count, out.size());
    const Source& source = sources_.at(tensor.index);
    if (source.transposed) return read_columns(*source.tensor, begin, count, out);
    const auto row_size = static_cast<uint64_t>(tensor.row_size());
    if (source.interleaved_rows == 0) {
      read_gguf_values(*source.tensor->type, source.tensor->data,
                       static_cast<uint64_t>(begin) * row_size, out);
      return;
    }
    for (int64_t r = 0; r < count; ++r) {
      const auto row = static_cast<uint64_t>(gguf_row(begin + r, source.interleaved_rows));
      read_gguf_values(*source.tensor->type, source.tensor->data, row * row_size,
                       out.subspan(static_cast<size_t>(r) * row_size, row_size));
    }
  }

  TensorView raw(const StoredTensor& tensor) const override {
    const Source& source = sources_.at(tensor.index);
    if (!tensor.dtype || source.interleaved_rows != 0 || source.transposed) return {};
    return {source.tensor->data, *tensor.dtype, tensor.shape};
  }

  const GgufFile* gguf_file() const override { return &file_; }
  const GgufTensor* gguf_tensor(const StoredTensor& tensor) const override {
    return sources_.at(tensor.index).tensor;
  }

 private:
  struct Source {
    const GgufTensor* tensor;
    int64_t interleaved_rows;
    bool transposed;
  };

  /// Rows of the transpose: columns of the file's matrix, which is widened row by row.
  static void read_columns(const GgufTensor& tensor, int64_t begin, int64_t count,
                           std::span<float> out) {
    const auto inputs = static_cast<size_t>(tensor.shape[1]);
    const auto outputs = static_cast<size_t>(tensor.shape[0]);
    std::vector<float> row(inputs);
    for (size_t r = 0; r < outputs; ++r) {
      read_gguf_values(*tensor.type, tensor.data, r * inputs, row);
      for (size_t c = 0; c < static_cast<size_t>(count); ++c) {
        out[c * outputs + r] = row[static_cast<size_t>(begin) + c];
      }
    }
  }

  void refuse_parts() const {
    const int64_t parts = file_.integer("split.count").value_or(0);
    if (parts <= 1) return;
    throw Error(path_, fmt::format("is part {} of {} of a split GGUF; expected the merged file",
                                   file_.integer("split.no").value_or(0) + 1, parts));
  }

  void add_tensors() {
    const std::string name = std::filesystem::path(path_).filename().string();
    for (const GgufTensor& tensor : file_.tensors()) {
      GgufTensorName translated = gguf_tensor_name(file_, tensor, config_);
      if (translated.name.empty()) continue;
      sources_.push_back({&tensor, translated.interleaved_rows, translated.transposed});
      Shape shape = tensor.shape;
      if (translated.transposed) std::ranges::reverse(shape);
      table_.add({.name = std::move(translated.name),
                  .shape = std::move(shape),
                  .type = std::string(tensor.type->name),
                  .dtype = tensor.type->dtype,
                  .bytes = static_cast<int64_t>(tensor.bytes),
                  .file = name},
                 path_);
    }
  }

  FileMap map_;
  GgufFile file_;
  std::string path_;
  std::optional<GgufVocabulary> vocabulary_;
  json config_;
  TensorTable table_;
  std::vector<Source> sources_;  ///< by StoredTensor::index
};

}  // namespace

std::unique_ptr<Checkpoint> open_gguf(const std::string& path) {
  FileMap map(path);
  const std::span<const std::byte> bytes = map.bytes();  // moving the map does not move the bytes
  return std::make_unique<GgufCheckpoint>(std::move(map), bytes, path);
}

std::unique_ptr<Checkpoint> open_gguf_bytes(std::span<const std::byte> bytes,
                                            const std::string& where) {
  return std::make_unique<GgufCheckpoint>(FileMap(), bytes, where);
}

bool is_gguf_file(const std::string& path) {
  std::array<char, 4> magic{};
  std::ifstream file(path, std::ios::binary);
  return file.read(magic.data(), magic.size()) && std::memcmp(magic.data(), "GGUF", 4) == 0;
}

}  // namespace scant
