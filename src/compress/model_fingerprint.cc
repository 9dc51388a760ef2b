#include "compress/model_fingerprint.h"

#include <fmt/format.h>

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
    hasher.add(layer).add(format.format.spelling()).add(format.method().spelling());
    if (format.scale)
      hasher.add(fmt::format("{} {}", format.scale->scale, format.scale->zero_point));
    if (format.cross) hasher.add(std::as_bytes(std::span(format.cross->column_maxima())));
  }
  for (const LinearInfo& info : model.linears()) {
    if (!info.input_rotation) continue;
    const Rotation& rotation = *info.input_rotation;
    hasher.add(info.name).add(fmt::format("{} {}", rotation.size(), rotation.seed()));
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
