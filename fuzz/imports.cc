// A folder of another tool: one line of JSON (config.json), then the bytes of model.safetensors.
// Whatever is accepted can be read, as rows and as packed matrices, without leaving its tensors;
// whatever is not gives one line.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "checkpoint/imports/importer.h"
#include "checkpoint/json_text.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/tensor_table.h"
#include "core/error.h"

namespace {

constexpr int64_t kMostWeights = 1 << 14;

void require(bool condition) {
  if (!condition) std::abort();
}

/// The tensors of a safetensors file in memory, each in memory of its own size so that a byte too
/// far is found.
class InputFolder final : public scant::Checkpoint {
 public:
  InputFolder(std::string_view config, std::string_view file)
      : config_(scant::parse_json_object(config, "config.json")) {
    const auto bytes = std::as_bytes(std::span(file));
    for (scant::SafetensorsEntry& entry : scant::parse_safetensors(bytes, "file").entries) {
      const size_t begin = file.size() - data_size(file) + entry.begin;
      data_.emplace_back(bytes.begin() + static_cast<ptrdiff_t>(begin),
                         bytes.begin() + static_cast<ptrdiff_t>(begin + entry.end - entry.begin));
      table_.add({.name = std::move(entry.name),
                  .shape = std::move(entry.shape),
                  .type = std::move(entry.type),
                  .dtype = entry.dtype,
                  .bytes = static_cast<int64_t>(entry.end - entry.begin),
                  .file = "model.safetensors"},
                 path_);
    }
  }

  const std::string& path() const override { return path_; }
  std::string_view container() const override { return "input"; }
  const nlohmann::json& config() const override { return config_; }
  const std::vector<scant::StoredTensor>& tensors() const override { return table_.tensors(); }
  const scant::StoredTensor* find(std::string_view name) const override {
    return table_.find(name);
  }
  std::optional<scant::TokenizerFiles> tokenizer_files() const override { return std::nullopt; }
  void read_rows(const scant::StoredTensor&, int64_t, int64_t, std::span<float>) const override {}
  scant::TensorView raw(const scant::StoredTensor& tensor) const override {
    if (!tensor.dtype) return {};
    return {data_.at(tensor.index).data(), *tensor.dtype, tensor.shape};
  }

 private:
  static size_t data_size(std::string_view file) {
    const auto header = scant::parse_safetensors(std::as_bytes(std::span(file)), "file");
    return file.size() - header.data_begin;
  }

  std::string path_ = "folder";
  nlohmann::json config_;
  scant::TensorTable table_;
  std::vector<std::vector<std::byte>> data_;
};

void check(std::string_view config, std::string_view file) {
  auto input = std::make_unique<InputFolder>(config, file);
  const scant::Importer* importer = scant::importer_of(input->config());
  if (importer == nullptr) return;
  const auto folder = scant::open_imported_folder(std::move(input), *importer);
  require(folder->linear_inputs() != nullptr);
  for (const scant::StoredTensor& tensor : folder->tensors()) {
    const auto size = static_cast<int64_t>(scant::element_count(tensor.shape));
    if (tensor.shape.size() != 2 || size > kMostWeights) continue;
    std::vector<float> values(static_cast<size_t>(size));
    try {
      folder->read_rows(tensor, 0, tensor.rows(), values);
      const auto packed = folder->packed(tensor);
      require((packed != nullptr) == (folder->packed_entry_of(tensor) != nullptr));
    } catch (const scant::Error&) {  // a code or a scale that is out of range
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line = text.find('\n');
  if (line == std::string_view::npos) return 0;
  try {
    check(text.substr(0, line), text.substr(line + 1));
  } catch (const scant::Error& error) {
    const std::string_view message = error.what();
    require(message.size() < 4000 && message.find('\n') == std::string_view::npos);
  }
  return 0;
}
