#include "compress/import.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "checkpoint/folder_writer.h"
#include "checkpoint/gguf_codes.h"
#include "checkpoint/packed_folder.h"
#include "compress/dense_folder.h"
#include "compress/packed_output.h"
#include "compress/tensor_output.h"
#include "core/error.h"
#include "core/version.h"
#include "models/linear_inputs.h"

namespace scant {
namespace {

using Entries = std::map<std::string, PackedEntry>;

/// Tensors that have codes.
Entries entries_of(const Checkpoint& source) {
  Entries entries;
  for (const StoredTensor& tensor : source.tensors()) {
    if (const PackedEntry* entry = source.packed_entry_of(tensor)) {
      entries.emplace(tensor.name, *entry);
    } else if (auto coded = gguf_packed_entry(source, tensor)) {
      entries.emplace(tensor.name, *std::move(coded));
    }
  }
  return entries;
}

void check_source(const Checkpoint& source, const Entries& entries) {
  if (source.container() == kPackedContainer) {
    throw Error(source.path(),
                "is a packed folder already; expected a folder of another tool or a "
                "GGUF file");
  }
  if (entries.empty()) {
    throw Error(source.path(),
                "holds no codes of a number format that scant has; its values: "
                "`scant export --to dense`");
  }
}

/// A tensor without codes. The type that was written.
DType write_plain(const Checkpoint& source, const StoredTensor& tensor, FolderWriter& writer) {
  if (source.raw(tensor).data != nullptr || tensor.dtype) {
    return copy_tensor(source, tensor, writer);
  }
  // Values of codes that scant does not have: in 16 bits where that is exact.
  std::vector<float> values(static_cast<size_t>(element_count(tensor.shape)));
  source.read_rows(tensor, 0, tensor.rows(), values);
  const DType half = is_exact_in(values, DType::kBF16) ? DType::kBF16 : DType::kF16;
  return write_simulated(writer, tensor.name, values, half);
}

/// Bytes of tensors by how they are stored before and after.
class Kinds {
 public:
  void add(const StoredTensor& tensor, const std::string& written, bool codes, int64_t bytes) {
    auto kind = std::ranges::find_if(kinds_, [&](const ImportedKind& known) {
      return known.stored == tensor.type && known.written == written && known.codes == codes;
    });
    if (kind == kinds_.end()) {
      kinds_.push_back({.stored = tensor.type, .written = written, .codes = codes});
      kind = kinds_.end() - 1;
    }
    ++kind->tensors;
    kind->stored_bytes += tensor.bytes;
    kind->written_bytes += bytes;
  }
  std::vector<ImportedKind> take() { return std::move(kinds_); }

 private:
  std::vector<ImportedKind> kinds_;
};

/// scant.json: where it comes from, and what happens to inputs of layers.
void write_description(const Checkpoint& source, const Entries& entries,
                       const AtomicFolder& folder) {
  int64_t weights = 0, bytes = 0;
  for (const auto& [name, entry] : entries) {
    weights += entry.spec.rows * entry.spec.cols;
    bytes += entry.spec.size().total();
  }
  nlohmann::ordered_json json;
  json["format_version"] = kScantJsonVersion;
  json["scant_version"] = kVersion;
  json["source"] = {{"name", std::filesystem::weakly_canonical(source.path()).filename().string()},
                    {"container", source.container()}};
  json["bits_per_weight"] = 8.0 * static_cast<double>(bytes) / static_cast<double>(weights);
  json["activations"] = nlohmann::ordered_json::object();
  if (const nlohmann::json* inputs = source.linear_inputs()) {
    for (const auto& [key, value] : inputs->items()) json[key] = value;
  }
  OutputFile file(folder.file("scant.json"));
  file.write(json.dump(2) + "\n");
  file.close();
}

}  // namespace

ImportResult import_model(const Checkpoint& source, const std::string& out, bool overwrite,
                          Context& context) {
  const Entries entries = entries_of(source);
  check_source(source, entries);
  AtomicFolder folder(out, overwrite);
  FolderWriter writer(folder, plan_packed(source, entries));
  const auto total = static_cast<int64_t>(source.tensors().size());
  Kinds kinds;
  for (const StoredTensor& tensor : source.tensors()) {
    if (context.cancelled()) throw Error(out, "stopped; nothing was written");
    const auto entry = entries.find(tensor.name);
    if (entry == entries.end()) {
      const DType dtype = write_plain(source, tensor, writer);
      kinds.add(tensor, std::string(dtype_name(dtype)), false,
                element_count(tensor.shape) * static_cast<int64_t>(dtype_size(dtype)));
    } else {
      const auto matrix = source.packed(tensor);
      write_packed(writer, tensor.name,
                   matrix ? *matrix : gguf_packed(source, tensor, entry->second));
      kinds.add(tensor, entry->second.spec.format.spelling(), true,
                entry->second.spec.size().total());
    }
    context.progress({"import", static_cast<int64_t>(tensor.index) + 1, total, "tensors"});
  }
  writer.close();
  write_companions(source, folder, std::nullopt, packed_config(entries));
  write_description(source, entries, folder);
  folder.commit();
  return {kinds.take(), static_cast<int64_t>(writer.total_bytes())};
}

}  // namespace scant
