#include "compress/model_fingerprint.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "core/file_map.h"
#include "core/hash.h"

namespace scant {

std::string model_fingerprint(const Model& model) {
  const Checkpoint& checkpoint = model.checkpoint();
  Hasher hasher;
  hasher.add(checkpoint.config().dump());
  for (const auto& [layer, format] : model.activations()) {
    hasher.add(layer).add(format.spelling());
  }
  std::set<std::string> files;
  for (const StoredTensor& tensor : checkpoint.tensors()) files.insert(tensor.file);
  for (const std::string& file : files) {
    const std::filesystem::path folder = checkpoint.path();
    const bool single = std::filesystem::is_regular_file(folder);
    hasher.add(file);
    hasher.add(FileMap(single ? folder.string() : (folder / file).string()).bytes());
  }
  return hasher.hex();
}

}  // namespace scant
