#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "checkpoint/imports/importer.h"
#include "checkpoint/stored_rows.h"
#include "checkpoint/tensor_table.h"
#include "core/error.h"

namespace scant {
namespace {

using nlohmann::json;

class ImportedFolder final : public Checkpoint {
 public:
  ImportedFolder(std::unique_ptr<Checkpoint> folder, const Importer& importer)
      : folder_(std::move(folder)), importer_(importer), config_(folder_->config()) {
    FoundModel found = importer.find(*folder_, config_.at("quantization_config"));
    config_.erase("quantization_config");
    inputs_ = {{"activations", std::move(found.activations)}};
    // Conv1D stores inputs x outputs.
    transposed_ = config_.value("model_type", json()) == "gpt2";
    list_tensors(std::move(found.weights));
  }

  const std::string& path() const override { return folder_->path(); }
  std::string_view container() const override { return importer_.container; }
  const json& config() const override { return config_; }
  const std::vector<StoredTensor>& tensors() const override { return table_.tensors(); }
  const StoredTensor* find(std::string_view name) const override { return table_.find(name); }
  std::optional<TokenizerFiles> tokenizer_files() const override {
    return folder_->tokenizer_files();
  }
  std::vector<std::string> companion_files() const override { return folder_->companion_files(); }
  const json* linear_inputs() const override { return &inputs_; }

  TensorView raw(const StoredTensor& tensor) const override {
    const StoredTensor* plain = plain_.at(tensor.index);
    return plain == nullptr ? TensorView{} : folder_->raw(*plain);
  }

  void read_rows(const StoredTensor& tensor, int64_t begin, int64_t count,
                 std::span<float> out) const override {
    if (const StoredTensor* plain = plain_.at(tensor.index)) {
      return folder_->read_rows(*plain, begin, count, out);
    }
    check_row_range(path(), tensor, begin, count, out.size());
    const FoundWeight& found = weights_.at(tensor.index);
    read_stored_rows(tensor, transposed_, found.outputs, found.inputs, begin, count, out,
                     [&](int64_t row, MatrixView values) { found.weight->read_rows(row, values); });
  }

  const PackedEntry* packed_entry_of(const StoredTensor& tensor) const override {
    const auto found = entries_.find(tensor.index);
    return found == entries_.end() ? nullptr : &found->second;
  }

  std::shared_ptr<const PackedMatrix> packed(const StoredTensor& tensor) const override {
    if (packed_entry_of(tensor) == nullptr) return nullptr;
    try {
      return weights_.at(tensor.index).weight->packed();
    } catch (const Error& problem) {
      throw Error(fmt::format("{}/{}: tensor {}", path(), tensor.file, quoted_name(tensor.name)),
                  problem.what());
    }
  }

 private:
  /// In the order of the file: a weight stands where its first part does.
  void list_tensors(std::vector<FoundWeight> found) {
    std::map<std::string, size_t, std::less<>> owner_of_part;
    for (size_t i = 0; i < found.size(); ++i) {
      for (const std::string& part : found[i].parts) owner_of_part.emplace(part, i);
    }
    std::vector<bool> listed(found.size(), false);
    for (const StoredTensor& stored : folder_->tensors()) {
      const auto owner = owner_of_part.find(stored.name);
      if (owner == owner_of_part.end()) {
        table_.add(stored, path());
        plain_.push_back(&stored);
      } else if (!listed[owner->second]) {
        listed[owner->second] = true;
        add_weight(std::move(found[owner->second]), stored.file);
      }
    }
  }

  void add_weight(FoundWeight found, const std::string& file) {
    StoredTensor tensor;
    tensor.name = found.name;
    tensor.shape =
        transposed_ ? Shape{found.inputs, found.outputs} : Shape{found.outputs, found.inputs};
    tensor.type = found.type;
    tensor.file = file;
    for (const std::string& part : found.parts) tensor.bytes += folder_->require(part).bytes;
    const size_t index = table_.tensors().size();
    if (const PackedEntry* entry = found.weight->entry()) {
      PackedEntry stored = *entry;
      stored.shape = tensor.shape;
      stored.transposed = transposed_;
      entries_.emplace(index, std::move(stored));
    }
    table_.add(std::move(tensor), path());
    plain_.push_back(nullptr);
    weights_.emplace(index, std::move(found));
  }

  std::unique_ptr<Checkpoint> folder_;
  const Importer& importer_;
  json config_, inputs_;
  bool transposed_ = false;
  TensorTable table_;
  std::vector<const StoredTensor*> plain_;  ///< by StoredTensor::index; null: a weight
  std::map<size_t, FoundWeight> weights_;   ///< by StoredTensor::index
  std::map<size_t, PackedEntry> entries_;   ///< of those that have one
};

}  // namespace

std::unique_ptr<Checkpoint> open_imported_folder(std::unique_ptr<Checkpoint> folder,
                                                 const Importer& importer) {
  return std::make_unique<ImportedFolder>(std::move(folder), importer);
}

}  // namespace scant
